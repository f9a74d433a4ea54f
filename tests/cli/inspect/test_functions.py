"""`carrousel inspect` of a function in Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from carrousel.cli.inspect.target import RETURNS
from support.case import each

NETS = """
import torch

def build(layers=1):
    torch.manual_seed(0)
    print("built")
    net = torch.nn.LSTM(2, 4, num_layers=layers, batch_first=True)
    return net, torch.randn(3, 12, 2), lambda out: out[0][:, -1].square().mean()

def two_layers():
    return build(2)

def told():
    net, inputs, loss = build()
    return {"module": net, "inputs": inputs, "loss": loss, "lag": 5, "clip": 0.5}

def broken():
    return torch.nn.LSTM(2)

def broken_loss():
    net, inputs, _ = build()
    def no_loss(out):
        return out.mean()
    return net, inputs, no_loss

def refused():
    from carrousel import nn
    return nn.LSTM(2, 0)

def exits():
    raise SystemExit(3)

def number():
    return 3

def pair():
    return 1, 2

def no_loss():
    return {"model": 1, "inputs": 2}

def wrong_name():
    return {"model": 1, "inputs": 2, "loss": 3, "lags": 4}

def seeded(seed):
    return build()

CONSTANT = 3
"""


@pytest.fixture
def nets(tmp_path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(NETS, encoding="utf-8")
    return path


def test_the_verdict_is_first_and_prints_of_the_user_go_to_standard_error(call, nets):
    found = call("inspect", "nets.py:build")
    assert found.code == 0, found.err
    text = " ".join(found.out.split())
    verdict = json.loads(call("inspect", "nets.py:build", "--json").out)["verdict"]
    assert text.startswith(f"{verdict} LSTM of nets.py:build.")
    assert "LSTM of nets.py:build." in found.out.splitlines()
    assert "built" in found.err.splitlines()
    assert "built" not in found.out.splitlines()
    assert "half" in found.out or "halves" in found.out
    assert "steps back" in found.out


def test_json_alone_is_on_standard_output(call, nets):
    found = json.loads(call("inspect", "nets.py:build", "--json").out)
    assert found["subject"] == "LSTM of nets.py:build"
    assert found["verdict"]
    assert found["lag"] is None
    assert len(found["reach"]) == 1


def test_what_the_function_says_of_the_training_is_used_unless_an_option_says_otherwise(call, nets):
    found = json.loads(call("inspect", "nets.py:told", "--json").out)
    assert (found["lag"], found["gradients"]["clip"]) == (5, 0.5)
    again = json.loads(call("inspect", "nets.py:told", "--lag", 7, "--json").out)
    assert (again["lag"], again["gradients"]["clip"]) == (7, 0.5)


def test_each_part_has_a_line(call, nets):
    found = call("inspect", "nets.py:two_layers")
    assert "LSTM, layer 0 (not read)" in found.out
    assert "LSTM, layer 1" in found.out


@each(
    "function, line, message",
    [
        ("broken", "in broken: return torch.nn.LSTM(2)", "TypeError: "),
        ("broken_loss", "in no_loss: return out.mean()", "AttributeError: "),
        ("refused", "in refused: return nn.LSTM(2, 0)", "hidden_size"),
        ("exits", "in exits: raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_an_error_of_the_users_code_is_shown_by_its_own_line(call, nets, function, line, message):
    found = call("inspect", f"nets.py:{function}")
    assert (found.code, found.out) == (2, "")
    assert "Traceback" not in found.err
    number = next(n for n, text in enumerate(NETS.splitlines(), 1) if text.strip() in line and text)
    place, error = found.err.splitlines()[-2:]
    assert place == f"nets.py, line {number}, {line}"
    assert message in error


@each(
    "what, message",
    [
        ("nets.py:number", f"nets.py:number returned int, expected {RETURNS}"),
        ("nets.py:pair", f"nets.py:pair returned a tuple of 2, expected {RETURNS}"),
        ("nets.py:no_loss", f"nets.py:no_loss returned no 'loss', expected {RETURNS}"),
        ("nets.py:wrong_name", "returned 'lags', which is no argument; did you mean 'lag' or"),
        ("nets.py:buil", "nets.py has no function 'buil'; did you mean 'build'?"),
        ("nets.py:seeded", "nets.py:seeded needs the argument 'seed', expected a function without"),
        ("nets.py:CONSTANT", "nets.py:CONSTANT is a int, expected a function"),
        ("absent.py:build", "there is no file absent.py"),
        ("absent.module:build", "there is no module 'absent' on the path of Python"),
        ("nets.py", "name a function that returns model, inputs and loss: nets.py:FUNCTION"),
        ("nets.py:build --html nets.py", "WHAT and --html are the same file nets.py"),
        (
            "nets.py:build --html absent/x.html",
            "--html absent/x.html: folder absent does not exist",
        ),
        ("nets.py:build --lag -1", "--lag is -1, expected a whole number of at least 0"),
        ("nets.py:build --clip 0", "--clip is 0.0, expected a finite number above 0.0"),
        (
            "nets.py:build --truncation 0",
            "--truncation is 0, expected a whole number of at least 1",
        ),
        ("nets.py:build --id who", "--id has no meaning for a function in Python"),
        ("nets.py:build nets.py", "DATA has no meaning for a function in Python"),
    ],
)
def test_a_wrong_call_is_one_line(call, nets, what, message):
    found = call("inspect", *what.split())
    assert (found.code, found.out) == (2, "")
    assert message in found.err.replace("\n", " ")
    assert "Traceback" not in found.err


def test_a_syntax_error_has_its_line(call, tmp_path):
    (tmp_path / "bad.py").write_text("x = 1\ndef build(:\n", encoding="utf-8")
    found = call("inspect", "bad.py:build")
    assert found.code == 2
    assert "bad.py, line 2: def build(:" in found.err
    assert "SyntaxError" in found.err


def test_a_module_of_the_current_folder(call, nets, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    found = call("inspect", "nets:build", "--json")
    assert json.loads(found.out)["subject"] == "LSTM of nets:build"
    monkeypatch.delitem(sys.modules, "nets")


def test_a_process_with_a_terminal_without_unicode(nets):
    done = subprocess.run(
        [sys.executable, "-m", "carrousel", "inspect", "nets.py:build", "--lag", "5"],
        cwd=nets.parent,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "ascii", "PATH": ""},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode("ascii")
    assert "|####" in text
    assert "Asked lag: 5 steps" in text
    assert "^5" in text
