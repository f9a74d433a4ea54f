"""Studies: variations of a row in a store, their effects, tables and plots."""

from __future__ import annotations

import io
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from rich.console import Console

from carrousel.contracts import Experiment, Training
from carrousel.errors import MissingExtraError, SettingError
from carrousel.experiments.judge.statistics import Counts, logrank_p, survival
from carrousel.experiments.recipes.vary import renamed, varied
from carrousel.experiments.store.settings import settings_of
from carrousel.experiments.store.store import Store
from carrousel.experiments.study import table as tables
from carrousel.experiments.study.effects import effects, study_as_json
from carrousel.experiments.study.study import AS_IT_STANDS, Study, changes_of, find
from carrousel.experiments.study.survival_plot import (
    MOST_LINES,
    SurvivalLine,
    survival_png,
    survival_svg,
    thinned,
)
from support.case import each
from support.experiments import fakes

BUDGET = 1000
ROW = fakes.experiment(budget=BUDGET)


def put(
    store: Store, experiment: Experiment, scale: int, unsolved: int = 0, ending: str = "budget"
) -> None:
    """Ten trials that take 1 to 10 times ``scale``; the last ones fail."""
    for n in range(10):
        failed = n >= 10 - unsolved
        trial = fakes.trial(
            n,
            experiment.name,
            ending=ending if failed else "solved",
            sequences=experiment.budget if failed else scale * (n + 1),
        )
        store.append(trial, experiment, instruction_set="none")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    with Store(tmp_path_factory.mktemp("store")) as store:
        put(store, ROW, 50)
        put(store, varied(ROW, {"rate": 1.0}), 20)
        put(store, varied(ROW, {"rate": 0.1}), 90, unsolved=6)
        put(store, varied(ROW, {"rate": 0.1, "bias": "none"}), 10, unsolved=10)
        recipe = renamed(ROW, {"training.rate": 0.3, "network.bias": "none"}, "4-1 robust", "")
        put(store, recipe, 10)
        put(store, fakes.experiment(budget=800), 30, unsolved=1, ending="diverged")
        put(store, fakes.experiment("4-10", budget=BUDGET), 1)
        put(store, fakes.experiment("4", budget=BUDGET), 1)
        store.session(varied(ROW, {"rate": 2.0}), seed=0, trials=3)
        put(store, varied(ROW, {"rate": 3.0}), 20)
        store.session(varied(ROW, {"rate": 3.0}), seed=0, trials=12)
        return find(store, ROW)


def rendered(study: Study, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, legacy_windows=False)
    console.print(tables.terminal(study, width=width))
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


# --- variations ----------------------------------------------------------------------------------


def test_all_variations_are_found_and_sorted_by_success(study):
    assert [one.label for one in study.variations] == [
        "robust",
        "rate=1",
        "rate=3",
        AS_IT_STANDS,
        "budget=800",
        "rate=0.1",
        "bias=none rate=0.1",
    ]
    assert {len(one.trials) for one in study.variations} == {10}
    base = study.base
    assert base is not None
    assert (base.name, base.changes) == ("4-1", ())


def test_changes_are_differences_from_the_row(study):
    of = {
        one.label: {c.path: (c.default, c.value) for c in one.changes} for one in study.variations
    }
    assert of["robust"] == {"training.rate": (0.5, 0.3), "network.bias": ("all", "none")}
    assert of["budget=800"] == {"budget": (1000, 800)}


def test_a_setting_that_was_added_later_has_its_default_in_older_trials():
    later = fakes.experiment(training=Training(rate=0.5, halves_every=7))
    older = fakes.experiment(training=Training(rate=0.5))
    assert "halves_every" not in settings_of(older)["training"]
    there = changes_of(older, settings_of(later))
    back = changes_of(later, settings_of(older))
    assert [(c.path, c.default, c.value) for c in there] == [("training.halves_every", 0, 7)]
    assert [(c.path, c.default, c.value) for c in back] == [("training.halves_every", 7, 0)]
    assert changes_of(later, settings_of(replace(later, name="another"))) == ()


def test_statistics_include_unsolved_trials(study):
    found = {one.label: one.outcome for one in study.variations}
    slow = found["rate=0.1"]
    assert (slow.trials, slow.solved, slow.mean, slow.median) == (10, 4, 225.0, None)
    assert slow.expected == (90 + 180 + 270 + 360 + 6 * BUDGET) / 4
    never = found["bias=none rate=0.1"]
    assert (never.mean, never.median, never.expected_ci95) == (None, None, None)
    assert found[AS_IT_STANDS].median == 250.0
    assert found["budget=800"].last == 800  # the diverged trial counts up to its budget


def test_a_variation_is_judged_by_its_own_trials_and_budget(study):
    kinds = {one.label: one.verdict.kind for one in study.variations}
    assert kinds["rate=3"] == "pending"  # 10 of 12 requested trials
    assert kinds[AS_IT_STANDS] == "faster"
    assert kinds["bias=none rate=0.1"] == "not reproduced"


def test_a_variation_of_the_departing_setting_does_not_depart(tmp_path):
    reading = replace(ROW.readings[0], field="training.rate", departs=True)
    row = replace(ROW, readings=(reading,))
    with Store(tmp_path) as store:
        put(store, row, 50)
        put(store, varied(row, {"rate": 0.1}), 60)
        found = {one.label: one.verdict for one in find(store, row).variations}
    assert found[AS_IT_STANDS].departs == ("training.rate",)
    assert found["rate=0.1"].departs == ()


# --- effects -------------------------------------------------------------------------------------


def test_effects_are_those_of_fields_that_varied_alone(study):
    found = {effect.path: effect for effect in effects(study)}
    assert set(found) == {"network.bias", "training.rate"}  # budgets are not compared
    rate = found["training.rate"]
    assert rate.held == ()
    assert [level.value for level in rate.levels] == [0.1, 0.5, 1]
    assert [level.default for level in rate.levels] == [False, True, False]
    by_label = {one.label: one for one in study.variations}
    slow = rate.levels[0]
    assert slow.p == logrank_p(by_label[AS_IT_STANDS].counts, by_label["rate=0.1"].counts)
    assert slow.p is not None
    assert slow.p_adjusted is not None
    assert slow.p <= slow.p_adjusted < 0.05
    assert rate.levels[1].p is None
    bias = found["network.bias"]  # never varied alone from the row
    assert [(level.value, level.default) for level in bias.levels] == [
        ("all", True),
        ("none", False),
    ]
    assert [str(change) for change in bias.held] == ["rate=0.1"]
    assert bias.sentences()[0] == "network.bias with rate=0.1:"
    sentences = " ".join(rate.sentences())
    assert "0.5 → 0.1 solved 4 of 10 (was 10 of 10), median > 1,000 (was 250), p = " in sentences


def test_without_the_value_of_the_row_levels_are_listed_without_comparison(study):
    alone = Study(ROW, tuple(one for one in study.variations if one.changes))
    assert alone.base is None
    (rate,) = (effect for effect in effects(alone) if effect.path == "training.rate")
    assert [(level.value, level.default, level.p) for level in rate.levels] == [
        (0.1, False, None),
        (1, False, None),
    ]
    assert rate.changed()[1] == "1 solved 10 of 10, median 100"
    assert "Verdict on the row" not in rendered(alone, 80)


def test_the_comparison_with_most_levels_is_chosen(tmp_path):
    search = {"budget": 900}
    with Store(tmp_path) as store:
        put(store, ROW, 50)
        put(store, varied(ROW, {"rate": 0.2}), 40)
        for rate in (0.5, 1.0, 2.0):
            put(store, varied(ROW, {**search, "rate": rate}), round(30 * rate))
        put(store, varied(ROW, {**search, "bias": "none"}), 20, unsolved=3)
        put(store, varied(ROW, {**search, "bias": "none", "rate": 8.0}), 20)
        put(store, renamed(ROW, {"training.rate": 9.0}, "4-1 robust", ""), 10)
        study = find(store, ROW)
    found = {effect.path: effect for effect in effects(study)}
    assert set(found) == {"training.rate", "network.bias"}
    rate = found["training.rate"]
    assert [(level.value, level.default) for level in rate.levels] == [
        (0.5, True),
        (1, False),
        (2, False),
    ]
    assert {str(change) for effect in found.values() for change in effect.held} == {"budget=900"}
    counts = {one.label: one.counts for one in study.variations}
    assert rate.levels[2].p == logrank_p(counts["budget=900"], counts["budget=900 rate=2"])
    assert rate.as_json()["held"] == {"budget": 900}
    assert study_as_json(study)["effects"] == [found[path].as_json() for path in sorted(found)]


def test_comparisons_with_a_solved_trial_are_preferred(tmp_path):
    with Store(tmp_path) as store:
        for rate in (1.0, 2.0, 4.0):
            put(store, varied(ROW, {"bias": "none", "rate": rate}), 1, unsolved=10)
        put(store, varied(ROW, {"budget": 900}), 10)
        put(store, varied(ROW, {"budget": 900, "rate": 1.0}), 20, unsolved=9)
        (rate,) = effects(find(store, ROW))
    assert [level.value for level in rate.levels] == [0.5, 1]
    assert [str(change) for change in rate.held] == ["budget=900"]


# --- tables --------------------------------------------------------------------------------------


@each("width", [30, 40, 60, 80, 100, 160])
def test_tables_fit_and_keep_the_main_columns(study, width):
    shown = rendered(study, width)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if line.startswith("variation"))
    assert {"solved", "median"} <= set(head.split())
    assert ("verdict" in head) >= (width >= 80)
    assert ("interval" in head) >= (width >= 160)
    assert "…" not in shown
    for one in study.variations:
        assert f"{one.outcome.solved} of 10" in shown


def test_long_labels_are_folded_and_not_cut(study):
    long = replace(study.variations[0], label=" ".join(f"field_{n}=0.12345" for n in range(6)))
    shown = rendered(Study(ROW, (long, *study.variations[1:])), 80)
    for n in range(6):
        assert f"field_{n}=0.12345" in shown


def test_notes_list_unfinished_and_diverged_trials_recipes_and_the_verdict(study):
    notes = " ".join(tables.notes(study))
    assert "rate=3: 10 of 12 trials have ended" in notes
    assert "budget=800: 1 trial diverged and counts as unsolved after the budget of 800" in notes
    assert "robust (the row's values in brackets): network.bias none (all)" in notes
    assert "Verdict on the row as it stands: faster by 100 % (solved 10 of 10" in notes


def test_markdown_has_one_row_per_variation(study):
    text = tables.markdown(study)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(study.variations)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1
    assert text.startswith("## 4-1: adding problem, T = 100\n")


def test_json_is_strict_and_complete(study):
    found = study_as_json(study)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [one["label"] for one in found["variations"]] == [one.label for one in study.variations]
    assert found["variations"][-1]["expected"] is None  # infinite
    assert {effect["path"] for effect in found["effects"]} == {"network.bias", "training.rate"}


def test_the_study_of_a_store_without_the_row_is_empty(tmp_path):
    with Store(tmp_path) as store:
        put(store, fakes.experiment("6a", budget=BUDGET), 1)
        nothing = find(store, ROW)
    assert nothing.variations == ()
    assert "no trial has ended yet" in rendered(nothing, 80)
    assert "No trial has ended yet" in tables.markdown(nothing)
    assert study_as_json(nothing)["variations"] == []


# --- plots ---------------------------------------------------------------------------------------


def lines_of(study: Study) -> list[SurvivalLine]:
    return [SurvivalLine(one.label, survival(one.counts)) for one in study.variations]


@each("log", [False, True])
def test_a_plot_is_reproducible_and_contains_its_labels(study, log):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    lines = lines_of(study)
    text = survival_svg("4-1 <&> x", lines, paper=74.5, log=log)
    assert text == survival_svg("4-1 <&> x", lines, paper=74.5, log=log)
    assert "<dc:date>" not in text
    written = "".join(ElementTree.fromstring(text).itertext())
    for wanted in ("4-1 <&> x", "robust (10 of 10)", "rate=0.1 (4 of 10)", "paper: 74.5"):
        assert wanted in written
    assert survival_png("4-1", lines, log=log).startswith(b"\x89PNG")


def test_the_largest_plot_is_below_40_kilobytes():
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    counts = Counts(tuple(float(3 * n * n + 7) for n in range(500)), (True,) * 499 + (False,))
    label, curve = "a long label of a variation {}", survival(counts)
    lines = [SurvivalLine(label.format(n), curve) for n in range(MOST_LINES)]
    for log in (False, True):
        assert len(survival_svg("4-1", lines, paper=7e5, log=log).encode()) < 40_000


def test_thinning_keeps_both_ends():
    curve = survival(Counts(tuple(float(n) for n in range(1, 501)), (True,) * 500))
    at, share, low, high = thinned(curve, 50)
    assert len(at) == len(share) == len(low) == len(high) <= 50
    assert (at[0], at[-1]) == (1.0, 500.0)
    assert (share[0], share[-1]) == (curve.share[0], curve.share[-1])
    assert thinned(curve, 500)[0] == list(curve.sequences)


def test_more_curves_than_colours_are_an_error(study):
    with pytest.raises(SettingError, match="expected 1 to 8"):
        survival_svg("4-1", [])
    with pytest.raises(SettingError, match="lines has 9 curves"):
        survival_svg("4-1", lines_of(study)[:1] * 9)


def test_without_the_extra_the_error_names_it(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[plot\]'"):
        survival_svg("4-1", lines_of(study))
