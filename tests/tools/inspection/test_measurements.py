"""Measurements of the guide of inspections: all faults are listed, and the page shows them."""

from __future__ import annotations

import json

import pytest
from tools.pages.inspection import inspection_page
from tools.sections import RESULTS

pytest.importorskip("torch", reason="needs the extra 'torch'")

from inspection.verdicts.faulty import FAULTY

MEASURED = json.loads((RESULTS / "inspection.json").read_text(encoding="utf-8"))


def test_every_planted_fault_is_in_the_table():
    """A new fault shows here: run ``PYTHONPATH=tests python -m tools.inspection verdicts``."""
    planted = {key.split(":")[0] for key in FAULTY}
    assert set(MEASURED["verdicts"]["faults"]) == planted
    assert all(row["text"] for row in MEASURED["verdicts"]["faults"].values())


def test_the_page_shows_each_fault():
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    pytest.importorskip("jinja2", reason="needs the extra 'report'")
    page = inspection_page(MEASURED)["inspection.md"]
    for name in MEASURED["verdicts"]["faults"]:
        assert f"| `{name}` |" in page


def test_the_three_memories_are_independent():
    """The fresh net has none, one with forget biases has a reach, the trained one uses it."""
    fresh, open_, trained = (MEASURED["memories"][n] for n in ("fresh", "forget biases", "trained"))
    assert fresh["reach"][50] < 1e-6 < 1e-3 < open_["reach"][50]
    assert abs(open_["rise"][-1]) < 0.1 < trained["rise"][-1]
