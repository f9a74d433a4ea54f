"""Whether two names lead to the same file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from carrousel.errors import SettingError

STANDARD = "-"
"""Name of standard input as a source."""


def same_file(one: Path, other: Path) -> bool:
    """Return whether two paths, of files that may not exist yet, lead to the same file.

    Links are followed, also those whose target does not exist yet. ``-`` is the file that standard
    input reads, if it reads one.

    >>> same_file(Path("a/../rows.csv"), Path("rows.csv")), same_file(Path("a"), Path("b"))
    (True, False)
    """
    if STANDARD in (str(one), str(other)):
        return _is_standard_input(other if str(one) == STANDARD else one)
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, ValueError):  # one does not exist, or is the address of something else
        return False


def _is_standard_input(path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(0), path.stat())
    except (OSError, ValueError):  # closed, or no such file
        return False


def check_distinct(files: Sequence[tuple[str, str | os.PathLike[str] | None]]) -> None:
    """Check that no two of the files of a command are the same.

    Args:
        files: the option, and the path or None, of each file, sources first.

    Raises:
        SettingError: two are the same file.

    >>> check_distinct([("SOURCE", "rows.csv"), ("--out", None), ("--html", "page.html")])
    >>> check_distinct([("SOURCE", "rows.csv"), ("--out", "./rows.csv")])
    Traceback (most recent call last):
        ...
    carrousel.errors.SettingError: SOURCE and --out are the same file rows.csv; name another
    """
    known: list[tuple[str, Path]] = []
    for option, name in files:
        if name is None:
            continue
        path = Path(name)
        for other, before in known:
            if same_file(path, before):
                raise SettingError(
                    f"{other} and {option} are the same file {path}", fix="name another"
                )
        known.append((option, path))
