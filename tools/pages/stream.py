"""Writes what a step of a stream costs, ours beside others: ``docs/stream.md``."""

from __future__ import annotations

from typing import Any

from tools.pages.rivals import table

OURS = ("OnlineLSTM.step", "OnlineLSTM.run")
THEIRS = (
    "PyTorch, autograd",
    "PyTorch, by hand",
    "deep-river LSTMRegressor",
    "river linear regression",
)
FIRST = (16, 32)
AIMS = (
    ("a step of `OnlineLSTM.step`, I = 16, C = 32", "at most 10 us"),
    ("of `OnlineLSTM.run`, there, a weight", "at most 0.5 ns"),
    ("deep-river's time by that of `OnlineLSTM.step`, there", "at least 50"),
    ("PyTorch's (autograd) by that of `OnlineLSTM.step`, there", "at least 100"),
    ("PyTorch's (by hand) by that of `OnlineLSTM.step`, there", "at least 100"),
)

INTRODUCTION = """\
# One step of a stream: predict, then learn

Microseconds from a row to the changed weights on one core: median of stretches of calls taken in
alternation, and their quartiles in brackets. Nets of C memory cells with forget gates see I numbers
and learn one, by the truncated gradient and Adam, float32; a step reads and writes every weight,
its two running means and the traces.

- **OnlineLSTM.step**: one call from Python for each row, an array in, a number out.
- **OnlineLSTM.run**: 2000 rows in one call. Both standardise inputs and targets as they go, which
  the loops of PyTorch below do not.
- **PyTorch, autograd**: the same cell, gradient and optimiser in a loop; autograd within a step,
  the past in traces. **PyTorch, by hand**: every derivative written out, no autograd, fused Adam.
- **deep-river LSTMRegressor**: `torch.nn.LSTM` with C units, `predict_one` and `learn_one`, its own
  window of ten rows, which it runs through anew for each. Another gradient, cut off after ten.
- **river linear regression**: standardised, no memory. An orientation, not a rival.

Before they were timed, our kernel in float64 and both loops of PyTorch in float64 followed the
readable reference through 300 rows, predicted and learned, to within {worst:.0e}.
"""


def stream_page(measured: dict[str, Any]) -> str:
    """The page, from what ``benchmarks/stream`` measured."""
    parts = []
    if rows := measured.get("rows"):
        parts += [_times(rows, measured)]
    if "command" in measured:
        parts.append(_command(measured["command"]))
    if "soak" in measured:
        parts.append(_soak(measured["soak"]))
    found = measured["machine"]
    used = ("python", "carrousel", "numpy")
    versions = {name: found["versions"][name] for name in used} | found["packages"]
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts.append(
        f"Measured on {found['processor']}, shared with other programs: {names}.\n\n"
        "deep-river asks for torch below 2.6; it was run with this one. "
        "`python -m benchmarks.stream` measures\nagain (its first lines say what it needs), "
        "`python -m tools.pages` makes this page.\n"
    )
    return "\n".join(parts)


def _times(rows: list[dict[str, Any]], measured: dict[str, Any]) -> str:
    us = {(r["contender"], r["inputs"], r["cells"]): r["us"] for r in rows if "us" in r}
    sizes = list(dict.fromkeys((r["inputs"], r["cells"]) for r in rows))
    weights = {(r["inputs"], r["cells"]): r["weights"] for r in rows}
    names = [n for n in (*OURS, *THEIRS) if any((n, *size) in us for size in sizes)]
    heads = ["", *(f"I = {i}, C = {c}" for i, c in sizes)]
    errors = [r["parity"]["error"] for r in rows if r["parity"]["error"] is not None]
    times = [[name, *(_cell(us.get((name, *size))) for size in sizes)] for name in names]
    times.insert(0, ["weights", *(f"{weights[size]:,}" for size in sizes)])
    each = [
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
    return "\n".join(
        [
            INTRODUCTION.format(worst=max(errors)),
            table(heads, times, 1),
            "\nNanoseconds for each weight:\n",
            table(heads, each, 1),
            "\nTimes as fast:\n",
            table(heads, ratios, 1),
            f"\nTime on the core, which others used as well: it was held {100 * held:.0f} % of the "
            f"time or more; {measured['repeats']} stretches of {measured['seconds']} s each.\n",
            _aims(us, weights) if FIRST in weights else "",
        ]
    )


def _aims(us: dict[Any, Any], weights: dict[Any, int]) -> str:
    """What had been aimed at, and whether it was reached."""
    median = {name: found["median"] for (name, *size), found in us.items() if tuple(size) == FIRST}
    step, run = median["OnlineLSTM.step"], median["OnlineLSTM.run"]
    each = 1000 * run / weights[FIRST]
    found = [f"{step:.1f} us", f"{each:.2f} ns"]
    reached = [step <= 10, each <= 0.5]
    for name, least in ((THEIRS[2], 50), (THEIRS[0], 100), (THEIRS[1], 100)):
        ratio = median[name] / step if name in median else None
        found.append("" if ratio is None else f"{ratio:.0f}")
        reached.append(ratio is not None and ratio >= least)
    rows = [
        [what, aim, value, "yes" if done else "no"]
        for (what, aim), value, done in zip(AIMS, found, reached, strict=True)
    ]
    return "\n## Aims\n\n" + table(["", "aim", "measured", "reached"], rows, 2) + "\n"


def _command(measured: dict[str, Any]) -> str:
    rows = []
    for way, found in measured["ways"].items():
        rows.append(
            [
                way,
                f"`{found['options']}`",
                f"{found['seconds']:.1f}",
                f"{found['processor_seconds']:.1f}",
                f"{measured['rows'] / found['seconds']:,.0f}",
                f"{found['peak_mib']:.0f}",
            ]
        )
    heads = ["", "options", "seconds", "on cores", "rows a second", "MiB at most"]
    return "\n".join(
        [
            "## The command line\n",
            f"`carrousel stream rows.csv --target y` with its defaults: {measured['rows']:,} rows "
            f"of {measured['inputs']} numbers and\na target, a CSV of "
            f"{measured['mib_of_rows']:.0f} MiB, from the start of the process to its end. The aim "
            "was 60 seconds.\n",
            table(heads, rows, 2),
            "",
        ]
    )


def _soak(measured: dict[str, Any]) -> str:
    rows = measured["rows"]
    shown = [row for n, row in enumerate(rows) if n in {0, len(rows) - 1} or n % 7 == 6]
    cells = [
        [
            f"{row['steps']:,}",
            f"{row['ns']:.0f}",
            f"{row['mib']:.1f}",
            f"{row['largest_weight']:.2f}",
            f"{row['relative_error']:.3f}",
        ]
        for row in shown
    ]
    first, last = rows[0], rows[-1]
    most = max(measured["peak_mib"], *(row["mib"] for row in rows))
    heads = ["steps", "ns a step", "MiB", "largest weight", "error / deviation"]
    return "\n".join(
        [
            "## For long\n",
            f"{measured['steps']:,} steps in one process, I = {measured['inputs']}, "
            f"C = {measured['cells']}, rows that never repeat and whose rule drifts\n"
            "and jumps. Resident memory of the process, data and interpreter included: "
            f"{first['mib']:.1f} MiB near the\nbeginning, {last['mib']:.1f} MiB at the end, "
            f"{most:.1f} at most. A hundred thousand rows are handed over at a\n"
            "time.\n",
            table(heads, cells, 0),
            "",
        ]
    )


def _cell(us: dict[str, float] | None) -> str:
    if us is None:
        return ""
    return f"{_short(us['median'])} ({_short(us['low'])}-{_short(us['high'])})"


def _ratio(us: dict[Any, Any], theirs: str, ours: str, size: tuple[int, int]) -> str:
    if (theirs, *size) not in us:
        return ""
    return _short(us[theirs, *size]["median"] / us[ours, *size]["median"])


def _short(value: float) -> str:
    """Three figures, and all of a larger number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
