"""Atomic writes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from carrousel.errors import UnwritableError
from carrousel.files import replaced, write_whole


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "model"
    write_whole(path, b"old")
    for mode in (0o600, 0o640, 0o444):
        path.chmod(mode)
        write_whole(path, b"new")
        assert stat.S_IMODE(path.stat().st_mode) == mode


def broken(path: Path, error: Exception) -> None:
    with replaced(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        broken(path, ZeroDivisionError())
    with pytest.raises(UnwritableError, match="No space"):
        broken(path, OSError(28, "No space left on device"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["rows.csv"]


def test_files_of_killed_processes_are_removed(tmp_path):
    """Those of other names, and of processes that run, stay."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".{ended.pid}-00.part.model"
    others = [tmp_path / f".{ended.pid}-00.part.model2", tmp_path / f".{os.getppid()}-0.part.model"]
    for one in (left, *others):
        one.write_bytes(b"half")
    write_whole(tmp_path / "model", b"whole")
    assert not left.exists()
    assert all(one.exists() for one in others)
