"""Command `study`, and recipes in all commands."""

from __future__ import annotations

import json
import re
import shlex
import sys
from contextlib import nullcontext

import pytest

from carrousel.cli.options import SEED, usable_cores
from carrousel.errors import StoreError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import RECIPES, rows_of
from carrousel.experiments.recipes.choices import choices_of
from carrousel.experiments.recipes.vary import varied
from carrousel.experiments.run import clusters, runner
from carrousel.experiments.store.store import Store
from support.case import each

ROW = EXPERIMENTS["4-1"]
GRID = ("--vary", "rate=0.3,0.4", "--vary", "init.range=0.3,0.4")
POINTS = [
    f"4-1 network.init.range={reach} training.rate={rate}"
    for rate in (0.3, 0.4)
    for reach in (0.3, 0.4)
]


# --- help and settings ---------------------------------------------------------------------------


def test_help_shows_how_to_write_settings(call):
    found = call("study", "--help")
    assert (found.code, found.err) == (0, "")
    text = " ".join(found.out.split())
    for part in ("--vary FIELD=A,B,C", "training.rate=0.1,0.5", "run a grid", "--settings"):
        assert part in text
    for recipe in RECIPES[:5]:
        assert recipe in text
    assert "carrousel list --recipes" in text
    assert "study" in call("--help").out


@each("name", ["4-1", "1/rcc", "guess/parity", "vowels"])
def test_settings_are_listed(call, fake, name, tmp_path):
    found = call("study", name, "--settings")
    assert (found.code, found.err, fake.calls) == (0, "", [])
    choices = choices_of(EXPERIMENTS[name])
    lines = [line.split() for line in found.out.splitlines()]
    assert [line[0] for line in lines] == [each.path for each in choices]
    assert ["budget", str(EXPERIMENTS[name].budget), "a", "whole", "number"] in lines
    listed = json.loads(call("study", name, "--settings", "--json").out)
    assert list(listed) == [each.path for each in choices]
    own = {path: one["value"] for path, one in listed.items()}
    assert varied(EXPERIMENTS[name], own) is EXPERIMENTS[name]
    assert list(tmp_path.iterdir()) == []


@each(
    "vary, said",
    [
        ("init.cell_bias=0", "no such bias; set bias to units that include them"),
        ("feedback_into=gates", "no unit is fed back; leave it None and set feedback"),
        ("feedback=outputs", "feedback 'outputs' is unknown"),
        ("bias=outputs+input_gates", "write 'input_gates+outputs'"),
        ("bias=forget_gates", "have no forget gates; leave 'forget_gates' out"),
        ("factors.recurrent=0.1", "expected 1.0, since the network has no such weights"),
        ("n_inputs=3", "expected 101, as the task has"),
    ],
)
def test_a_setting_that_cannot_run_is_refused_before_anything_runs(call, fake, vary, said):
    found = call("study", "2a", "--vary", vary, "--trials", 1)
    assert found.code != 0
    assert said in " ".join(found.err.split()), found.err
    assert fake.calls == []
    assert vary.partition("=")[0] not in [
        each.path.removeprefix("network.").removeprefix("training.")
        for each in choices_of(EXPERIMENTS["2a"])
        if each.path not in ("network.bias", "network.feedback")
    ]


# --- a grid ---------------------------------------------------------------------------------------


def test_every_point_of_a_grid_runs(call, fake):
    found = call("study", "4-1", *GRID, "--trials", 3, "--jobs", 2, "--out", "o")
    assert found.code == 0
    assert fake.calls == [(name, 3, SEED, 2, "loky") for name in POINTS]
    assert fake.ran == [(name, index) for name in POINTS for index in range(3)]
    for rate in (0.3, 0.4):
        for reach in (0.3, 0.4):
            assert re.search(rf"^range={reach} rate={rate} +3 of 3 ", found.out, re.MULTILINE)
    assert found.err.startswith("4 variations of 4-1, 12 trials. Seed 1997. Stored in o.")
    assert "carrousel study 4-1 --out o --plot curves.svg" in found.err


def test_the_row_itself_is_a_point_of_a_grid_with_its_value(call, fake):
    own = json.dumps(ROW.budget)
    call("study", "4-1", "--vary", f"budget={own},5", "--trials", 1)
    assert [name for name, *_ in fake.calls] == ["4-1", "4-1 budget=5"]


def test_the_default_number_of_trials_is_the_papers(call, fake):
    call("study", "4-1", "--vary", "rate=0.3")
    assert [made[1] for made in fake.calls] == [ROW.published.trials]
    assert fake.calls[0][3] == usable_cores()


def test_stored_trials_are_not_run_again(call, fake):
    call("study", "4-1", *GRID, "--trials", 2)
    call("study", "4-1", *GRID, "--trials", 3)
    call("study", "4-1", "--vary", "rate=0.3,0.9", "--vary", "init.range=0.3", "--trials", 3)
    first = [(name, index) for name in POINTS for index in range(2)]
    then = [(name, 2) for name in POINTS]
    new = [
        (POINTS[0].replace("0.3 training.rate=0.3", "0.3 training.rate=0.9"), i) for i in (0, 1, 2)
    ]
    assert fake.ran == [*first, *then, *new]


def test_a_study_uses_trials_of_reproduce(call, fake):
    call("reproduce", "4-1", "--trials", 2)
    found = call("study", "4-1", "--vary", f"budget={ROW.budget}", "--trials", 2)
    assert fake.ran == [("4-1", 0), ("4-1", 1)]
    assert re.search(r"^as it stands +2 of 2 ", found.out, re.MULTILINE)


def test_lists_are_readable(call, fake):
    found = call("study", "4-1", "--vary", "input_gate_bias=[-1,-2],[]", "--trials", 1)
    assert "input_gate_bias=[-1,-2] " in found.out
    assert "input_gate_bias=[] " in found.out


# --- output ---------------------------------------------------------------------------------------


def test_standard_output_is_json_alone(call, fake):
    found = call("study", "4-1", *GRID, "--trials", 2, "--json")
    written = json.loads(found.out)
    assert (found.code, written["name"]) == (0, "4-1")
    assert sorted(one["name"] for one in written["variations"]) == sorted(POINTS)
    assert {one["trials"] for one in written["variations"]} == {2}
    assert "--plot" not in found.err


def test_files(call, fake, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    options = ("--trials", 3, "--plot", "curves.svg", "--markdown", "table.md")
    found = call("study", "4-1", *GRID, *options)
    assert found.code == 0
    assert found.err.endswith("written: curves.svg\nwritten: table.md\n")
    plot = (tmp_path / "curves.svg").read_text("utf-8")
    assert "range=0.3 rate=0.4 (3 of 3)" in plot
    table = (tmp_path / "table.md").read_text("utf-8")
    assert "| range=0.3 rate=0.4 | 3 of 3 |" in table


def test_the_plot_of_a_large_grid_has_eight_curves(call, fake, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    rates = ",".join(str(rate / 100) for rate in range(1, 13))
    grid = ("--vary", f"rate={rates}", "--vary", f"budget={ROW.budget}", "--trials", 1)
    call("reproduce", "4-1", "--trials", 1)
    assert call("study", "4-1", *grid, "--plot", "c.svg").code == 0
    labels = re.findall(r">([^<>]*) \(1 of 1\)<", (tmp_path / "c.svg").read_text("utf-8"))
    assert labels[0] == "as it stands"
    assert len(labels) == len(set(labels)) == 8


def test_without_vary_stored_trials_are_shown(call, fake):
    call("study", "4-1", *GRID, "--trials", 2)
    fake.calls.clear()
    found = call("study", "4-1", "--json")
    assert (found.code, fake.calls) == (0, [])
    assert len(json.loads(found.out)["variations"]) == 4
    assert "range=0.4 rate=0.4" in call("study", "4-1").out


def test_a_row_without_stored_trials(call, fake, tmp_path):
    call("study", "4-1", *GRID, "--trials", 1)
    found = call("study", "6a", "--plot", "c.svg", "--markdown", "t.md")
    assert found.code == 0
    assert found.out.startswith("6a  ")
    assert "no trial has ended yet" in found.out
    assert "c.svg was not written: no trial has ended" in found.err
    assert found.err.splitlines()[-1].strip() == "carrousel study 6a --settings"
    assert (tmp_path / "t.md").exists()
    assert not (tmp_path / "c.svg").exists()


def test_showing_does_not_create_a_folder(call, fake, tmp_path):
    found = call("study", "4-1", "--out", "absent")
    assert (found.code, found.out) == (2, "")
    assert "absent" in found.err
    assert list(tmp_path.iterdir()) == []


# --- wrong calls ----------------------------------------------------------------------------------


@each(
    "words, message",
    [
        ("4_1", "experiment '4_1' is unknown; did you mean '4-1'?"),
        ("3c", "'3c' is a group of rows; study one of 3c-1, 3c-2"),
        ("4-1 --vary rat=1", "4-1 has no setting 'rat'; did you mean 'rate'"),
        ("4-1 --vary rate", "'rate' cannot be read, expected FIELD=value,value,..."),
        ("4-1 --vary rate=1,", "'rate=1,' cannot be read"),
        ("4-1 --vary rate=-1", "rate is -1, expected a finite number of at least 0.0"),
        ("4-1 --vary rate=0.1,fast", "4-1 with training.rate=fast: rate is 'fast'"),
        ("4-1 --vary update=stp", "update 'stp' is unknown; did you mean 'step'?"),
        ("4-1 --vary output_derivative=maybe", "is 'maybe', expected true or false"),
        ("4-1 --vary n_inputs=3", "network.n_inputs is 3, expected 2, as the task has"),
        ("4-1 --vary learner=bpt", "learner 'bpt' is unknown; did you mean 'bptt'"),
        ("4-1 --vary learner=cascade", "4-1 learner=cascade: training is Training("),
        ("4-1 --vary rate=1 --vary rate=2", "--vary training.rate was given twice"),
        ("4-1 --vary rate=1 --vary training.rate=2", "--vary training.rate was given twice"),
        ("1/rcc --vary mu=1", "'mu' is ambiguous; write training."),
        ("4-1 --recipe robst", "recipe 'robst' is unknown; did you mean 'robust'"),
        ("4-1 --vary rate=1 --trials 0", "--trials is 0, expected a whole number of at least 1"),
        ("4-1 --vary rate=1 --seed -1", "--seed is -1, expected a whole number"),
        ("4-1 --vary rate=1 --jobs 0", "--jobs is 0, expected a whole number"),
        ("4-1 --vary rate=1 --backend spark", "backend 'spark' is unknown"),
        ("4-1 --vary rate=1 --plot no/c.svg", "--plot no/c.svg: there is no folder no"),
        ("4-1 --vary rate=1 --markdown no/t.md", "--markdown no/t.md: there is no folder no"),
        ("4-1 --vary rate=1 --out /dev/null/x", "/dev/null/x"),
    ],
)
def test_wrong_calls(call, fake, words, message, tmp_path):
    found = call("study", *words.split())
    assert (found.code, found.out, fake.calls) == (2, "", [])
    assert message in found.err
    assert len(found.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []  # no trial began


def test_a_wrong_point_is_an_error_before_any_trial_runs(call, fake):
    found = call("study", "4-1", "--vary", "rate=0.1,0.2", "--vary", "n_inputs=2,3")
    assert (found.code, fake.calls) == (2, [])


def test_a_plot_without_matplotlib_is_an_error_before_any_trial_runs(call, fake, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = call("study", "4-1", *GRID, "--trials", 1, "--plot", "c.svg")
    assert (found.code, found.out, fake.calls) == (2, "", [])
    assert "pip install 'carrousel[plot]'" in found.err


def test_a_study_needs_a_usable_folder(call, fake, tmp_path):
    (tmp_path / "runs").touch()
    found = call("study", "4-1", *GRID, "--trials", 1)
    assert (found.code, found.out, fake.calls) == (2, "", [])
    assert found.err.splitlines()[-1].endswith("choose a folder with --out DIR")


# --- stopped --------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), StoreError("no room is left")])
def test_a_stopped_study_shows_the_command_that_continues_it(call, fake, failure):
    fake.fail_after, fake.failure = 3, failure
    options = ("--trials", 2, "--seed", 5, "--out", "my runs", "--markdown", "t.md")
    found = call("study", "4-1", *GRID, *options)
    assert found.code == 1
    assert f"Stopped in {POINTS[1]}" in found.err
    assert re.findall(r"^(range=\S+ rate=\S+) +(\d of \d) ", found.out, re.MULTILINE) == [
        ("range=0.3 rate=0.3", "2 of 2"),
        ("range=0.4 rate=0.3", "1 of 1"),
    ]
    (command,) = re.findall(r"^ +(carrousel study .*)$", found.err, re.MULTILINE)
    fake.fail_after = None
    again = call(*shlex.split(command)[1:])
    assert again.code == 0
    assert fake.ran == [(name, index) for name in POINTS for index in range(2)]


def test_a_study_that_stops_before_any_trial_ended(call, fake):
    fake.fail_after = 0
    found = call("study", "4-1", *GRID, "--trials", 1, "--plot", "c.svg")
    assert found.code == 1
    assert "Continue with" in found.err
    assert "c.svg was not written" in found.err


def test_a_stopped_study_writes_json_alone(call, fake):
    fake.fail_after = 1
    found = call("study", "4-1", *GRID, "--trials", 2, "--json")
    assert found.code == 1
    assert [one["trials"] for one in json.loads(found.out)["variations"]] == [1]


def test_the_command_to_continue_repeats_every_option(call, fake, monkeypatch):
    monkeypatch.setattr(clusters, "cluster", lambda *_, **__: nullcontext())
    words = "--vary rate=0.3,0.4 --vary h=[-2,2] --recipe robust --trials 3 --seed 4 --jobs 2"
    words += " --backend dask --address tcp://h:1 --out o --plot c.svg --markdown t.md --json"
    name = rows_of("robust")[0].name.split(" ")[0]
    fake.fail_after = 0
    found = call("study", name, *words.split())
    command = shlex.split(found.err.splitlines()[-1])
    assert command[:3] == ["carrousel", "study", name]
    assert sorted(command[3:]) == sorted(words.split())


# --- recipes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_reproduced_shown_and_studied(call, fake, recipe):
    row = rows_of(recipe)[-1]
    name = row.name.removesuffix(f" {recipe}")
    found = call("reproduce", name, "--recipe", recipe, "--trials", 2, "--json")
    assert [each["name"] for each in json.loads(found.out)] == [row.name]
    shown = json.loads(call("show", name, "--recipe", recipe, "--json").out)
    assert shown["name"] == row.name
    call("study", name, "--recipe", recipe, "--vary", "budget=77", "--trials", 1)
    assert fake.ran[-1] == (f"{row.name} budget=77", 0)
    with Store("runs") as store:
        assert len(store.trials(row.name)) == 2
    assert row.name in call("report", "runs").out


def test_a_study_includes_recipes(call, fake):
    name = rows_of("robust")[0].name.split(" ")[0]
    for recipe in ("paper", "robust"):
        call("reproduce", name, "--recipe", recipe, "--trials", 2)
    written = json.loads(call("study", name, "--json").out)
    assert {one["label"] for one in written["variations"]} == {"as it stands", "robust"}


# --- with the real runner -------------------------------------------------------------------------


def test_study_with_the_real_runner(call):
    words = "--vary rate=0.1,0.2 --vary budget=40 --trials 2 --jobs 1 --seed 3 --json"
    found = call("study", "6a", *words.split())
    assert found.code == 0
    for one in json.loads(found.out)["variations"]:
        rate = one["changes"]["training.rate"][1]
        point = varied(EXPERIMENTS["6a"], {"rate": rate, "budget": 40})
        assert one["name"] == point.name
        assert (one["trials"], one["solved"], one["budget"]) == (2, 0, 40)
        expected = runner.run(point, trials=2, seed=3)
        with Store("runs") as store:
            kept = store.trials(point.name)
        assert [each.curve for each in kept] == [each.curve for each in expected]
        assert [each.steps for each in kept] == [each.steps for each in expected]
