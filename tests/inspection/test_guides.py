"""The examples of docs/error_flow.md and docs/inspection.md run."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("page", "least"), [("error_flow.md", 30), ("inspection.md", 25)])
def test_examples_run(page, least):
    found = doctest.testfile(str(DOCS / page), module_relative=False)
    assert found.attempted > least
    assert found.failed == 0


NET = """
import torch

def build():
    net = torch.nn.LSTM(1, 4, batch_first=True)
    return net, torch.randn(3, 120, 1), lambda output: output[0][:, -1].square().mean()
"""


def test_the_first_command_writes_its_page(tmp_path):
    """The others need files of data, or train a net; their own tests run such calls."""
    text = (DOCS / "inspection.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(carrousel inspect.*?)```", text, flags=re.DOTALL)
    words = shlex.split(block.splitlines()[0])
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    command = [sys.executable, "-m", *words]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "<html" in (tmp_path / words[-1]).read_text(encoding="utf-8")
