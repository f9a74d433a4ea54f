"""The page of speed, from invented times."""

from __future__ import annotations

import json
from typing import Any

import pytest
from benchmarks.common.timing import Sample
from benchmarks.lanes.collect import collect
from benchmarks.lanes.lineup import Plan, Report
from benchmarks.lanes.parity import Parity
from tools.pages.speed import speed_page, speed_summary

pytest.importorskip("jinja2", reason="needs the extra 'report'")


def results_of(held: float = 1.0) -> dict[str, Any]:
    """Results with invented times, in the form that is saved."""
    plan, report = Plan(repeats=2), Report(flop_per_step=600.0)
    for key, ns in (("carrousel, a", 10.0), ("carrousel, b", 20.0), ("other, c", 124.0)):
        name, detail = key.split(", ")
        report.names[key] = (name, detail, 16)
        samples = [Sample(ns * 1e-9, held * ns * 1e-9, 1.0)] * 2
        for data in ("ready", "drawn"):
            report.samples.setdefault(data, {})[key] = samples
    report.parity = {key: Parity(0, 1, 0, 1) for key in report.names if "other" not in key}
    report.peak = [Sample(1.0, 1.0, 120e9)]
    return json.loads(json.dumps(collect(plan, [("4-1", [report])])))


def test_the_page_shows_each_contender_in_its_fastest_form():
    text = speed_page(results_of())
    assert "| carrousel, a | **10.0** |" in text
    assert "| other | 124 (12x) |" in text
    assert "4-1 50%" in text  # 600 operations in 10 ns are 60 of 120 GFLOP/s
    assert "Wall-clock time" in text
    assert "| 4-1 | 10 | 124 (12.4) |" in speed_summary(results_of())


def test_a_disturbed_measurement_shows_time_on_the_core():
    results = results_of(held=0.5)
    assert "| carrousel, a | **5.00** |" in speed_page(results)
    assert "programs used the machine as well" in speed_page(results)
    assert "one shared core; CPU time" in speed_summary(results)
