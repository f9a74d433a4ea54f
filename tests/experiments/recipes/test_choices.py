"""Listed settings run, with every listed value; others are refused."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Experiment
from carrousel.errors import CarrouselError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.choices import Choice, check_runs, choices_of
from carrousel.experiments.recipes.vary import paths_of, varied
from carrousel.learners import learner_named
from support.case import case, each

ROWS = {
    name: EXPERIMENTS[name]
    for name in ("1-1", "2a", "3a-1", "4-1", "6a", "1/rtrl-3", "1/elman", "1/rcc", "latch/I")
    if name in EXPERIMENTS
}
ROWS["4-1 modern"] = by_recipe(EXPERIMENTS["4-1"], "modern")


@cache
def listed(name: str) -> list[Choice]:
    return choices_of(ROWS[name])


def learn_a_sequence(experiment: Experiment) -> None:
    rng = np.random.default_rng(0)
    data = experiment.task.draw(rng).sample(rng, 1)
    learner = learner_named(experiment.learner)(experiment.network, experiment.training, 1)
    learner.begin(0, rng)
    learner.learn([data])
    assert learner.predict([data])[0] is not None


@pytest.mark.parametrize("name", ROWS)
def test_every_listed_value_learns(name):
    for choice in listed(name):
        for value in choice.values:
            with case(choice.path, value):
                learn_a_sequence(varied(ROWS[name], {choice.path: value}))


@pytest.mark.parametrize("name", ROWS)
def test_the_list_is_complete_and_in_order(name):
    """A path that is not listed has no other value among those that the listed ones have."""
    paths = list(paths_of(ROWS[name]))
    found = [choice.path for choice in listed(name)]
    assert found == [path for path in paths if path in found]
    probes: list[Any] = [True, False, None, 0, 1, 2, 0.5, "none", "gates", "hidden", "all", "cells"]
    for path in set(paths) - set(found):
        for value in probes:
            try:
                point = varied(ROWS[name], {path: value})
                check_runs(point)
            except CarrouselError:
                continue
            with case(path, value):
                assert point is ROWS[name] or path in OTHERWISE


OTHERWISE = ("task.train", "task.test_set")
"""Drawn sets, which nobody sets."""


@each("name", ROWS)
def test_values_are_those_of_the_row_or_run(name):
    for choice in listed(name):
        assert choice.value == paths_of(ROWS[name])[choice.path]
        assert bool(choice.values) or choice.others
        if choice.values:
            assert choice.value in choice.values or choice.path in ("learner", "network.bias")


def test_settings_of_absent_units_are_not_listed():
    paths = {choice.path for choice in listed("2a")}
    assert not {"network.init.recurrent_range", "network.init.cell_bias"} & paths
    assert not {"network.feedback_into", "training.factors.gate_biases"} & paths
    assert {"network.feedback", "training.factors.outputs", "network.inputs_to_outputs"} <= paths


def test_compiled_and_reference_gradients_are_both_listed():
    [learner] = [choice for choice in listed("4-1") if choice.path == "learner"]
    assert {"truncated", "bptt", "rtrl", "snap:1", "uoro"} <= set(learner.values)
    assert "snap:n" in learner.others
