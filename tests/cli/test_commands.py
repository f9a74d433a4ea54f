"""Commands `list`, `show`, `reproduce` and `report`."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext

import pytest

from carrousel.cli.options import SEED, usable_cores
from carrousel.errors import ClusterFailedError, StoreError
from carrousel.experiments import EXPERIMENTS, TOUR
from carrousel.experiments.run import clusters, runner
from carrousel.experiments.store.store import FILE_NAME
from support.case import each
from support.experiments import fakes

DOCUMENTED = {
    *("name", "trials", "successes", "sequences_mean", "sequences_median", "sequences_ci95"),
    *("seconds", "steps", "published"),
}


# --- list and show --------------------------------------------------------------------------------


def test_version(call):
    from importlib.metadata import version

    assert call("--version").out == f"carrousel {version('carrousel')}\n"


def test_list(call):
    found = call("list")
    assert (found.code, found.err) == (0, "")
    first = [line.split()[0] for line in found.out.splitlines()[1:] if line]
    assert [name for name in first if name in EXPERIMENTS] == list(EXPERIMENTS)


def test_list_as_json(call):
    rows = json.loads(call("list", "--json").out)
    assert [row["name"] for row in rows] == list(EXPERIMENTS)
    for row in rows:
        assert row.keys() >= {"name", "task", "learner", "weights", "published"}
        assert row["weights"] == EXPERIMENTS[row["name"]].network.n_weights


@each("name", EXPERIMENTS)
def test_show(call, name):
    row = EXPERIMENTS[name]
    text = " ".join(call("show", name).out.split())
    assert row.title in text
    assert row.stop.describe in text
    for reading in row.readings:
        assert " ".join(reading.why.split()) in text
    found = json.loads(call("show", name, "--json").out)
    assert found.keys() >= {"name", "task", "learner", "weights", "trials", "published"}
    assert found["published"].keys() >= {"success_percent", "sequences"}
    assert found["trials"] == row.published.trials


@each(
    "words, names",
    [
        ("3c", ["3c-1", "3c-2"]),
        ("2a", ["2a"]),
        ("6a 3c 3c-1", ["6a", "3c-1", "3c-2"]),
        ("2b --rivals", ["2b", *(n for n in EXPERIMENTS if n.startswith("2b/"))]),
        ("1 --rivals", [n for n in EXPERIMENTS if n[:2] in ("1-", "1/")]),
        ("4-1 --rivals", ["4-1"]),
        ("guess", [n for n in EXPERIMENTS if n.startswith("guess/")]),
        ("guess/parity", ["guess/parity"]),
        ("--rivals", [n for n in EXPERIMENTS if "/" in n]),
    ],
)
def test_groups_and_rivals(call, fake, words, names):
    found = call("reproduce", *words.split(), "--trials", 1, "--json")
    assert found.code == 0
    assert [row["name"] for row in json.loads(found.out)] == names
    assert "tour" not in found.err
    listed = call("list", *words.split(), "--json")
    assert [row["name"] for row in json.loads(listed.out)] == names
    if len(words.split()) == 1 and "--" not in words:
        shown = json.loads(call("show", words, "--json").out)
        rows = [shown] if words in EXPERIMENTS else shown
        assert [row["name"] for row in rows] == names
        assert all(EXPERIMENTS[name].title in call("show", words).out for name in names)


def test_a_list_of_one_learner(call):
    rows = json.loads(call("list", "--learner", "rtrl", "--json").out)
    expected = [name for name, row in EXPERIMENTS.items() if row.learner == "rtrl"]
    assert [row["name"] for row in rows] == expected != []
    assert json.loads(call("list", "6a", "--learner", "rtrl", "--json").out) == []
    assert "1/elman" in call("list", "--learner", "elman").out


def test_an_error_about_a_wrong_name_proposes_the_nearest(call):
    found = call("show", "4_1")
    assert (found.code, found.out) == (2, "")
    assert found.err == "experiment '4_1' is unknown; did you mean '4-1'?\n"


@each(
    "words",
    [
        *("", "shw", "list --jsn", "show", "show 4-1 4-2", "show nothing", "report"),
        *("report absent", "reproduce 4-1 no-such", "reproduce 4-1 --all"),
        *("list nothing", "list --learner rtl", "reproduce --all --rivals", "show 2 --rivals"),
        *("reproduce 1/ --trials 1", "reproduce guess/ --trials 1", "reproduce - --trials 1"),
        *("reproduce 4-1 --trials 0", "reproduce 4-1 --trials -3", "reproduce 4-1 --trials 1.5"),
        *("reproduce 4-1 --seed x", "reproduce 4-1 --seed -1", "reproduce 4-1 --seed 1.5"),
        *("reproduce 4-1 --jobs 0", "reproduce 4-1 --backend spark", "reproduce --out"),
        *("reproduce 4-1 --address tcp://h:1", "reproduce 4-1 --backend loky --address h:1"),
        *(f"reproduce 4-1 --seed {2**63}", "reproduce 4-1 --out /dev/null/x"),
    ],
)
def test_wrong_calls(call, fake, words, tmp_path):
    found = call(*words.split())
    assert found.code == 2
    assert found.err or not words
    assert words == "" or found.out == ""
    assert "Traceback" not in found.err
    assert fake.calls == []
    assert list(tmp_path.iterdir()) == []  # no trial began


@each(
    "words, message",
    [
        ("4-1 --trials 0", "--trials is 0, expected a whole number of at least 1"),
        ("4-1 --seed -1", "--seed is -1, expected a whole number of at least 0"),
        ("4-1 --jobs 0", "--jobs is 0, expected a whole number from 1 to 1024"),
        ("4-1 --address h:1", "set --backend to 'dask' or 'ray', or omit --address"),
        ("4-1 --all", "names and --all contradict each other; give one of them"),
    ],
)
def test_errors_spell_arguments_as_options(call, fake, words, message):
    found = call("reproduce", *words.split())
    assert (found.code, found.out, fake.calls) == (2, "", [])
    assert message in found.err
    assert len(found.err.splitlines()) == 1


# --- reproduce ------------------------------------------------------------------------------------


def test_standard_output_is_json_alone(call, fake):
    found = call("reproduce", "4-1", "6a", "--trials", 4, "--seed", 5, "--jobs", 3, "--json")
    rows = json.loads(found.out)
    assert (found.code, [row["name"] for row in rows]) == (0, ["4-1", "6a"])
    assert fake.calls == [("4-1", 4, 5, 3, "loky"), ("6a", 4, 5, 3, "loky")]
    for row in rows:
        trials = [fakes.trial(i, row["name"], 5) for i in range(4)]
        assert row.keys() >= DOCUMENTED
        assert row["trials"] == row["successes"] == 4
        assert row["sequences_mean"] == sum(trial.sequences for trial in trials) / 4
        assert row["steps"] == sum(trial.steps for trial in trials)
        assert row["published"]["sequences"] == EXPERIMENTS[row["name"]].published.sequences
    assert "4 of 4 trials ended" in found.err


def test_tables_go_to_standard_output_and_messages_to_standard_error(call, fake):
    found = call("reproduce", "4-1", "--trials", 2)
    assert found.out.splitlines()[1].split()[0] == "4-1"
    assert "2 of 2" in found.out
    assert "Stored in runs" in found.err
    assert "carrousel report runs --html report.html" in found.err


def test_the_default_is_a_tour(call, fake):
    found = call("reproduce")
    assert [(name, trials) for name, trials, *_ in fake.calls] == list(TOUR)
    assert {(seed, jobs) for _, _, seed, jobs, _ in fake.calls} == {(SEED, usable_cores())}
    assert "A tour of" in found.err.splitlines()[0]
    assert "two minutes" in found.err.splitlines()[0]


def test_all_runs_all_and_the_default_number_of_trials_is_the_papers(call, fake):
    found = call("reproduce", "--all", "--trials", 1, "--json")
    assert [row["name"] for row in json.loads(found.out)] == list(EXPERIMENTS)
    fake.calls.clear()
    call("reproduce", "2a", "2a")
    assert [call[:2] for call in fake.calls] == [("2a", EXPERIMENTS["2a"].published.trials)]


def test_stored_trials_are_not_run_again(call, fake):
    before = call("reproduce", "4-1", "--trials", 3, "--out", "kept", "--json")
    call("reproduce", "4-1", "--trials", 5, "--out", "kept", "--json")
    assert fake.ran == [("4-1", i) for i in range(5)]
    again = call("reproduce", "4-1", "--trials", 3, "--out", "kept", "--json")
    assert len(fake.ran) == 5
    ours, first = json.loads(again.out)[0], json.loads(before.out)[0]
    same = DOCUMENTED - {"seconds"}
    assert {key: ours[key] for key in same} == {key: first[key] for key in same}
    call("reproduce", "4-1", "--trials", 3, "--out", "kept", "--seed", 9)
    assert len(fake.ran) == 8  # another seed is another run


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (KeyboardInterrupt(), "Stopped in 6a."),
        (BrokenProcessPool("a process died"), "a worker was killed"),
        (StoreError("kept/trials.sqlite: no room is left"), "no room is left"),
        (ClusterFailedError("the Dask scheduler is gone"), "scheduler is gone"),
    ],
)
def test_a_stopped_run_shows_the_command_that_continues_it(call, fake, failure, message):
    fake.fail_after, fake.failure = 5, failure
    found = call("reproduce", "4-1", "6a", "--trials", 3, "--out", "my trials")
    assert found.code == 1
    assert message in found.err
    assert re.findall(r"^(4-1|6a) .* (\d of \d) ", found.out, re.MULTILINE) == [
        ("4-1", "3 of 3"),
        ("6a", "2 of 2"),
    ]
    assert "2 of 3 trials have ended" in found.out
    (command,) = re.findall(r"^ +(carrousel reproduce .*)$", found.err, re.MULTILINE)
    fake.fail_after = None
    again = call(*shlex.split(command)[1:])
    assert again.code == 0
    assert fake.ran == [*(("4-1", i) for i in range(3)), *(("6a", i) for i in range(3))]


def test_a_stopped_run_writes_json_alone(call, fake):
    fake.fail_after = 1
    found = call("reproduce", "4-1", "--trials", 3, "--json")
    assert found.code == 1
    assert [row["trials"] for row in json.loads(found.out)] == [1]
    assert found.err.splitlines()[-1].strip() == "carrousel reproduce 4-1 --trials 3 --json"


def test_the_command_to_continue_repeats_every_option(call, fake, monkeypatch):
    monkeypatch.setattr(clusters, "cluster", lambda *_, **__: nullcontext())
    words = "2a --rivals --trials 3 --seed 4 --jobs 2 --backend dask --address tcp://h:1 --out o"
    fake.fail_after = 0
    found = call("reproduce", *words.split())
    assert found.err.splitlines()[-1].strip() == f"carrousel reproduce {words}"


def test_without_a_usable_default_folder_trials_run_but_are_not_stored(call, fake, tmp_path):
    (tmp_path / "runs").touch()
    found = call("reproduce", "4-1", "--trials", 2, "--json")
    assert (found.code, json.loads(found.out)[0]["trials"]) == (0, 2)
    assert "are not stored" in found.err
    fake.fail_after = 2
    stopped = call("reproduce", "4-1", "6a", "--trials", 2)
    assert stopped.code == 1
    assert "Continue with" not in stopped.err


def test_an_unusable_folder_in_out_is_an_error(call, fake, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / FILE_NAME).write_text("no store")
    found = call("reproduce", "4-1", "--out", "o")
    assert (found.code, found.out, fake.calls) == (2, "", [])
    assert found.err.endswith("it is not a store of trials; choose another folder\n")


@each("backend, module", [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_extra_is_named(call, monkeypatch, backend, module):
    for name in (backend, module):
        monkeypatch.setitem(sys.modules, name, None)
    found = call("reproduce", "4-1", "--trials", 1, "--backend", backend)
    assert (found.code, found.out) == (2, "")
    assert f"carrousel[{backend}]" in found.err


def test_reproduce_with_the_real_runner(call):
    found = call("reproduce", "6a", "--trials", 2, "--seed", 3, "--jobs", 1, "--json")
    (row,) = json.loads(found.out)
    expected = runner.run(EXPERIMENTS["6a"], trials=2, seed=3)
    assert found.code == 0
    assert row["steps"] == sum(trial.steps for trial in expected)
    assert row["sequences_mean"] == sum(trial.sequences for trial in expected) / 2
    assert 0 < row["seconds"] < 3600


# --- report ---------------------------------------------------------------------------------------


def test_report(call, fake, tmp_path):
    call("reproduce", "4-1", "6a", "--trials", 3)
    found = call("report", "runs", "--html", "page.html", "--markdown", "tables.md")
    assert found.code == 0
    assert [line.split()[0] for line in found.out.splitlines()[1:3]] == ["4-1", "6a"]
    assert "data-figure" in (tmp_path / "page.html").read_text("utf-8")
    assert "| 6a |" in (tmp_path / "tables.md").read_text("utf-8")
    assert found.err == "written: page.html\nwritten: tables.md\n"


def test_a_report_that_cannot_be_written_is_an_error(call, fake):
    call("reproduce", "4-1", "--trials", 1)
    found = call("report", "runs", "--markdown", "absent/tables.md")
    assert found.code == 2
    assert "absent/tables.md cannot be written" in found.err


def test_usable_cores():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
