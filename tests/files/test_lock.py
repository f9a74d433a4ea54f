"""Locks, and names that lead to one file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carrousel.errors import SettingError, UnwritableError
from carrousel.files import check_distinct, held, same_file
from carrousel.online import open_sink

HOLD = """
import sys, time
from pathlib import Path
from carrousel.files import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path):
    path = tmp_path / "out.csv"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(UnwritableError, match=f"written by process {other.pid} "), held(path):
        pass
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(UnwritableError, match="is being written"), held(tmp_path / "link"):
        pass
    other.kill()
    other.communicate()
    with held(path), pytest.raises(UnwritableError, match=str(os.getpid())), held(path):
        pass
    assert os.listdir(tmp_path) == ["link"]


def test_two_sinks_of_one_file_are_refused(tmp_path):
    path = tmp_path / "out.csv"
    with open_sink(path) as sink:
        sink.write({"a": [1]})
        with pytest.raises(UnwritableError, match="is being written"):
            open_sink(path)
        sink.write({"a": [2]})
    assert path.read_text(encoding="utf-8") == "a\n1\n2\n"
    with open_sink(path) as sink:
        sink.write({"a": [3]})


def test_names_of_one_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a\n1\n", encoding="utf-8")
    Path("sub").mkdir()
    os.link("rows.csv", "hard")
    Path("soft").symlink_to("rows.csv")
    Path("dangling").symlink_to("later")
    for one, other in (
        ("rows.csv", "sub/../rows.csv"),
        ("rows.csv", "hard"),
        ("soft", "hard"),
        ("dangling", "later"),
        ("sub/../later", "dangling"),
    ):
        assert same_file(Path(one), Path(other)), (one, other)
        with pytest.raises(SettingError, match="A and B are the same file"):
            check_distinct([("A", one), ("B", other)])
    assert not same_file(Path("rows.csv"), Path("later"))


def test_standard_input_may_be_a_file_that_is_written(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("level\n1\n2\n3\n", encoding="utf-8")
    words = ("stream", "-", "--predict-next", "level", "--out", str(path))
    with path.open("rb") as rows:
        found = subprocess.run(
            [sys.executable, "-m", "carrousel", *words], stdin=rows, capture_output=True, text=True
        )
    assert (found.returncode, "SOURCE and --out are the same file" in found.stderr) == (2, True)
    assert path.read_text(encoding="utf-8") == "level\n1\n2\n3\n"
