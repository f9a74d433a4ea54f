"""Verdicts: each rule, and better trials never lead to a worse verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Experiment, Published, Reading, Trial
from carrousel.errors import SettingError
from carrousel.experiments.judge.verdict import KINDS, Verdict, verdict
from support.case import each
from support.experiments import fakes

BUDGET = 1000
some = settings(max_examples=40, deadline=None)  # each example needs thousands of resamples


def row(
    percent: float | None = 100.0,
    sequences: float | None = 100.0,
    trials: int = 10,
    name: str = "4-1",
    **changes: Any,
) -> Experiment:
    published = Published("Table 7", percent, sequences, None, trials)
    return fakes.experiment(name, published=published, budget=BUDGET, **changes)


def solved(*sequences: int, unsolved: int = 0, budget: int = BUDGET) -> list[Trial]:
    trials = [fakes.trial(n, sequences=each) for n, each in enumerate(sequences)]
    failed = range(len(trials), len(trials) + unsolved)
    return trials + [fakes.trial(n, ending="budget", sequences=budget) for n in failed]


def kind(experiment: Experiment, trials: Sequence[Trial]) -> str:
    found = verdict(experiment, trials)
    assert found.kind in KINDS
    return found.kind


AROUND = (60, 70, 80, 90, 100, 105, 110, 120, 130, 150)
QUICK = tuple(each // 4 for each in AROUND)
SLOW = tuple(each * 4 for each in AROUND)


@each("sequences, want", [(AROUND, "reproduced"), (QUICK, "faster"), (SLOW, "slower")])
@each("percent", [100.0, 97.0, None])
def test_if_all_are_solved_the_mean_decides(sequences, want, percent):
    assert kind(row(percent), solved(*sequences)) == want


@each("sequences", [AROUND, QUICK, SLOW])
def test_with_too_few_successes_counts_do_not_matter(sequences):
    assert kind(row(), solved(*sequences[:5], unsolved=5)) == "not reproduced"


def test_a_row_is_pending_until_all_trials_of_the_paper_and_of_the_request_have_ended():
    assert kind(row(), solved(*AROUND[:9])) == "pending"
    assert kind(row(), []) == "pending"
    assert verdict(row(), solved(*AROUND), asked=11).kind == "pending"
    assert verdict(row(), solved(*AROUND), asked=5).kind == "reproduced"
    assert "9 of 10 trials have ended" in verdict(row(), solved(*AROUND[:9])).words
    with pytest.raises(SettingError, match="asked"):
        verdict(row(), [], asked=-1)


def test_a_row_without_printed_figures_is_unpublished():
    assert kind(row(None, None), solved(*AROUND)) == "unpublished"


def test_unsolved_trials_widen_the_interval():
    quick = solved(*(QUICK * 3)[:27], unsolved=3)  # 27 of 30: up to 97 %
    found = verdict(row(), quick)
    assert found.figures.rate_side == "around"
    assert found.figures.mean_ci95 is not None
    assert found.figures.ratio_ci95 is not None
    assert found.figures.restricted_mean is not None
    assert found.figures.mean_ci95[1] < 100  # solved trials alone would be judged faster
    assert found.kind == "reproduced"
    assert found.figures.restricted_mean == pytest.approx(
        sum(trial.sequences for trial in quick) / 30
    )


def test_one_success_is_enough_where_the_paper_says_some():
    words = Reading("published.success_percent", "not a number", "'some fraction'")
    experiment = row(None, 100.0, readings=(words,), name="1/rtrl-3")
    assert kind(experiment, solved(unsolved=10)) == "not reproduced"
    assert kind(experiment, solved(90, 100, 110, unsolved=7)) != "not reproduced"


@each(
    "percent, successes, want",
    [
        (0.0, 0, "reproduced"),
        (0.0, 10, "not reproduced"),
        (78.0, 0, "not reproduced"),
        (33.0, 3, "reproduced"),
    ],
)
def test_a_rival_must_fail_as_often_as_printed(percent, successes, want):
    experiment = row(percent, None, name="2a/rtrl")
    assert kind(experiment, solved(*AROUND[:successes], unsolved=10 - successes)) == want


def test_only_a_rival_can_be_solved_too_often():
    trials = solved(*AROUND * 5)
    assert kind(row(30.0, None, 10, name="2a/rtrl-p4-a1"), trials) == "not reproduced"
    assert kind(row(30.0, None, 10), trials) == "reproduced"
    assert kind(row(30.0, None, 10, name="2a training.kind=a/b"), trials) == "reproduced"


def test_guesses_are_compared_where_the_paper_counts_guesses():
    published = Published("section 4", None, None, None, 10, {"guesses": 6.0})
    experiment = fakes.experiment("guess/latch-1", published=published, budget=BUDGET)
    trials = [fakes.trial(n, measures={"guesses": float(2 + n)}) for n in range(10)]
    found = verdict(experiment, trials)
    assert (found.kind, found.figures.unit, found.figures.mean) == ("reproduced", "guesses", 6.5)


def test_a_departure_from_the_paper_is_reported():
    departing = (Reading("training.output_derivative", "no", "it learns", departs=True),)
    found = verdict(row(readings=departing), solved(*AROUND))
    assert found.label == "reproduced, with a departure"
    assert found.departs == ("training.output_derivative",)
    assert "with a departure from the paper in training.output_derivative" in found.words
    plain = verdict(row(), solved(*AROUND))
    assert not plain.with_a_departure
    assert plain.label == "reproduced"
    assert verdict(row(readings=departing), []).label == "pending"


def test_a_verdict_is_plain_json():
    for trials in ([], solved(*AROUND), solved(*AROUND[:8], unsolved=2), solved(unsolved=10)):
        found = verdict(row(), trials).as_json()
        assert json.loads(json.dumps(found, allow_nan=False))["kind"] == found["kind"]


def test_a_printed_range_replaces_the_variation_of_our_trials():
    """A wide printed range makes the printed mean less certain than our own trials suggest."""
    published = Published("Table 7", 100.0, 100.0, None, 10)
    wide = Published("Table 7", 100.0, 100.0, None, 10, spread=(10.0, 500.0))
    trials = solved(*(135 + n for n in range(20)))
    found = [
        verdict(fakes.experiment(published=one, budget=BUDGET), trials) for one in (published, wide)
    ]
    assert [each.kind for each in found] == ["slower", "reproduced"]
    assert found[0].label == "slower by 45 %"
    assert not found[0].met
    assert found[1].met


def test_the_aim_allows_a_quarter_more_sequences():
    near = verdict(row(trials=30), solved(*(118 + n % 3 for n in range(50))))
    assert (near.kind, near.label, near.met) == ("slower", "slower by 19 %", True)
    assert near.as_json()["met"]
    assert near.as_json()["figures"]["ratio"] == pytest.approx(1.19, abs=0.01)
    assert [verdict(row(), solved(*each)).met for each in (QUICK, AROUND, SLOW)] == [
        *(True, True, False)
    ]
    for trials in (solved(*AROUND[:5], unsolved=5), solved(*AROUND[:3])):  # too few, pending
        assert not verdict(row(), trials).met


@each(
    "wrong, printed, worse",
    [
        ((7, 8, 9, 8, 7, 9, 8, 7, 8, 9), 1.0, True),
        ((1, 2, 1, 2, 1, 2, 1, 2, 1, 2), 1.0, False),  # not twice as many
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 30), 1.0, False),  # not surely more
        ((0, 0, 0, 1, 0, 0, 0, 0, 0, 0), 0.0, False),
    ],
)
def test_a_second_figure_that_is_much_worse_is_mentioned(wrong, printed, worse):
    published = Published("Table 7", 100.0, 100.0, None, 10, others={"wrong": printed})
    trials = [
        fakes.trial(n, sequences=count, measures={"wrong": float(one)})
        for n, (count, one) in enumerate(zip(AROUND, wrong, strict=True))
    ]
    found = verdict(fakes.experiment(published=published, budget=BUDGET), trials)
    assert found.kind == "reproduced"  # the kind is about rates and counts
    [measure] = found.figures.measures
    assert (measure.ours, measure.printed) == (sum(wrong) / 10, printed)
    assert measure.much_worse == worse
    assert found.words.endswith("but 8 test sequences wrong, printed 1") == worse
    assert found.as_json()["figures"]["measures"][0]["ours"] == measure.ours


# --- properties ----------------------------------------------------------------------------------

counts = st.lists(st.integers(1, 60), min_size=10, max_size=16)
percents = st.sampled_from([100.0, 97.0, None])


@some
@given(counts, st.integers(0, 8), percents, st.randoms())
def test_the_order_of_trials_does_not_matter(values, unsolved, percent, random):
    trials = solved(*(5 * value for value in values), unsolved=unsolved)
    shuffled = trials.copy()
    random.shuffle(shuffled)
    assert verdict(row(percent), shuffled) == verdict(row(percent), trials)


@some
@given(counts, st.integers(1, 8), percents, st.integers(1, BUDGET))
def test_one_more_success_never_worsens_a_verdict(values, unsolved, percent, at):
    before = solved(*(5 * value for value in values), unsolved=unsolved)
    first = len(values)
    after = [*before[:first], fakes.trial(first, sequences=at), *before[first + 1 :]]
    if kind(row(percent), before) != "not reproduced":
        assert kind(row(percent), after) != "not reproduced"


@some
@given(counts, st.integers(0, 8), st.integers(2, 10), percents)
def test_quicker_trials_are_never_slower(values, unsolved, factor, percent):
    """If all counts and the budget are divided by a number, so is the interval."""
    rank = ("faster", "reproduced", "slower")
    found: list[Verdict] = []
    for scale in (factor, 1):
        budget = 100 * scale
        published = Published("Table 7", percent, 100.0, None, 10)
        experiment = fakes.experiment(published=published, budget=budget)
        counted = (value * scale for value in values)
        found.append(verdict(experiment, solved(*counted, unsolved=unsolved, budget=budget)))
    slow, quick = (each.kind for each in found)
    if "not reproduced" in (slow, quick):
        assert slow == quick  # decided by the rate, which is the same
    else:
        assert rank.index(quick) <= rank.index(slow)
