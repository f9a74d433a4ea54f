"""The type stub of the compiled module."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from nanobind.stubgen import StubGen

from carrousel import _native

STUB = Path(__file__).parents[3] / "src" / "carrousel" / "_native.pyi"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="stubs differ between versions")
def test_stub_describes_the_extension():
    generator = StubGen(_native, quiet=True)
    generator.put(_native)
    assert STUB.read_text(encoding="utf-8") == generator.get(), "stale stub: run `make build`"
