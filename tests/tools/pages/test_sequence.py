"""The page of sequences, from invented times."""

from __future__ import annotations

from typing import Any

import pytest
from tools.pages.sequence import sequence_page

pytest.importorskip("jinja2", reason="needs the extra 'report'")


def section(*rows: dict[str, Any]) -> dict[str, Any]:
    """One section as ``benchmarks/sequence`` saves it."""
    machine = {
        "processor": "A",
        "cores": 2,
        "threads": 2,
        "instruction_sets": ["plain"],
        "versions": {"numpy": "2"},
    }
    return {
        "machine": machine,
        "plan": {"repeats": 3, "seconds": 0.02, "patience": 3},
        "rows": list(rows),
    }


def test_wrong_and_missing_rows_are_named():
    time = {"median": 2.0, "low": 1.0, "high": 3.0, "calm": 0.5}
    fast = {"size": [128, 32, 32, 32], "parity": {"holds": True}}
    for what in ("train", "infer"):
        fast[what] = {"ours": time, "torch": time, "ratio": 0.9, "ratio_least": 1.1}
    fast["train"] |= {"gflops": 10, "torch_gflops": 9, "share": 0.5}
    wrong = {"size": [128, 32, 64, 64], "parity": {"holds": False}}
    text = sequence_page({"plain": section(fast, wrong)})
    assert "2.00 (1.00-3.00)" in text
    assert "Not timed because of wrong results: LSTM at 128, 32, 64, 64 in plain." in text
    assert "Slower than `torch.nn.LSTM`: training at 128, 32, 32, 32" in text
    assert "- plain at 512, 16, 128, 128" in text  # not measured
    assert "50% were undisturbed" in text
    assert "## The same as a loop over time" not in text
