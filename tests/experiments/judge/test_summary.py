"""Summaries: statistics over solved trials alone, and their JSON."""

from __future__ import annotations

import json
import math

import pytest

from carrousel.contracts import Published
from carrousel.experiments.judge.summary import summarise
from support.experiments import fakes


def mixed():
    return [
        fakes.trial(0, sequences=100, steps=1_000, measures={"wrong of 2560": 4.0, "mse": 0.5}),
        fakes.trial(1, sequences=300, steps=3_000, measures={"wrong of 2560": 8.0}),
        fakes.trial(2, sequences=200, steps=2_000, measures={"wrong of 2560": 5.0}),
        fakes.trial(3, ending="budget", sequences=10**6, steps=10**7, measures={"mse": 9.0}),
        fakes.trial(4, ending="diverged", sequences=7, steps=70, measures={"mse": math.nan}),
    ]


def test_means_are_over_solved_trials_and_the_median_over_all():
    found = summarise(fakes.experiment(), mixed(), 12.5)
    assert (found.trials, found.successes) == (5, 3)
    assert found.endings == {"solved": 3, "budget": 1, "diverged": 1}
    assert (found.sequences_mean, found.sequences_median) == (200.0, 300.0)  # three of five
    assert found.measures == {"wrong of 2560": 17 / 3, "mse": 0.5}
    assert found.steps == 10_006_070  # of all trials
    assert found.seconds == 12.5


@pytest.mark.parametrize("trials", [[], [fakes.trial(0, ending="budget")]])
def test_nothing_solved_gives_null(trials):
    found = summarise(fakes.experiment(), trials, 0.0).as_json()
    for key in ("sequences_mean", "sequences_median", "sequences_ci95"):
        assert found[key] is None
    assert found["successes"] == 0


def test_one_solved_trial_has_no_interval():
    found = summarise(fakes.experiment(), [fakes.trial(0)], 0.0)
    assert found.sequences_mean == fakes.trial(0).sequences
    assert found.sequences_ci95 is None


def test_json_has_the_promised_keys_and_is_strict():
    odd = [*mixed(), fakes.trial(5, measures={"mse": math.nan, "other": math.inf})]
    found = summarise(fakes.experiment(), odd, 1.5).as_json()
    promised = {
        *("name", "trials", "successes", "sequences_mean", "sequences_median"),
        *("sequences_ci95", "seconds", "steps", "published"),
    }
    assert promised <= found.keys()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["measures"]["other"] is None
    assert found["published"] == {
        "table": "Table 7",
        "success_percent": 100,
        "sequences": 74_000,
        "weights": 93,
        "trials": 10,
        "others": {"wrong of 2560": 1},
        "spread": None,
    }


def test_figures_missing_in_the_paper_are_null():
    silent = fakes.experiment(published=Published("section 5.2", None, None, None, 18))
    found = summarise(silent, [], 0.0).as_json()["published"]
    assert found["success_percent"] is found["sequences"] is found["weights"] is None
