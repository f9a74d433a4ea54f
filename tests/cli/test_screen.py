"""Output of commands: files are replaced atomically."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from carrousel.cli.screen import write_text
from carrousel.errors import UnwritableError


def test_a_file_has_the_usual_permissions(tmp_path):
    path = tmp_path / "page.html"
    before = os.umask(0o027)
    try:
        write_text(path, "after – ±")  # noqa: RUF001
    finally:
        os.umask(before)
    assert path.read_text("utf-8") == "after – ±"  # noqa: RUF001
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableError, match="No space left on device"):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_links_are_followed_and_devices_written(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    write_text(link, "through")
    assert link.is_symlink()
    assert target.read_text() == "through"
    write_text(Path("/dev/null"), "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_file_in_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(UnwritableError, match="No such file or directory"):
        write_text(tmp_path / "absent" / "page.html", "")


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(UnwritableError, match="it is a folder"):
        write_text(tmp_path, "")
