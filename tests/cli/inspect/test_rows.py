"""`carrousel inspect` of rows of the paper."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from carrousel.experiments.inspection import training
from support.case import each


def test_a_trial_is_trained_and_inspected(call):
    found = call("inspect", "6a", "--sequences", 300)
    assert found.code == 0, found.err
    assert "6a (temporal order, two relevant symbols), trial 0, seed 1997: stopped after 300" in (
        " ".join(found.out.split())
    )
    assert "hidden" in found.out
    assert "Asked lag: 40 steps" in found.out
    assert "Ctrl-C stops" in found.err


def test_seed_trial_recipe_gradient_and_lag_are_used(call):
    words = ("inspect", "6a", "--sequences", 50, "--json")
    reports = [
        json.loads(call(*words, *more).out)
        for more in (
            *((), ("--seed", 3), ("--trial", 2), ("--recipe", "modern")),
            *(("--gradient", "bptt"), ("--lag", 7)),
        )
    ]
    assert len({report["loss"] for report in reports[:4]}) == 4
    assert reports[4]["loss"] == reports[5]["loss"] == reports[0]["loss"]
    assert reports[4]["reach"] != reports[0]["reach"]
    assert [report["lag"] for report in reports] == [40] * 5 + [7]


def test_kept_weights_are_used(call):
    ran = call("reproduce", "6a", "--trials", 1, "--keep-weights", "--out", "runs", "--json")
    [entry] = json.loads(ran.out)
    found = call("inspect", "6a", "runs")
    assert f"after {entry['sequences_mean']:,.0f} sequences, weights kept" in " ".join(
        found.out.split()
    )
    assert "Training" not in found.err
    absent = call("inspect", "6a", "runs", "--trial", 1)
    assert (absent.code, absent.out) == (2, "")
    assert "carrousel reproduce 6a --trials 2 --keep-weights --seed 1997 --out runs" in absent.err


def test_the_command_that_keeps_missing_weights_can_be_given(call):
    call("reproduce", "1-1", "--trials", "1", "--keep-weights")
    found = call("inspect", "1-1", "runs", "--recipe", "principle")
    assert found.code == 2
    _, command = found.err.replace("\n", " ").split("keep them with carrousel ")
    assert "--recipe principle" in command
    assert call(*command.split()).code == 0
    assert call("inspect", "1-1", "runs", "--recipe", "principle").code == 0


def test_a_file_of_the_name_of_a_row_hides_no_row(call, tmp_path):
    (tmp_path / "6a").write_text("", encoding="utf-8")
    found = call("inspect", "6a", "--sequences", 20, "--json")
    assert json.loads(found.out)["subject"].startswith("6a (temporal order")


def test_strict_is_about_faults(call):
    found = call("inspect", "6a", "--sequences", 50, "--strict", "--json")
    assert found.code == (1 if json.loads(found.out)["faults"] else 0)


@each(
    "words, message",
    [
        ("6b-", "experiment '6b-' is unknown; did you mean '6b'"),
        ("3c", "'3c' is a group of rows; inspect one of 3c-1, 3c-2"),
        ("guess/parity", "guess/parity cannot be inspected"),
        ("6a absent", "absent"),
        ("6a --target x", "--target has no meaning for a row of the paper"),
        ("6a --recipe robst", "recipe 'robst' is unknown; did you mean 'robust'"),
        ("6a --gradient bpt", "did you mean 'bptt'"),
        ("6a --sequences 0", "--sequences is 0, expected a whole number of at least 1"),
        ("6a --seed -1", "--seed is -1, expected a whole number of at least 0"),
    ],
)
def test_a_wrong_call_is_one_line(call, words, message):
    if "gradient" in words:
        words += " --sequences 20"
    found = call("inspect", *words.split())
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_training_and_inspects_what_there_is(tmp_path, number):
    running = subprocess.Popen(
        [sys.executable, "-m", "carrousel", "inspect", "4-1", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    assert "Training a trial of 4-1" in running.stderr.readline()
    running.send_signal(number)
    out, err = running.communicate()
    assert "Traceback" not in err
    assert running.returncode == 1, err
    found = json.loads(out)
    assert found["stopped"] == f"Stopped by {number.name}."
    assert "stopped after" in found["subject"]
    assert "The weights until then are inspected." in err


def test_a_net_without_cells_yet_says_so(call, monkeypatch):
    monkeypatch.setattr(training, "cells_joined", lambda *_, **__: False)
    found = call("inspect", "6a", "--sequences", 20)
    assert found.code == 2
    assert "cells have not joined the net" in found.err
