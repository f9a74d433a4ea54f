"""Sources and sinks close their files at the end of a ``with`` statement."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from carrousel.online.sinks.open import open_sink
from carrousel.online.sources.open import open_rows


def is_open(path: Path) -> bool:
    """Return whether this process has a file open."""
    folder = Path("/proc/self/fd")
    return any(os.path.realpath(folder / name) == str(path) for name in os.listdir(folder))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to list open files")
def test_files_are_closed_with_the_statement(tmp_path):
    source, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    source.write_text("x\n1\n2\n", encoding="utf-8")
    for failing in (False, True):
        try:
            with open_rows(source) as rows, open_sink(out, "csv") as sink:
                next(iter(rows))
                sink.write({"x": [1.0]})
                assert is_open(source)
                assert is_open(out)
                if failing:
                    raise KeyError("failure within the statement")
        except KeyError:
            assert failing
        assert not is_open(source)
        assert not is_open(out)
