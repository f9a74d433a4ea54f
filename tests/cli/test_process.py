"""The command line as a process: signals, pipes, terminals without Unicode, imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from carrousel.cli.options import SEED
from carrousel.errors import StoreError
from carrousel.experiments.store.store import Store
from support.case import each
from support.experiments import fakes
from support.paths import TESTS


def python(text: str, *words: str, **how: Any) -> subprocess.Popen[str]:
    head = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(text), *words],
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how},
    )


STUCK = """
    import time
    from carrousel.cli import main
    from carrousel.experiments.run import runner
    from support.experiments.fake_runner import FakeRunner
    fake = FakeRunner()
    def stuck(rows, on_progress, **how):
        def wait(progress):
            time.sleep(60 if progress.rows[0].trials_done == 3 else 0)
            on_progress(progress)
        return fake.run_rows(rows, on_progress=wait, **how)
    runner.run_rows = stuck
    main()
"""
"""A command that stores three trials and then waits for a signal."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals(tmp_path, number, call, fake):
    words = ("reproduce", "4-1", "--trials", "25", "--out", "o", "--json")
    running = python(STUCK, *words, cwd=tmp_path)
    while running.poll() is None and ended(tmp_path / "o") < 3:
        time.sleep(0.01)
    running.send_signal(number)
    out, err = running.communicate()
    assert "Traceback" not in err
    assert ended(tmp_path / "o") == 3
    if number == signal.SIGKILL:
        assert running.returncode == -signal.SIGKILL
    else:
        assert running.returncode == 1
        assert json.loads(out)[0]["trials"] == 3
    again = call(*words)
    assert again.code == 0
    assert fake.ran == [("4-1", index) for index in range(3, 25)]
    [found] = json.loads(again.out)
    assert found["trials"] == 25
    assert found["steps"] == sum(fakes.trial(i, "4-1", SEED).steps for i in range(25))


def ended(folder: Path) -> int:
    try:
        with Store(folder, read_only=True) as store:
            return len(store.trials("4-1"))
    except StoreError:  # not created yet
        return 0


CLI = "from carrousel.cli import main\nmain()"


def test_python_m_carrousel():
    words = [sys.executable, "-m", "carrousel", "--version"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == f"carrousel {version('carrousel')}\n"


def test_a_closed_pipe_is_not_an_error():
    read, write = os.pipe()
    os.close(read)
    listing = python(CLI, "list", "--json", stdout=write)
    os.close(write)
    assert listing.communicate()[1] == ""


def test_a_terminal_without_unicode_gets_question_marks():
    poor = {**os.environ, "PYTHONIOENCODING": "ascii"}
    listing = python(CLI, "list", env=poor)
    out, err = listing.communicate()
    assert (listing.returncode, err) == (0, "")
    assert "4-1" in out


def imported_by(words: Sequence[str]) -> set[str]:
    code = """
        from carrousel.cli import main
        try:
            main()
        except SystemExit:
            pass
        print("MODULES", *sys.modules)
    """
    out = python(code, *words).communicate()[0]
    return set(out.rsplit("MODULES", 1)[1].split())


@each("words", [["--help"], ["list"], ["show", "4-1"]])
def test_help_and_lists_import_nothing_slow(words):
    heavy = {"joblib", "plotly", "jinja2", "torch", "sklearn", "pandas", "scipy", "matplotlib"}
    assert imported_by(words) & heavy == set()


def test_a_full_or_closed_standard_stream_is_one_line(tmp_path):
    """Neither a traceback nor a warning of the interpreter at its end."""
    (tmp_path / "rows.csv").write_text("level\n1\n2\n3\n", encoding="utf-8")
    learn = f"{sys.executable} -m carrousel stream"
    for command, said in (
        (f"{sys.executable} -m carrousel list --json > /dev/full", "standard output cannot be"),
        (f"{learn} rows.csv --predict-next level > /dev/full", "standard output cannot be"),
        (f"{learn} - --predict-next level <&-", "standard input is closed"),
        (f"{learn} rows.csv --predict-next level >&-", "standard output cannot be"),
    ):
        found = subprocess.run(
            command, shell=True, capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert found.returncode in (1, 2), command
        assert said in found.stderr, (command, found.stderr)
        assert "Traceback" not in found.stderr, command
