"""A source or a sink holds no file open once its ``with`` statement has ended, however it ended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from carrousel.online.sinks.open import open_sink
from carrousel.online.sources.open import open_rows


def held(path: Path) -> bool:
    """Whether this process has a file open."""
    folder = Path("/proc/self/fd")
    return any(os.path.realpath(folder / name) == str(path) for name in os.listdir(folder))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are not to be seen here")
@pytest.mark.parametrize("trouble", [False, True])
def test_files_are_closed_with_the_statement(tmp_path, trouble):
    source, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    source.write_text("x\n1\n2\n", encoding="utf-8")
    try:
        with open_rows(source) as rows, open_sink(out, "csv") as sink:
            next(iter(rows))
            sink.write({"x": [1.0]})
            assert held(source)
            assert held(out)
            if trouble:
                raise KeyError("trouble")
    except KeyError:
        assert trouble
    assert not held(source)
    assert not held(out)
