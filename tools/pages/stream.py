"""The page ``docs/stream.md``: the cost of one step of a stream, compared with other libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tools.pages.render import render

from carrousel.experiments.report.markdown import table

STEP, RUN = OURS = ("OnlineLSTM.step", "OnlineLSTM.run")
AUTOGRAD, BY_HAND, DEEP_RIVER, LINEAR = THEIRS = (
    "PyTorch, autograd",
    "PyTorch, by hand",
    "deep-river LSTMRegressor",
    "river linear regression",
)
AIMED_SIZE = (16, 32)
"""Inputs and cells of the net that the aims are about."""
MOST_STEP_US, MOST_WEIGHT_NS = 10, 0.5
LEAST_RATIOS = {DEEP_RIVER: 50, AUTOGRAD: 100, BY_HAND: 100}

Size = tuple[int, int]
Row = Mapping[str, Any]
Times = Mapping[tuple[str, int, int], Mapping[str, float]]
"""Microseconds of a step by contender, inputs and cells."""


def stream_page(measured: Row) -> str:
    """Write the page from the results of ``benchmarks/stream``."""
    machine = measured["machine"]
    shown = ("python", "carrousel", "numpy")
    versions = {name: machine["versions"][name] for name in shown} | machine["packages"]
    values: dict[str, Any] = dict.fromkeys(("times", "aims", "command", "soak"))
    values["processor"] = machine["processor"]
    values["versions"] = ", ".join(map(" ".join, versions.items()))
    if rows := measured.get("rows"):
        values |= _step(rows)
        values |= {name: measured[name] for name in ("repeats", "seconds")}
    if "command" in measured:
        values["command"] = _command(measured["command"])
    if "soak" in measured:
        values["soak"] = _soak(measured["soak"])
    return render("stream.md", **values)


def _step(rows: Sequence[Row]) -> dict[str, Any]:
    us: Times = {(r["contender"], r["inputs"], r["cells"]): r["us"] for r in rows if "us" in r}
    sizes = list(dict.fromkeys((r["inputs"], r["cells"]) for r in rows))
    weights = {(r["inputs"], r["cells"]): r["weights"] for r in rows}
    names = [n for n in (*OURS, *THEIRS) if any((n, *size) in us for size in sizes)]
    heads = ["", *(f"I = {inputs}, C = {cells}" for inputs, cells in sizes)]
    errors = [r["parity"]["error"] for r in rows if r["parity"]["error"] is not None]
    times = [["weights", *(f"{weights[size]:,}" for size in sizes)]]
    times += [[name, *(_time(us.get((name, *size))) for size in sizes)] for name in names]
    by_weight = [
        [name, *(f"{1000 * us[name, *size]['median'] / weights[size]:.2f}" for size in sizes)]
        for name in OURS
    ]
    ratios = [
        [f"{theirs} / {ours}", *(_ratio(us, theirs, ours, size) for size in sizes)]
        for ours in OURS
        for theirs in names
        if theirs in THEIRS
    ]
    held = min(r["held"] for r in rows if "held" in r)
    return {
        "parity": f"{max(errors):.0e}",
        "times": table(heads, times),
        "by_weight": table(heads, by_weight),
        "ratios": table(heads, ratios),
        "held": f"{100 * held:.0f} %",
        "aims": _aims(us, weights) if AIMED_SIZE in weights else None,
    }


def _aims(us: Times, weights: Mapping[Size, int]) -> str:
    """Table of the aims, each with the measured value and whether it was reached."""
    median = {name: us[name, *AIMED_SIZE]["median"] for name, *size in us if (*size,) == AIMED_SIZE}
    each = 1000 * median[RUN] / weights[AIMED_SIZE]
    rows = [
        [
            "`OnlineLSTM.step`, I = 16, C = 32",
            *(f"at most {MOST_STEP_US} us", f"{median[STEP]:.1f} us"),
            _yes(median[STEP] <= MOST_STEP_US),
        ],
        [
            "`OnlineLSTM.run`, each weight",
            *(f"at most {MOST_WEIGHT_NS} ns", f"{each:.2f} ns"),
            _yes(each <= MOST_WEIGHT_NS),
        ],
    ]
    for name, least in LEAST_RATIOS.items():
        ratio = median[name] / median[STEP] if name in median else None
        rows.append(
            [
                f"{name} / `OnlineLSTM.step`",
                *(f"at least {least}", "" if ratio is None else f"{ratio:.0f}"),
                _yes(ratio is not None and ratio >= least),
            ]
        )
    return table(["", "aim", "measured", "reached"], rows, "llr")


def _yes(reached: bool) -> str:
    return "yes" if reached else "no"


def _command(measured: Row) -> dict[str, str]:
    rows = [
        [
            way,
            f"`{found['options']}`",
            f"{found['seconds']:.1f}",
            f"{found['processor_seconds']:.1f}",
            f"{measured['rows'] / found['seconds']:,.0f}",
            f"{found['peak_mib']:.0f}",
        ]
        for way, found in measured["ways"].items()
    ]
    heads = ["", "options", "seconds", "CPU seconds", "rows a second", "peak MiB"]
    return {
        "rows": f"{measured['rows']:,}",
        "inputs": str(measured["inputs"]),
        "mib": f"{measured['mib_of_rows']:.0f}",
        "table": table(heads, rows, "llr"),
    }


def _soak(measured: Row) -> dict[str, str]:
    rows = measured["rows"]
    shown = [row for n, row in enumerate(rows) if n in {0, len(rows) - 1} or n % 7 == 6]
    cells = [
        [
            f"{row['steps']:,}",
            f"{row['ns']:.0f}",
            f"{row['mib']:.1f}",
            f"{row['nbytes']:,}",
            f"{row['largest_weight']:.2f}",
            f"{row['relative_error']:.3f}",
        ]
        for row in shown
    ]
    heads = [
        "steps",
        "ns a step",
        "MiB",
        "bytes of the model",
        "largest weight",
        "error / deviation",
    ]
    most = max(measured["peak_mib"], *(row["mib"] for row in rows))
    return {
        **{name: f"{measured[name]:,}" for name in ("steps", "inputs", "cells")},
        **{"first": f"{rows[0]['mib']:.1f}", "last": f"{rows[-1]['mib']:.1f}"},
        "most": f"{most:.1f}",
        "processor": measured["machine"]["processor"],
        "table": table(heads, cells, "r"),
    }


def _time(us: Mapping[str, float] | None) -> str:
    if us is None:
        return ""
    return f"{_short(us['median'])} ({_short(us['low'])}-{_short(us['high'])})"


def _ratio(us: Times, theirs: str, ours: str, size: Size) -> str:
    if (theirs, *size) not in us:
        return ""
    return _short(us[theirs, *size]["median"] / us[ours, *size]["median"])


def _short(value: float) -> str:
    """Three significant digits; all digits before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
