"""Plot of a study: which curves are drawn, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from carrousel.contracts import Experiment
from carrousel.errors import SettingError
from carrousel.experiments.recipes.vary import renamed, varied
from carrousel.experiments.store.store import Store
from carrousel.experiments.study.plot import LONGEST_LABEL, drawn, study_svg
from carrousel.experiments.study.study import AS_IT_STANDS, Study, find
from carrousel.experiments.study.survival_plot import MOST_LINES
from support.case import case
from support.experiments import fakes

BUDGET = 1000
ROW = fakes.experiment(budget=BUDGET)
RECIPES = [renamed(ROW, {"training.rate": r}, f"4-1 {n}", "") for n, r in (("robust", 3), ("m", 4))]
Make = Callable[..., Study]


@pytest.fixture
def study(tmp_path: Path) -> Make:
    """Make a study of experiments, each with three trials of about the given sequences."""

    def make(*held: tuple[Experiment, int]) -> Study:
        with Store(tmp_path) as store:
            for experiment, sequences in held:
                for n in range(3):
                    trial = fakes.trial(n, experiment.name, sequences=sequences + n)
                    store.append(trial, experiment, instruction_set="none")
            return find(store, ROW)

    return make


def rates(number: int) -> list[tuple[Experiment, int]]:
    return [(varied(ROW, {"rate": 1 + n / 8}), 100 + 10 * n) for n in range(1, number + 1)]


def test_the_row_is_first_then_the_best_variations_then_recipes(study: Make):
    found = study(*rates(9)[::-1], (ROW, 900), *((row, 50) for row in RECIPES))
    assert [one.label for one in drawn(found)] == [
        AS_IT_STANDS,
        *(f"rate={1 + n / 8:g}" for n in range(1, 6)),
        *("m", "robust"),
    ]


def test_as_many_curves_are_drawn_as_fit(study: Make):
    varied_rows, row, recipe_rows = rates(12), [(ROW, 500)], [(row, 70) for row in RECIPES]
    found = study(*varied_rows, *row, *recipe_rows)
    for number, recipes, base in product([0, 1, 5, 6, 7, 8, 12], [0, 1, 2], [0, 1]):
        with case(number, recipes, base):
            chosen = [*varied_rows[:number], *row[:base], *recipe_rows[:recipes]]
            names = {one.name for one, _ in chosen}
            part = tuple(one for one in found.variations if one.name in names)
            shown = drawn(Study(ROW, part))
            assert len(part) == len(names) == number + recipes + base
            assert len(shown) == min(len(part), MOST_LINES)
            assert len({one.name for one in shown}) == len(shown)
            assert sum("=" not in one.label for one in shown) == base + recipes


def test_unfinished_variations_are_drawn_only_without_finished_ones(study: Make, tmp_path):
    half = varied(ROW, {"rate": 2.0})
    with Store(tmp_path) as store:
        store.session(half, seed=0, trials=5)
    assert [one.label for one in drawn(study((half, 100)))] == ["rate=2"]
    assert study_svg(study()).startswith("<?xml")
    assert [one.label for one in drawn(study((ROW, 200), *rates(1)))] == [
        AS_IT_STANDS,
        "rate=1.125",
    ]


def test_a_varied_recipe_is_a_variation(study: Make):
    further = varied(RECIPES[0], {"budget": 500})
    found = study((ROW, 900), (further, 10), (RECIPES[0], 20))
    assert [one.label for one in drawn(found)] == [AS_IT_STANDS, "robust budget=500", "robust"]


def test_a_study_without_trials_cannot_be_drawn():
    with pytest.raises(SettingError, match="no trial of 4-1 has ended yet"):
        study_svg(Study(ROW, ()))


def test_the_axis_is_logarithmic_only_if_curves_are_far_apart(study: Make):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    (near, _), (far, _) = rates(2)
    quick = replace(ROW, published=replace(ROW.published, sequences=None))
    text = study_svg(replace(study((ROW, 900), (near, 100)), experiment=quick))
    assert ">0</text>" in text  # a logarithmic axis has no zero
    text = study_svg(replace(study((far, 10)), experiment=quick))
    assert ">0</text>" not in text


def test_long_labels_are_cut(study: Make):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    biases = [-1.25] * 8
    long = fakes.experiment(network=replace(ROW.network, cell=replace(ROW.network.cell, blocks=8)))
    point = varied(replace(long, budget=BUDGET), {"input_gate_bias": biases, "rate": 0.125})
    labels = re.findall(r">([^<>]*) \(3 of 3\)<", study_svg(study((point, 50))))
    assert [len(label) for label in labels] == [LONGEST_LABEL]
    assert labels[0].endswith("…")
