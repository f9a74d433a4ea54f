"""The page ``docs/step.md``: the time of one step at batch 1, ours and that of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pages.render import render

from carrousel.experiments.report.markdown import table

STORED = tuple(f"carrousel.nn.step, {name}" for name in ("bfloat16", "float16", "int8"))
OURS = (
    *("carrousel.nn.step", "carrousel.nn.step, arrays", "carrousel.nn.step, prepared"),
    *STORED,
)
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
    found = {(r["contender"], r["inputs"], r["units"]): r for r in measured["rows"]}
    times = {key: row["us"] for key, row in found.items() if "us" in row}
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
        errors=rows(STORED, lambda _, name, size: f"{found[name, *size]['parity']['error']:.0e}"),
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
