"""What a user's type checker makes of the package: every example of the README, checked.

The checkers see an environment that holds the package and what it needs, and nothing of its extras:
types of the public interface must not depend on a package that a user may lack.
"""

from __future__ import annotations

import doctest
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.paths import ROOT

HEAD = "from __future__ import annotations\n"
PROBE = """
from carrousel import DataError, Sequences
data = Sequences.from_lists(inputs=[[0, 2]], targets=[[1]], n_inputs=3, n_outputs=2)
reveal_type(data.inputs)
reveal_type(data.lengths)
reveal_type(DataError("no").row)
"""


def readme_blocks() -> str:
    """The statements of all examples of the README, one after another, as one program."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return HEAD + "".join(example.source for example in doctest.DocTestParser().get_examples(text))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the package and NumPy, and two programs to check."""
    folder = tmp_path_factory.mktemp("user")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    package = site / "carrousel"
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "src" / "carrousel", package, ignore=ignore)
    (site / "numpy").symlink_to(Path(np.__file__).parent)
    torch = importlib.util.find_spec("torch")  # an example of the README uses it
    if torch is not None and torch.origin is not None:
        (site / "torch").symlink_to(Path(torch.origin).parent)
    (folder / "program.py").write_text(readme_blocks(), encoding="utf-8")
    (folder / "probe.py").write_text(HEAD + PROBE, encoding="utf-8")
    return folder


def python_of(environment: Path) -> str:
    return str(environment / "venv" / "bin" / "python")


def test_pyright_passes_the_readme(environment: Path):
    pytest.importorskip("pyright")
    command = [sys.executable, "-m", "pyright", "--pythonpath", python_of(environment)]
    done = subprocess.run(
        [*command, "--outputjson", "program.py", "probe.py"],
        cwd=environment,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    told = [each["message"] for each in found if each["severity"] == "information"]
    wrong = [each for each in found if each["severity"] == "error"]
    assert wrong == []
    assert len(told) == 3
    assert not [text for text in told if "Unknown" in text]
    assert "ndarray" in told[0]
    assert "ndarray" in told[1]


def test_mypy_passes_the_readme(environment: Path):
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--python-executable", python_of(environment)]
    done = subprocess.run(
        [*command, "--cache-dir", str(environment / "cache"), "program.py", "probe.py"],
        cwd=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ndarray") >= 2
