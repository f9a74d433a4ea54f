"""`carrousel inspect` of files of `carrousel.nn.save` and `carrousel fit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from carrousel import nn
from carrousel.cli.inspect.command import FILES
from carrousel.estimators.saving import KEY as ESTIMATORS
from carrousel.nn.checkpoint import KEY as LAYERS
from carrousel.online.model.checkpoint import KEY as STREAMS
from support.case import case, each
from support.report_data import write_series


@pytest.fixture
def layers(tmp_path) -> Path:
    """A folder with layers, a cell, and data for them."""
    torch.manual_seed(0)
    nn.save(nn.LSTM(2, 4), tmp_path / "lstm.safetensors")
    nn.save(nn.GRUCell(2, 4), tmp_path / "cell.safetensors")
    nn.save(
        nn.LSTM(2, 4, batch_first=True, bidirectional=True, proj_size=3),
        tmp_path / "both.safetensors",
    )
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 9, 2))
    np.save(tmp_path / "x.npy", X)
    y, v, far = rng.integers(0, 4, 40), rng.normal(size=(40, 4)), np.arange(40)
    np.savez(tmp_path / "x.npz", X=X, y=y, v=v, far=far)
    rows = [
        f"s{n},{x[0]:.4f},{x[1]:.4f},{'abc'[n % 3]},{'ab'[t % 2]}"
        for n in range(6)
        for t, x in enumerate(X[n][: 9 - n % 2])
    ]
    (tmp_path / "t.csv").write_text("\n".join(["who,a,b,label,tag", *rows]), encoding="utf-8")
    return tmp_path


def test_the_table_of_files_has_the_keys_of_all_formats():
    assert set(FILES) == {ESTIMATORS, LAYERS, STREAMS}


LOSS = "squared norm of the last output, mean over series"


@each(
    "words, subject, loss",
    [
        (
            "lstm.safetensors x.npy",
            "LSTM(2, 4) of lstm.safetensors on 32 of 40 series of x.npy",
            LOSS,
        ),
        ("lstm.safetensors x.npy --series 3", "on 3 of 40 series of x.npy, 9 steps at most", LOSS),
        (
            "cell.safetensors x.npz --series 50",
            "GRUCell(2, 4) of cell.safetensors on 40 series",
            LOSS,
        ),
        ("both.safetensors t.csv --id who --channels a,b", "on 6 series of t.csv, 9 steps", LOSS),
        (
            "lstm.safetensors t.csv --id who --channels a,b --target label",
            "on 6 series of t.csv",
            "cross-entropy of the last output, against label; the classes a, b and c are outputs "
            "0 to 2",
        ),
        (
            "both.safetensors t.csv --id who --channels a,b --target tag",
            "on 6 series of t.csv",
            "cross-entropy of the output at every step, against tag; the classes a and b are "
            "outputs 0 to 1",
        ),
        (
            "lstm.safetensors x.npz --target y",
            "x.npz",
            "cross-entropy of the last output, against y",
        ),
        (
            "cell.safetensors x.npz --target v",
            "x.npz",
            "mean square of the errors of the last output, against v",
        ),
    ],
)
def test_a_layer_on_data(call, layers, words, subject, loss):
    found = call("inspect", *words.split(), "--json")
    assert found.code == 0, found.err
    report = json.loads(found.out)
    assert subject in report["subject"]
    assert report["loss_is"] == loss


def test_the_seed_chooses_the_series(call, layers):
    words = ("inspect", "lstm.safetensors", "x.npy", "--series", 3, "--json")
    losses = [json.loads(call(*words, "--seed", seed).out)["loss"] for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


@each(
    "words, message",
    [
        ("lstm.safetensors", "no file of data was named; carrousel inspect lstm.safetensors DATA"),
        ("lstm.safetensors absent.csv", "absent.csv does not exist"),
        ("absent.safetensors x.npy", "there is no file absent.safetensors"),
        ("x.npy", "x.npy was written by none of carrousel.nn.save, OnlineLSTM.save"),
        ("weights.pt x.npy", "there is no file weights.pt"),
        ("lstm.safetensors t.csv", "id is not given, but a row is a step"),
        ("lstm.safetensors t.csv --id wh", "t.csv has no column 'wh'; did you mean 'who'?"),
        (
            "lstm.safetensors t.csv --id who --channels a",
            "have 1 channels, but the LSTM of the file",
        ),
        ("lstm.safetensors t.csv --id who", "column 'label'"),
        ("lstm.safetensors x.npz --target far", "targets have a class"),
        ("lstm.safetensors x.npy --id who", "an .npy file has no columns"),
        (
            "lstm.safetensors x.npy --key who",
            "--key has no meaning for a file of carrousel.nn.save",
        ),
        ("lstm.safetensors x.npy --html lstm.safetensors", "are the same file lstm.safetensors"),
        ("lstm.safetensors x.npy --png x.npy", "DATA and --png are the same file x.npy"),
        ("lstm.safetensors x.npy --html h --png h", "--html and --png are the same file h"),
        ("lstm.safetensors x.npy --html .", "--html . is a folder"),
        ("cell.safetensors t.csv --id who --channels a,b", "a cell needs series of equal length"),
        ("lstm.safetensors x.npy --series 0", "--series is 0, expected a whole number"),
        ("folder", "folder is a folder; inspect a row whose weights are kept in it"),
        ("4_1", "experiment '4_1' is unknown; did you mean '4-1'?"),
        ("3c", "'3c' is a group of rows; inspect one of 3c-1, 3c-2"),
    ],
)
def test_a_wrong_call_is_one_line(call, layers, words, message):
    (layers / "folder").mkdir(exist_ok=True)
    before = {path: path.read_bytes() for path in layers.iterdir() if path.is_file()}
    found = call("inspect", *words.split())
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert found.err.count("\n") == 1
    assert before == {path: path.read_bytes() for path in layers.iterdir() if path.is_file()}


def test_missing_values_are_refused(call, layers):
    X = np.load("x.npy" if Path("x.npy").exists() else layers / "x.npy")
    X[3, 2, 1] = np.nan
    np.save(layers / "gaps.npy", X)
    found = call("inspect", "lstm.safetensors", "gaps.npy", "--series", 40)
    assert found.code == 2
    assert "a value is missing" in found.err


SMALL = ("--members", 2, "--hidden-size", 4, "--max-steps", 3)


@each(
    "words, loss",
    [
        (("--target", "label", "--channels", "x,y"), "cross-entropy"),
        (("--target", "size", "--channels", "x,y"), "squared error"),
        (("--target", "phase", "--channels", "x,y"), "each step"),
        (("--task", "forecast", "--target", "y", "--channels", "x", "--horizon", 2), "pinball"),
    ],
)
def test_an_estimator_on_its_data(call, tmp_path, words, loss):
    data = write_series(tmp_path / "data.csv")
    columns = ("--id", "who", "--time", "t")
    assert call("fit", data, *columns, *words, *SMALL, "--out", "m.safetensors").code == 0
    found = call("inspect", "m.safetensors", data, "--json")
    assert found.code == 0, found.err
    report = json.loads(found.out)
    with case(report["subject"], report["loss_is"]):
        assert report["subject"].startswith("Net 1 of 2 of the LSTM")
        assert loss in report["loss_is"]
        assert report["loss"] > 0


def test_pictures_are_written_where_they_are_wanted(call, layers):
    words = ("inspect", "lstm.safetensors", "x.npy")
    found = call(*words, "--html", "page.html", "--png", "picture.png")
    assert found.code == 0, found.err
    assert found.err.splitlines() == ["written: page.html", "written: picture.png"]
    assert (layers / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (layers / "picture.png").read_bytes().startswith(b"\x89PNG")
    plain = call(*words)
    assert plain.out == found.out
    assert plain.err.splitlines()[-1].endswith("lstm.safetensors x.npy --html report.html")


@each("flag, package", [("--html", "jinja2"), ("--png", "matplotlib")])
def test_a_missing_package_is_found_before_anything_runs(call, layers, monkeypatch, flag, package):
    module = sys.modules["carrousel.cli.inspect.config"]
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    found = call("inspect", "absent.py:build", flag, "x")
    assert (found.code, found.out) == (2, "")
    assert f"{flag} needs {package}, which is not installed" in found.err


def test_a_function_needs_torch(call, monkeypatch):
    module = sys.modules["carrousel.cli.inspect.command"]
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    found = call("inspect", "absent.py:build")
    assert (found.code, found.out) == (2, "")
    assert found.err.endswith("torch, which is not installed; pip install 'carrousel[torch]'\n")
