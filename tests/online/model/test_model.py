"""All forms of one stream give the same predictions and the same model."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carrousel
from carrousel import OnlineLSTM
from carrousel.errors import RowError
from carrousel.online.model import batch
from support.online.cases import case
from support.online.models import (
    COLOURS,
    KINDS,
    as_rows,
    draw_columns,
    each,
    inside,
    knowledge,
    model,
    rows_of,
    stream,
)


def targets(y, n):
    return [None] * n if y is None else list(y)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_equal_a_run(kind):
    X, y = stream(kind, np.random.default_rng(0), 60)
    whole, steps, river = model(kind), model(kind), model(kind)
    predictions = whole.run(X, y)
    for n, (x, t) in enumerate(zip(each(X), targets(y, 60), strict=True)):
        if kind != "symbols/next" and (n or kind != "numbers/vectors"):
            # symbols: a step learns before it predicts; vectors: the first target sets the shape
            np.testing.assert_array_equal(river.predict_one(x), predictions[n])
        river.learn_one(x, t)
        np.testing.assert_array_equal(steps.step(x, t), predictions[n])
    assert knowledge(whole) == knowledge(steps) == knowledge(river)
    assert whole.n_steps_ == 60


@pytest.mark.parametrize("kind", [k for k in KINDS if not k.endswith(("regression", "vectors"))])
def test_probabilities_of_steps_runs_and_predictions_agree(kind):
    X, y = stream(kind, np.random.default_rng(1), 80)
    whole, steps = model(kind), model(kind)
    table = whole.run(X, y, proba=True)
    classes = whole.classes_.tolist()
    assert table.shape == (80, len(classes))
    sums = table.sum(axis=1)
    np.testing.assert_allclose(sums[1:], 1.0, rtol=1e-12)
    for n, (x, t) in enumerate(zip(each(X), targets(y, 80), strict=True)):
        found = steps.step(x, t, proba=True)
        full = [found.get(c, 0.0) for c in classes]
        np.testing.assert_array_equal(full, table[n])
    ahead = rows_of(X, 0, 5)
    found = whole.predict_proba(ahead)
    labels = whole.predict(ahead)
    np.testing.assert_array_equal(labels, np.array(classes)[found.argmax(axis=1)])
    first = each(ahead)[0]
    assert list(whole.predict_proba_one(first).values()) == found[0].tolist()
    assert whole.predict_one(first) == labels[0]


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_runs_in_pieces_equal_one_run(data):
    kind = data.draw(st.sampled_from(KINDS))
    X, y = stream(kind, np.random.default_rng(2), 30)
    names = data.draw(st.none() | st.lists(st.sampled_from("pqr"), min_size=30, max_size=30))
    cuts = sorted(data.draw(st.lists(st.integers(0, 30), max_size=4)))
    shape = {"streams": 2} if names else {}
    whole, pieces = model(kind, **shape), model(kind, **shape)
    expected = whole.run(X, y, keys=names)
    found = [
        pieces.run(
            rows_of(X, a, b),
            None if y is None else y[a:b],
            keys=None if names is None else names[a:b],
        )
        for a, b in zip([0, *cuts], [*cuts, 30], strict=True)
        if a < b
    ]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert knowledge(whole) == knowledge(pieces)


@pytest.mark.parametrize("kind", KINDS)
def test_predicting_changes_nothing(kind):
    X, y = stream(kind, np.random.default_rng(3), 40)
    one, again = model(kind), model(kind)
    for fresh in (one.predict(X), one.predict_one(each(X)[0])):
        assert fresh is not None or kind == "named/multiclass"
    assert knowledge(one) is None
    one.run(X, y)
    again.run(X, y)
    before = knowledge(one)
    ahead = one.predict(X)
    one.predict_one(each(X)[0])
    one.predict_one(each(X)[0], key="a new stream")
    assert knowledge(one) == before
    steps = [again.step(x) for x in each(X)] if kind != "symbols/next" else ahead
    np.testing.assert_array_equal(steps, ahead)


def test_all_forms_of_a_table_are_equal():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(4)
    table, y = draw_columns(rng, 50), rng.normal(size=50)
    forms = {
        "columns": (table, y),
        "rows": (as_rows(table), y.tolist()),
        "lists": ({name: column.tolist() for name, column in table.items()}, y),
        "other order": ({name: table[name] for name in sorted(table)}, y),
        "frame": (pandas.DataFrame(table), pandas.Series(y)),
        "generator": (iter(as_rows(table)), tuple(y)),
    }
    found = {name: OnlineLSTM(cells=3, random_state=1).run(*given) for name, given in forms.items()}
    arrow = pytest.importorskip("pyarrow")
    found["arrow"] = OnlineLSTM(cells=3, random_state=1).run(arrow.table(table), arrow.array(y))
    for predictions in found.values():
        np.testing.assert_array_equal(predictions, found["columns"])


def test_all_forms_of_an_array_are_equal():
    rng = np.random.default_rng(5)
    X, y = rng.integers(-3, 4, size=(40, 3)), rng.integers(0, 9, 40)
    forms = [(X, y), (X.astype(np.float32), y), (X.tolist(), y.tolist()), (X.astype(object), y)]
    forms += [(np.asfortranarray(X.astype(float)), y), ([list(map(np.int8, x)) for x in X], y)]
    found = [OnlineLSTM(cells=3, random_state=1).run(*given) for given in forms]
    for predictions in found[1:]:
        np.testing.assert_array_equal(predictions, found[0])
    steps = OnlineLSTM(cells=3, random_state=1)
    np.testing.assert_array_equal(
        [steps.step(x, t) for x, t in zip(X[:, ::-1], y, strict=True)],
        OnlineLSTM(cells=3, random_state=1).run(X[:, ::-1], y),
    )


@pytest.mark.parametrize("kind", ["numbers/regression", "numbers/vectors", "named/multiclass"])
def test_rows_without_a_target_are_not_learned(kind):
    X, y = stream(kind, np.random.default_rng(6), 30)
    vectors = kind == "numbers/vectors"
    for gap in (None, float("nan")):
        holes = set(range(0, 30, 3))
        gappy = [gap if n in holes else t for n, t in enumerate(list(y))]
        if vectors and gap is not None:
            gappy = np.where(np.isin(np.arange(30), list(holes))[:, None], np.nan, y)
        elif vectors:  # in a step, the first target sets the shape
            holes.discard(0)
            gappy[0] = y[0]
        whole, steps = model(kind), model(kind)
        predictions = whole.run(X, gappy)
        if vectors and 0 in holes:
            continue  # only a run can look ahead for the shape of a target
        with case(gap):
            for n, x in enumerate(each(X)):
                found = steps.step(x, None if n in holes else y[n])
                np.testing.assert_array_equal(found, predictions[n])
            assert knowledge(whole) == knowledge(steps)


def test_next_learns_a_symbol_as_the_target_of_the_one_before():
    text = "abcabcabc" * 60
    known = OnlineLSTM("next", symbols="abc", cells=6, random_state=0)
    predictions = known.run(text)
    assert "".join(predictions[-9:]) == "bcabcabca"
    assert known.predict_one("a") == "b"
    numbers = OnlineLSTM("next", symbols=3, cells=6, random_state=0)
    codes = np.array(["abc".index(symbol) for symbol in text])
    expected = ["abc".index(symbol) for symbol in predictions]
    np.testing.assert_array_equal(numbers.run(codes), expected)
    assert numbers.classes_.tolist() == [0, 1, 2]
    for form in (codes.tolist(), codes.astype(object), codes.astype(np.int8), codes.astype(float)):
        again = OnlineLSTM("next", symbols=3, cells=6, random_state=0).run(form)
        np.testing.assert_array_equal(again, numbers.clone().run(codes))
    for bad in ([0, 1, 3], np.array([0, 1, -1]), [0, 1, 0.5], [0, 1, "a"]):
        with pytest.raises(RowError, match=r"row 2: x is .*, expected a symbol of the alphabet"):
            numbers.clone().run(bad)


def test_it_learns_a_task_that_needs_memory():
    """The target is the input of the step before; the variance is the best without memory."""
    rng = np.random.default_rng(7)
    X = rng.choice([-1.0, 1.0], (4000, 1))
    y = 1000 + 50 * np.roll(X[:, 0], 1)
    found = OnlineLSTM(cells=8, random_state=1).run(X, y)
    assert np.mean((found[-500:] - y[-500:]) ** 2) < 0.1 * 50**2


def test_binary_labels_may_have_any_type():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(800, 1))
    for labels in ((False, True), (0, 1), ("no", "yes"), (-1.5, ("t", 2))):
        y = [labels[int(x > 0)] for x in X[:, 0]]
        learner = OnlineLSTM("binary", cells=4, random_state=1)
        found = learner.run(X, y)
        with case(labels):
            assert sum(a == b for a, b in zip(found[-100:], y[-100:], strict=True)) > 90
            assert set(learner.classes_.tolist()) == set(labels)
            assert type(learner.predict_one(X[0])) is type(labels[0]) or labels[0] == -1.5
            fixed = OnlineLSTM("binary", classes=labels[::-1], cells=4, random_state=1)
            fixed.step(X[0], y[0])
            assert fixed.classes_.tolist() == list(labels[::-1])


def test_true_and_one_are_positive_in_any_order():
    for first, classes in ((True, [False, True]), (1, [0, 1]), (0, [0, 1])):
        learner = OnlineLSTM("binary", random_state=1)
        learner.step([0.0], first)
        learner.step([0.0], type(first)(not first))
        assert learner.classes_.tolist() == classes


def test_a_model_without_rows_predicts():
    assert OnlineLSTM().predict_one([1.0]) == pytest.approx(0.0, abs=1.0)
    assert OnlineLSTM("multiclass").predict_one({"a": 1}) is None
    assert OnlineLSTM("multiclass").predict_proba_one({"a": 1}) == {}
    assert set(OnlineLSTM("binary").predict_proba_one({"a": 1})) == {False, True}
    assert OnlineLSTM("multiclass", classes="ab").predict_one([1.0]) in ("a", "b")
    fresh = OnlineLSTM()
    assert (fresh.keys, fresh.nbytes, fresh.n_steps_) == ((), 0, 0)
    for name in ("n_features_in_", "feature_names_in_", "classes_"):
        assert not hasattr(fresh, name)


def test_attributes_of_a_model():
    learner = OnlineLSTM("multiclass", cells=4, random_state=1)
    learner.run(draw_columns(np.random.default_rng(0), 20), ["x", "y"] * 10)
    assert learner.feature_names_in_.tolist() == ["b", "a", "colour"]
    assert learner.n_features_in_ == 3
    assert learner.classes_.tolist() == ["x", "y"]
    assert set(inside(learner).features.columns["colour"]) <= set(COLOURS)
    before = learner.nbytes
    learner.run(draw_columns(np.random.default_rng(1), 200), ["x", "y"] * 100)
    assert learner.nbytes == before
    numbers = OnlineLSTM(random_state=1).partial_fit([[1.0]], [1.0])
    assert not hasattr(numbers, "feature_names_in_")
    assert not hasattr(numbers, "classes_")


def test_the_model_is_imported_lazily():
    assert carrousel.OnlineLSTM is OnlineLSTM
    assert "OnlineLSTM" in dir(carrousel)
    code = (
        "import sys, carrousel; assert 'carrousel.online' not in sys.modules; carrousel.OnlineLSTM;"
        "print([m for m in ('torch', 'river', 'sklearn', 'pandas') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'OfflineLSTM'"):
        carrousel.OfflineLSTM  # noqa: B018


class Interrupted(list):
    """Rows that raise KeyboardInterrupt at the eleventh."""

    def __getitem__(self, n):
        if n == 10:
            raise KeyboardInterrupt
        return super().__getitem__(n)


def test_rows_learned_before_an_interrupt_stay_learned(monkeypatch):
    monkeypatch.setattr(batch, "_MOST", 4)
    rows = Interrupted([{"a": float(n)} for n in range(20)])
    first, other = (OnlineLSTM(cells=2, random_state=1) for _ in range(2))
    with pytest.raises(KeyboardInterrupt):
        first.run(rows, list(range(20)))
    other.run(rows[:8], list(range(8)))
    assert knowledge(first) == knowledge(other)
