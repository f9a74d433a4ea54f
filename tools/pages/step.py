"""The page ``docs/step.md``: the time of one step at batch 1, ours and that of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

AIM = 10.0
"""Times as fast as torch's cell at 128 units."""

Times = Mapping[tuple[str, int, int], Mapping[str, float]]
"""Microseconds of a step by contender, inputs and units."""


def step_page(measured: Mapping[str, Any], calls: Mapping[str, Any] | None = None) -> str:
    """Write the page from the results of ``benchmarks/step``.

    Args:
        measured: ``benchmarks/results/step.json``.
        calls: ``benchmarks/results/calls.json``.
    """
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
        reached=[(i, _reached(times, (i, h))) for i, h in sizes if h == 128],
        machine=", ".join([machine["processor"], *map(" ".join, versions.items())]),
        calls=calls_table(calls["rows"]) if calls else "",
        loop=calls["loop"] if calls else 0,
    )


def calls_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Times of our calls as multiples of torch's, with the quartiles of the ratio."""
    sizes = sorted({(row["units"], row["batch"]) for row in rows})
    found = {
        (row["way"], row["learns"], row["kind"], row["units"], row["batch"]): row for row in rows
    }
    lines = []
    for way, learns, kind in dict.fromkeys((r["way"], r["learns"], r["kind"]) for r in rows):
        name = f"{kind}, T = 1" if way == "layer" else f"{kind}Cell"
        cells = [_ratio(found[way, learns, kind, *size]) for size in sizes]
        lines.append([name, "training" if learns else "`no_grad`", *cells])
    return table(["", "", *(f"H = {h}, B = {b}" for h, b in sizes)], lines, "llr")


def _ratio(row: Mapping[str, Any]) -> str:
    low, middle, high = row["ratio"]
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"  # noqa: RUF001


def _time(times: Times, name: str, size: tuple[int, int]) -> str:
    us = times.get((name, *size))
    return "" if us is None else f"{us['median']:.2f} ({us['p99']:.2f})"


def _reached(times: Times, size: tuple[int, int]) -> list[str]:
    fast = (name for name in OURS if float(_speedup(times, name, (CELL,), size)) >= AIM)
    return [name.removeprefix("carrousel.nn.step, ") for name in fast]


def _speedup(times: Times, ours: str, theirs: tuple[str, ...], size: tuple[int, int]) -> str:
    """How many times as fast as the fastest of ``theirs`` we are."""
    fastest = min(times[name, *size]["median"] for name in theirs)
    return f"{fastest / times[ours, *size]['median']:.1f}"
