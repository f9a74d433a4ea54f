"""Experiment 1: strings against a regular expression for the grammar."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.errors import DataError, SettingError, UnknownNameError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.run.lanes import Share, advance
from carrousel.experiments.run.trial import TrialPlan
from carrousel.experiments.store.settings import describe
from carrousel.learners import learner_named
from carrousel.sequences import Sequences
from carrousel.tasks import EmbeddedReber
from carrousel.tasks.reber import SYMBOLS
from support.case import each

# After T, S's come until X; then, or after P, the part that may repeat PXT*V before it closes.
TAIL = "T*V(?:PXT*V)*(?:PS|V)"
INNER = f"B(?:TS*X(?:S|X{TAIL})|P{TAIL})E"
EMBEDDED = re.compile(f"B(?P<outer>[TP]){INNER}(?P=outer)E")

# Every legal beginning is completed by one of these.
INNER_ENDS = ("BTXSE", "TXSE", "XSE", "SE", "VVE", "VE", "E", "")
ENDINGS = [a + b for a, b in product(INNER_ENDS, ("TE", "PE"))] + ["E", "", "TBTXSETE", "PBTXSEPE"]


def as_text(data: Sequences) -> list[str]:
    return ["".join(SYMBOLS[symbol] for symbol in one.inputs) for one in data]


def from_text(*strings: str) -> Sequences:
    symbols = [[SYMBOLS.index(letter) for letter in string] for string in strings]
    data = Sequences.from_lists(symbols, [s[1:] for s in symbols], n_inputs=7, n_outputs=7)
    # from_lists gives k targets to the last k steps; here they belong to all steps but the last
    return replace(data, target_steps=data.target_steps - 1)


@cache
def legal_after(beginning: str) -> frozenset[str]:
    return frozenset(
        letter
        for letter in SYMBOLS
        if any(EMBEDDED.fullmatch(beginning + letter + ending) for ending in ENDINGS)
    )


def drawn(seed: int, **settings: object) -> EmbeddedReber:
    return EmbeddedReber(**settings).draw(np.random.default_rng(seed))  # type: ignore[arg-type]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), distinct=st.booleans())
def test_sets_have_legal_strings_and_are_disjoint(seed, distinct):
    task = drawn(seed, n_train=100, n_test=60, distinct=distinct)
    strings = as_text(task.test(np.random.default_rng(0), 1))
    assert len(strings) == 160
    assert all(EMBEDDED.fullmatch(string) for string in strings)
    train, test = strings[:100], strings[100:]
    assert not set(train) & set(test)
    if distinct:
        assert len(set(train)) == 100
        assert len(set(test)) == 60


def test_strings_drawn_at_random_repeat():
    train = as_text(drawn(0).test(np.random.default_rng(0), 1))[:256]
    assert len(set(train)) < 250


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 60))
def test_samples_are_training_strings_and_targets_the_next_symbol(seed, n):
    task = drawn(seed, n_train=30, n_test=1)
    train = set(as_text(task.test(np.random.default_rng(0), 1))[:30])
    data = task.sample(np.random.default_rng(seed), n)
    for one, text in zip(data, as_text(data), strict=True):
        assert text in train
        assert "".join(SYMBOLS[symbol] for symbol in one.targets) == text[1:]
        np.testing.assert_array_equal(one.target_steps, np.arange(len(text) - 1))


def test_training_strings_are_picked_uniformly():
    task = drawn(3, n_train=20, n_test=1, distinct=True)
    counts = Counter(as_text(task.sample(np.random.default_rng(4), 20_000)))
    assert len(counts) == 20
    spread = np.sqrt(1000 * 0.95)
    assert max(abs(count - 1000) for count in counts.values()) < 5 * spread


def test_epochs_are_passes_in_random_order():
    task = drawn(3, n_train=20, n_test=1, distinct=True, order="epochs")
    picked = as_text(task.sample(np.random.default_rng(4), 3 * 20 + 7))
    passes = [picked[first : first + 20] for first in (0, 20, 40)]
    train = as_text(task.test(np.random.default_rng(0), 1))[:20]
    assert all(sorted(one) == sorted(train) for one in passes)
    assert len({tuple(one) for one in [*passes, train]}) == 4
    assert len(set(picked[60:])) == 7  # the beginning of a pass
    anywhere = {as_text(task.sample(np.random.default_rng(n), 1))[0] for n in range(400)}
    assert len(anywhere) == 20  # any string may come first


def test_defaults_are_omitted_from_fingerprints():
    """Trials stored before these settings existed belong to the same experiment."""
    assert not {"order", "target", "judged"} & describe(EmbeddedReber()).keys()
    changed = describe(EmbeddedReber(order="epochs", target="legal", judged="test"))
    assert [changed[x] for x in ("order", "target", "judged")] == ["epochs", "legal", "test"]


@each(
    "given, meant",
    [
        ({"order": "epoch"}, "epochs"),
        ({"target": "legals"}, "legal"),
        ({"judged": "train"}, "training"),
    ],
)
def test_unknown_choices_are_refused(given, meant):
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        EmbeddedReber(**given)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32), n=st.integers(1, 60), order=st.sampled_from(["random", "epochs"])
)
def test_legal_targets_match_the_regular_expression(seed, n, order):
    """Strings, steps and draws are those of the other target; only targets differ."""
    plain = drawn(seed, n_train=30, n_test=6, order=order)
    task = replace(plain, target="legal")
    for draw in (task.sample, task.test):
        data = draw(np.random.default_rng(seed), n)
        data.check_contents()
        other = getattr(plain, draw.__name__)(np.random.default_rng(seed), n)
        for name in ("inputs", "offsets", "target_steps"):
            np.testing.assert_array_equal(getattr(data, name), getattr(other, name))
        expected = np.zeros((len(other.targets), 7))
        row = 0
        for text in as_text(data):
            for k in range(1, len(text)):
                expected[row, [SYMBOLS.index(letter) for letter in legal_after(text[:k])]] = 1.0
                row += 1
        np.testing.assert_array_equal(data.targets, expected)
        assert task.correct(data.targets, data).all()
        assert (data.targets[np.arange(row), other.targets] == 1.0).all()


@each("target", ["next", "legal"])
def test_a_margin_moves_targets_away_from_0_and_1(target):
    sharp, soft = drawn(5, target=target), drawn(5, target=target, margin=0.1)
    for draw in ("sample", "test"):
        near = getattr(sharp, draw)(np.random.default_rng(1), 9)
        far = getattr(soft, draw)(np.random.default_rng(1), 9)
        wanted = near.targets if target == "legal" else np.eye(7)[near.targets]
        np.testing.assert_allclose(far.targets, 0.1 + 0.8 * wanted, atol=1e-7)
        np.testing.assert_array_equal(far.inputs, near.inputs)
        np.testing.assert_array_equal(far.target_steps, near.target_steps)
        assert (soft.correct(far.targets, far) == sharp.correct(wanted.astype("f4"), near)).all()
    assert "margin" not in describe(sharp)


@each("margin", [-0.1, 0.5, float("nan"), "wide"])
def test_a_margin_that_leaves_no_difference_is_refused(margin):
    with pytest.raises(SettingError, match="margin is "):
        EmbeddedReber(margin=margin)


def test_target_does_not_change_the_drawn_strings():
    plain, legal = drawn(11), drawn(11, target="legal")
    rng = np.random.default_rng(0)
    assert as_text(plain.test(rng, 1)) == as_text(legal.test(rng, 1))


@each("target", ["next", "legal"])
def test_judged_selects_sets(target):
    both = drawn(2, n_train=20, n_test=11, target=target)
    strings = as_text(both.test(np.random.default_rng(0), 1))
    for judged, part in (("training", slice(20)), ("test", slice(20, None))):
        alone = replace(both, judged=judged).test(np.random.default_rng(0), 1)
        assert as_text(alone) == strings[part]
        np.testing.assert_array_equal(
            alone.dense_targets(), both.test(np.random.default_rng(0), 1)[part].dense_targets()
        )


@pytest.mark.native
@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name.startswith("1")])
def test_learners_of_experiment_1_accept_legal_targets(name):
    """With trials of two draws in one group; training and tests have the same kind of targets."""
    usual = replace(EXPERIMENTS[name], budget=400, draws=2)
    curves = {}
    for target in ("next", "legal"):
        assert isinstance(usual.task, EmbeddedReber)
        task = replace(usual.task, n_train=40, n_test=40, target=target)
        plan = TrialPlan(replace(usual, task=task), learner_named(usual.learner), seed=3)
        jobs = [(0, 0), (0, 1)]
        ended = [trial for _, trial in advance(Share({0: plan}, pending=jobs), 100.0).ended]
        assert [trial.sequences for trial in ended] == [400, 400]
        curves[target] = [trial.curve for trial in ended]
    assert curves["next"] != curves["legal"]


def test_choices_have_equal_probabilities():
    """A string has probability 0.5 to the power of its number of choices."""
    strings: list[str] = []
    for seed in range(6):
        task = drawn(seed, n_train=4096, n_test=1)
        strings += as_text(task.test(np.random.default_rng(0), 1))[:4096]
    counts = Counter(strings)
    for text, count in counts.most_common(12):
        choices = sum(len(legal_after(text[:k])) - 1 for k in range(1, len(text)))
        expected = len(strings) * 0.5**choices
        assert abs(count - expected) < 5 * np.sqrt(expected), text
    lengths = np.array([len(text) for text in strings])
    assert lengths.min() == 9
    assert abs(lengths.mean() - 12.0) < 4 * lengths.std() / np.sqrt(len(lengths))


def test_legal_sets_match_the_regular_expression():
    """1 for legal symbols and 0 for others is correct; a changed output makes its string wrong."""
    data = drawn(5, n_train=25, n_test=25, distinct=True).test(np.random.default_rng(0), 1)
    task = EmbeddedReber()
    outputs = np.zeros((len(data.targets), 7), np.float32)
    row = 0
    for text in as_text(data):
        for k in range(1, len(text)):
            outputs[row, [SYMBOLS.index(letter) for letter in legal_after(text[:k])]] = 1.0
            row += 1
    assert row == len(outputs)
    assert task.correct(outputs, data).all()
    rng = np.random.default_rng(6)
    owner = np.repeat(np.arange(len(data)), np.diff(data.target_offsets))
    for changed in rng.integers(0, outputs.size, 150):
        spoiled = outputs.copy()
        spoiled.flat[changed] = -1.0 if outputs.flat[changed] else 2.0
        expected = np.arange(len(data)) != owner[changed // 7]
        np.testing.assert_array_equal(task.correct(spoiled, data), expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), lift=st.floats(0.6, 1.2))
def test_correct_against_a_slow_loop(seed, lift):
    task = drawn(7, n_train=12, n_test=8)
    data = task.test(np.random.default_rng(0), 1)
    outputs = np.random.default_rng(seed).random((len(data.targets), 7), dtype=np.float32)
    texts = as_text(data)
    expected, row = [], 0
    for text in texts:
        right = True
        for k in range(1, len(text)):
            legal = [SYMBOLS.index(letter) for letter in legal_after(text[:k])]
            outputs[row, legal] += np.float32(lift)
            others = [s for s in range(7) if s not in legal]
            right &= min(outputs[row, legal]) > max(outputs[row, others])
            row += 1
        expected.append(right)
    np.testing.assert_array_equal(task.correct(outputs, data), expected)
    np.testing.assert_array_equal(task.correct(outputs.astype(np.float64), data), expected)
    for other in (task, EmbeddedReber(), drawn(8, n_train=12, n_test=8)):
        np.testing.assert_array_equal(other.correct(outputs, data), expected)
        np.testing.assert_array_equal(other.correct(outputs, copy.deepcopy(data)), expected)
    ends = data.target_offsets
    for part in (slice(0, 3), slice(3, 20), slice(5, 6)):  # judged in parts
        some = outputs[ends[part.start] : ends[part.stop]]
        np.testing.assert_array_equal(task.correct(some, data[part]), expected[part])
    assert task.correct(outputs[:0], data[:0]).tolist() == []


def test_nan_is_wrong_wherever_it_is():
    task, data = EmbeddedReber(), from_text("BTBTXSETE", "BPBTXSEPE")
    right = replace(drawn(7, n_train=2, n_test=1, target="legal"), train=data).sample
    legal = right(np.random.default_rng(0), 1)
    assert task.correct(legal.targets, legal).all()
    for place in range(legal.targets.size):
        for spoil in (np.float32, np.float64):
            outputs = legal.targets.astype(spoil)
            outputs.flat[place] = np.nan
            assert not task.correct(outputs, legal).any()


def test_the_outer_symbol_matters_and_ties_are_wrong():
    task = EmbeddedReber()
    data = from_text("BTBTXSETE", "BPBTXSEPE")
    outputs = np.zeros((16, 7))
    for row, text in enumerate(["BTBTXSETE"[:k] for k in range(1, 9)]):
        legal = [SYMBOLS.index(letter) for letter in legal_after(text)]
        outputs[row, legal] = outputs[row + 8, legal] = 1.0
    # Outputs for T and P differ only at the symbol before the last.
    np.testing.assert_array_equal(task.correct(outputs, data), [True, False])
    outputs[14, SYMBOLS.index("P")] = 1.0
    np.testing.assert_array_equal(task.correct(outputs, data), [True, False])
    outputs[14, SYMBOLS.index("T")] = 0.9
    np.testing.assert_array_equal(task.correct(outputs, data), [True, True])


def test_given_sets():
    train, test = from_text("BTBTXSETE"), from_text("BPBPVVEPE", "BTBTSXSETE")
    task = EmbeddedReber(n_train=1, n_test=2, train=train, test_set=test)
    assert task.mean_length == 9.0
    assert as_text(task.sample(np.random.default_rng(0), 2)) == ["BTBTXSETE"] * 2


@each(
    "bad",
    [
        "BTBTXSEPE",  # the outer symbols differ
        "BTBTXSET",  # has no end
        "TBTXSE",  # does not start
        "BTBTXSETEE",  # continues after its end
        "BTBTTXSETE",  # T twice
        "BTXSE",  # not embedded
    ],
)
def test_illegal_strings_are_refused(bad):
    good = from_text("BTBTXSETE")
    with pytest.raises(DataError):
        EmbeddedReber(n_train=1, n_test=1, train=good, test_set=from_text(bad))


def test_correct_refuses_illegal_strings():
    data = from_text("BTBTXSETE", "BTBTTXSETE")
    with pytest.raises(DataError, match="sequence 1 breaks the grammar at its step 4"):
        EmbeddedReber().correct(np.zeros((17, 7)), data)


def test_incomplete_settings_are_refused():
    good = from_text("BTBTXSETE")
    with pytest.raises(SettingError, match="belong together"):
        EmbeddedReber(n_train=1, train=good)
    with pytest.raises(SettingError, match="n_test is 256"):
        EmbeddedReber(n_train=1, train=good, test_set=good)
    for call in (EmbeddedReber().sample, EmbeddedReber().test):
        with pytest.raises(SettingError, match="draw"):
            call(np.random.default_rng(0), 1)
    other = Sequences.from_lists([[0.5]], [[1.0]])
    with pytest.raises(DataError, match="BTPSXVE"):
        EmbeddedReber(n_train=1, n_test=1, train=good, test_set=other)
