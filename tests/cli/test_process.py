"""The command line as a process: signals, pipes, poor terminals, and what it loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from carrousel.cli.options import SEED
from carrousel.errors import StoreError
from carrousel.experiments.store.store import Store
from support.experiments import fakes
from support.paths import TESTS


def python(text: str, *words: str, **how: Any) -> subprocess.Popen[str]:
    head = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(text), *words],
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how},
    )


SLOW = """
    import time
    from carrousel.cli import main
    from carrousel.experiments.run import runner
    from support.experiments.fake_runner import FakeRunner
    fake = FakeRunner()
    def slow(experiment, on_progress, **how):
        def wait(progress):
            time.sleep(0.05)
            on_progress(progress)
        return fake.run(experiment, on_progress=wait, **how)
    runner.run = slow
    main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals(tmp_path, number):
    words = ("reproduce", "4-1", "--trials", "25", "--out", "o", "--json")
    held = SLOW.replace("0.05", "0.05 if progress.trials_done < 4 else 60")  # until the signal
    running = python(held, *words, cwd=tmp_path)
    kept = tmp_path / "o"
    while running.poll() is None and ended(kept) < 2:
        time.sleep(0.01)
    running.send_signal(number)
    out, err = running.communicate()
    assert "Traceback" not in err
    done = ended(kept)
    assert 2 <= done < 25
    if number == signal.SIGKILL:
        assert running.returncode == -signal.SIGKILL
    else:
        assert running.returncode == 1
        assert json.loads(out)[0]["trials"] == done
    again = python(SLOW, *words, cwd=tmp_path)
    found = json.loads(again.communicate()[0])[0]
    assert again.returncode == 0
    fresh = [fakes.trial(i, "4-1", SEED) for i in range(25)]
    assert found["trials"] == 25
    assert found["steps"] == sum(trial.steps for trial in fresh)


def ended(folder: Path) -> int:
    try:
        with Store(folder, read_only=True) as store:
            return len(store.trials("4-1"))
    except StoreError:  # it is just being made
        return 0


CLI = "from carrousel.cli import main\nmain()"


def test_a_closed_pipe_is_no_error():
    read, write = os.pipe()
    os.close(read)
    listing = python(CLI, "list", "--json", stdout=write)
    os.close(write)
    assert listing.communicate()[1] == ""


def test_a_terminal_without_unicode_gets_something():
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


@pytest.mark.parametrize("words", [["--help"], ["list"], ["show", "4-1"]])
def test_looking_around_loads_nothing_heavy(words):
    heavy = {"joblib", "plotly", "jinja2", "torch", "sklearn", "pandas", "scipy", "matplotlib"}
    assert imported_by(words) & heavy == set()
