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
from carrousel.experiments.judge.statistics import wilson
from carrousel.experiments.judge.verdict import KINDS, Verdict, rate_side, verdict
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


def test_a_rate_may_miss_the_printed_one_by_five_points():
    sides = [rate_side(wilson(n, 50), 0.5) for n in range(51)]
    order = ("below", "around", "above")
    ranks = [order.index(side) for side in sides if side is not None]
    assert ranks == sorted(ranks)  # more successes are never a worse rate
    assert set(ranks) == {0, 1, 2}
    assert rate_side(wilson(45, 50), 1.0) == "around"
    assert rate_side(wilson(44, 50), 1.0) == "below"
    assert rate_side(None, 1.0) is None


def test_without_a_printed_rate_one_success_is_enough():
    assert rate_side(wilson(1, 30), None) == "around"
    assert rate_side(wilson(0, 30), None) == "below"


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
