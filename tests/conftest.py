"""How hypothesis draws, the same in every run or new when told to explore; calls of `carrousel`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings

if TYPE_CHECKING:
    from support.experiments.fake_runner import FakeRunner

collect_ignore = ["foreign/packages"]
"""These modules import packages that are installed in separate environments."""

SHARE = float(os.environ.get("CARROUSEL_EXAMPLES", "1"))
"""Share of the examples of each property that are tried."""

settings.register_profile(
    "suite", derandomize=True, deadline=None, max_examples=max(1, round(100 * SHARE))
)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)
settings.register_profile("mutants", derandomize=True, deadline=None, phases=[Phase.generate])
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts background jobs with SIGINT ignored, and processes started by tests inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "mutants: breaks kernels on purpose; takes minutes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a share of the examples that a property asks for, but no fewer than five."""
    for item in items:
        test = getattr(item, "obj", None)
        asked = getattr(test, "_hypothesis_internal_use_settings", None)
        if SHARE < 1 and asked is not None:
            fewer = min(asked.max_examples, max(5, round(SHARE * asked.max_examples)))
            function: Any = getattr(test, "__func__", test)
            function._hypothesis_internal_use_settings = settings(asked, max_examples=fewer)


@dataclass
class Outcome:
    """How a call of the command line ended, and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(monkeypatch, capsys, tmp_path) -> Callable[..., Outcome]:
    """Call the command line in an empty folder."""
    from carrousel.cli import main

    monkeypatch.chdir(tmp_path)

    def carrousel(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["carrousel", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 99
        return Outcome(code, *capsys.readouterr())

    return carrousel


@pytest.fixture
def fake(monkeypatch) -> FakeRunner:
    """A runner that learns nothing, in place of the real one."""
    from carrousel.experiments.run import runner
    from support.experiments.fake_runner import FakeRunner

    fake = FakeRunner()
    monkeypatch.setattr(runner, "run_rows", fake.run_rows)
    return fake
