"""The page ``docs/step.md``: the time of one step at batch 1, ours and that of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pages.render import render

from carrousel.experiments.report.markdown import table

OURS = ("carrousel.nn.step", "carrousel.nn.step, arrays", "carrousel.nn.step, prepared")
CELL = "torch.nn.LSTMCell"
ONNX = (
    "onnxruntime, exported",
    "onnxruntime, exported, bound",
    "onnxruntime, LSTM",
    "onnxruntime, LSTM, bound",
)
THEIRS = (CELL, "torch.nn.LSTM", *ONNX)

Times = Mapping[tuple[str, int, int], Mapping[str, float]]
"""Microseconds of a step by contender, inputs and units."""


def step_page(measured: Mapping[str, Any]) -> str:
    """Write the page from the results of ``benchmarks/step``."""
    times = {(r["contender"], r["inputs"], r["units"]): r["us"] for r in measured["rows"]}
    sizes = list(dict.fromkeys((r["inputs"], r["units"]) for r in measured["rows"]))
    heads = ["", *(f"I = {inputs}, H = {units}" for inputs, units in sizes)]

    def rows(names: tuple[str, ...], cell: Any) -> str:
        return table(
            heads, [[name, *(cell(times, name, size) for size in sizes)] for name in names]
        )

    machine = measured["machine"]
    versions = {**machine["versions"], **measured["runtimes"]}
    return render(
        "step.md",
        times=rows((*OURS, *THEIRS), _time),
        by_cell=rows(OURS, lambda times, name, size: _speedup(times, name, (CELL,), size)),
        by_onnx=rows(OURS, lambda times, name, size: _speedup(times, name, ONNX, size)),
        machine=", ".join([machine["processor"], *map(" ".join, versions.items())]),
    )


def _time(times: Times, name: str, size: tuple[int, int]) -> str:
    us = times.get((name, *size))
    return "" if us is None else f"{us['median']:.2f} ({us['p99']:.2f})"


def _speedup(times: Times, ours: str, theirs: tuple[str, ...], size: tuple[int, int]) -> str:
    """How many times as fast as the fastest of ``theirs`` we are."""
    fastest = min(times[name, *size]["median"] for name in theirs)
    return f"{fastest / times[ours, *size]['median']:.1f}"
