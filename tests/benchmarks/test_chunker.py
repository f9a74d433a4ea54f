"""Benchmark of the chunker: it verifies before it times, and times every implementation."""

from __future__ import annotations

from importlib import import_module

import pytest

from carrousel.kernels import NativeChunker, instruction_sets

chunker = import_module("benchmarks.learn.chunker")


@pytest.mark.parametrize("row", chunker.ROWS)
def test_every_implementation_is_timed(row):
    found = chunker.measure(row, quick=True)
    assert list(found) == [*instruction_sets(), "NumPy"]
    assert min(found.values()) > 0
    assert "NumPy" in chunker.text_of({row: found})


def test_another_algorithm_is_not_timed(monkeypatch):
    """Errors that reach one step back instead of three."""

    def shallow(*nets: object, depth: int, **settings: float) -> NativeChunker:
        return NativeChunker(*nets, depth=1, **settings)  # type: ignore[arg-type]

    right = chunker.kernels()
    monkeypatch.setattr(chunker, "kernels", lambda: right | {"shallow": shallow})
    with pytest.raises(SystemExit, match=r"shallow: hidden_.* differs"):
        chunker.measure(chunker.ROWS[0], quick=True)
