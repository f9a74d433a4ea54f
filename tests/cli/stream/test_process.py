"""`carrousel stream` as a process: killed or stopped at any moment, and resumed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.online.model.model import OnlineLSTM

CLI = "from carrousel.cli import main\nmain()"


def start(folder: Path, *words: object, **how: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CLI, "stream", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, text=True, env=alone, **{**pipes, **how})


def write_rows(path: Path, n: int) -> None:
    """Two sensors at odd and even rows."""
    rng = np.random.default_rng(1)
    x = np.sin(0.1 * np.arange(n)) + 0.1 * rng.normal(size=n)
    colour = rng.choice(["red", "green", "blue"], n)
    lines = [f"{'ab'[i % 2]},{i},{x[i]:.4f},{colour[i]}\n" for i in range(n)]
    path.write_text("sensor,at,level,colour\n" + "".join(lines))


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize(
    "asked",
    [
        ("--predict-next", "level", "--key", "sensor", "--streams", "3", "--time", "at"),
        ("--target", "colour", "--ignore", "sensor,at"),
    ],
    ids=["numbers of two streams", "classes"],
)
def test_killed_at_any_moment_and_resumed_it_writes_the_same(tmp_path, asked):
    write_rows(tmp_path / "rows.csv", 6_000)
    words = ("rows.csv", *asked, "--cells", 8, "--anomaly", "--json")
    whole = start(tmp_path, *words, "--out", "whole.csv")
    expected = json.loads(whole.communicate()[0])
    assert whole.returncode == 0
    goal = size(tmp_path / "whole.csv")
    saving = ("--checkpoint", "c", "--checkpoint-every", "0.05", "--resume", "--out", "parts.csv")
    chance, kills = random.Random(5), 0
    for part in (0.1, 0.3, 0.7):
        running = start(tmp_path, *words, *saving)
        while running.poll() is None and size(tmp_path / "parts.csv") < part * goal:
            time.sleep(0.001)
        time.sleep(0.03 * chance.random())
        running.kill()
        running.communicate()
        kills += running.returncode == -signal.SIGKILL
    assert kills >= 2  # it may have ended before a kill
    last = start(tmp_path, *words, *saving)
    found = json.loads(last.communicate()[0])
    assert last.returncode == 0
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    result = ("rows", "scored", "errors", "recent", "skipped", "without_target")
    assert {name: found[name] for name in result} == {name: expected[name] for name in result}
    assert OnlineLSTM.load(tmp_path / "c").n_steps_ == 6_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_everything_and_shows_how_to_resume(tmp_path, number):
    """Rows arrive by a pipe that stays open: all of them are learned, written and saved."""
    write_rows(tmp_path / "rows.csv", 200)
    text = (tmp_path / "rows.csv").read_text()
    words = ("-", "--predict-next", "level", "--key", "sensor", "--checkpoint", "c")
    words = (*words, "--out", "out.csv", "--cells", 4)
    running = start(tmp_path, *words, stdin=subprocess.PIPE)
    assert running.stdin is not None
    running.stdin.write(text)
    running.stdin.flush()
    while size(tmp_path / "out.csv") == 0 and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(number)
    out, err = running.communicate()
    assert running.returncode == 1
    assert "200 rows" in out
    assert f"Stopped by {signal.Signals(number).name}. Saved in c. Resume with:" in " ".join(
        err.split()
    )
    command = err.splitlines()[-1].split()
    assert command[:2] == ["carrousel", "stream"]
    assert command[-1] == "--resume"
    assert "Traceback" not in err
    replayed = start(tmp_path, *command[2:], "--json", stdin=subprocess.PIPE)
    out, err = replayed.communicate(text + "a,200,0.5,red\n")
    assert replayed.returncode == 0, err
    assert json.loads(out)["rows"] == 201
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 202


def test_a_growing_file_is_followed_until_idle(tmp_path):
    path = tmp_path / "rows.csv"
    write_rows(path, 100)
    words = ("rows.csv", "--predict-next", "level", "--follow", "--idle", "0.7", "--cells", 4)
    running = start(tmp_path, *words, "--out", "out.jsonl", "--ignore", "colour,at")
    while size(tmp_path / "out.jsonl") == 0 and running.poll() is None:
        time.sleep(0.01)
    with path.open("a") as file:
        file.write("a,100,0.25,red\n")
    err = running.communicate()[1]
    assert (running.returncode, err) == (0, "")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(rows) == 101
    assert rows[-1]["target"] == 0.25
    assert rows[-1]["line"] == 102


def test_the_reader_of_a_pipe_may_close_it(tmp_path):
    write_rows(tmp_path / "rows.csv", 6_000)
    read, write = os.pipe()
    os.close(read)
    running = start(tmp_path, "rows.csv", "--predict-next", "level", stdout=write)
    os.close(write)
    assert running.communicate()[1] == ""
    assert running.returncode == 1  # the stream was not read to its end


def test_help_imports_nothing_heavy(tmp_path):
    code = CLI.replace("main()", "try:\n main()\nexcept SystemExit:\n pass") + (
        "\nimport sys\nprint('MODULES', *sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, "stream", "--help"], text=True, capture_output=True
    )
    loaded = set(found.stdout.rsplit("MODULES", 1)[1].split())
    heavy = {"pyarrow", "pandas", "torch", "sklearn", "scipy", "safetensors"}
    heavy |= {f"carrousel.online.{name}" for name in ("model", "sources", "sinks", "evaluation")}
    assert not heavy & loaded


def test_a_slow_net_stops_within_a_batch_and_resumes_there(tmp_path):
    """All rows are one batch. Bad rows before and after the stop are counted once."""
    write_rows(tmp_path / "rows.csv", 600)
    text = (tmp_path / "rows.csv").read_text().splitlines()
    for row in (3, 40, 500):
        text[row] = text[row].replace(",", ",x", 1)
    (tmp_path / "rows.csv").write_text("\n".join(text) + "\n")
    words = ("rows.csv", "--predict-next", "level", "--ignore", "sensor,colour", "--json")
    words = (*words, "--time", "at", "--on-error", "skip", "--cells", 28, "--gradient", "rtrl")
    expected = json.loads(start(tmp_path, *words, "--out", "whole.csv").communicate()[0])
    saving = ("--checkpoint", "c", "--checkpoint-every", "0.1", "--out", "parts.csv", "--resume")
    running = start(tmp_path, *words, *saving)
    while size(tmp_path / "c") == 0 and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    result = json.loads(running.communicate()[0])
    assert result["stopped"] == "Stopped by SIGTERM."
    assert 0 < result["rows"] < 597
    assert OnlineLSTM.load(tmp_path / "c").n_steps_ == result["rows"]
    found = json.loads(start(tmp_path, *words, *saving).communicate()[0])
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    for name in ("rows", "skipped", "errors", "recent"):
        assert found[name] == expected[name]
    assert sum(found["skipped"].values()) == 3
