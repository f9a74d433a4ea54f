"""The page ``docs/gradients.md`` and its picture: gradients of a stream's net, error and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t
from tools.pages.plot import Point, points_svg
from tools.pages.render import render

from carrousel.contracts.streaming import LARGEST_SENSITIVITY
from carrousel.experiments.report.markdown import table

Figures = Mapping[str, Any]
"""Rows, errors of each seed, and the baseline of one net, task and gradient."""
Tasks = Mapping[str, Mapping[str, Figures]]

LAG = ("copy", "product")
"""First words of the lag tasks."""


def gradients_page(measured: Mapping[str, Any]) -> dict[str, str]:
    """Write the page and its picture, by file name, from results of ``benchmarks/gradients``."""
    errors, cost = measured["errors"], measured["cost"]
    sizes = sorted(int(name) for name in errors if name.isdecimal())
    tables = {n: errors_table(errors[str(n)]) for n in sizes}
    small, nets = errors[str(sizes[0])], nets_of(measured)
    page = render(
        "gradients.md",
        bound=f"{LARGEST_SENSITIVITY:g}",
        cost=cost_table(cost),
        tables=tables,
        relative=relative_table(errors, sizes),
        rates=rates_table(errors),
        sizes=sizes_table(nets),
        memory=size(cost["32"]["rtrl"]["bytes"]),
        explosion=explosion_table(measured["explosion"]),
        exploded=exploded(measured["explosion"]),
        verdict=verdict(small, cost),
        versions=", ".join(f"{k} {v}" for k, v in measured["machine"]["versions"].items()),
        processor=measured["machine"]["processor"],
    )
    return {"gradients.md": page, "gradients.svg": picture(nets)}


# --- errors --------------------------------------------------------------------------------------


def interval(values: Sequence[float | None], unit: float = 1.0) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % interval; the half is 0 for one value."""
    found = np.array([np.nan if v is None else v for v in values]) / unit
    if len(found) < 2:
        return float(found.mean()), 0.0
    half = t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean()), float(half)


def shown(values: Sequence[float | None]) -> str:
    """Format a mean, and half of its interval, with four digits."""
    mean, half = interval(values)
    if np.isnan(mean):
        return "diverged"
    digits = max(0, 3 - int(np.floor(np.log10(abs(mean)))))
    return f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if half else "")


def errors_table(tasks: Tasks) -> str:
    """Errors by task and gradient, the least in bold."""
    names = list(next(iter(tasks.values())))
    names = [n for n in names if any(n in found for found in tasks.values())]
    rows = []
    for task, found in tasks.items():
        means = {n: interval(f["errors"])[0] for n, f in found.items()}
        best = min(means, key=means.__getitem__)
        one = next(iter(found.values()))
        cells = [shown(found[n]["errors"]) if n in found else "" for n in names]
        cells = [f"**{c}**" if n == best else c for n, c in zip(names, cells, strict=True)]
        rows.append([task, f"{one['rows']:,}", shown([one["baseline"]]), *cells])
    seeds = {n: {len(f[n]["errors"]) for f in tasks.values() if n in f} for n in names}
    heads = [f"{n} ({'/'.join(map(str, sorted(seeds[n])))})" for n in names]
    return table(["task", "rows", "baseline", *heads], rows, "lr" + "r" * (1 + len(names)))


def is_lag(task: str) -> bool:
    """Whether a task is a lag task."""
    return task.startswith(LAG)


def relative(tasks: Tasks, gradient: str, lag: bool, skill: float = 0.95) -> tuple[float, float]:
    """Mean and half its 95 % interval of ``log(error / error of truncated)`` over tasks.

    Lag tasks that no gradient learns (all errors above ``skill`` times the baseline) are left out.
    """
    errors, base, complete = [], [], max(len(found) for found in tasks.values())
    for task, found in tasks.items():
        if is_lag(task) != lag or gradient not in found or len(found) < complete:
            continue
        means = {n: interval(f["errors"])[0] for n, f in found.items()}
        if lag and min(means.values()) > skill * found[gradient]["baseline"]:
            continue
        errors.append(found[gradient]["errors"])
        base.append(found["truncated"]["errors"])
    return ratio(errors, base) if errors else (np.nan, np.nan)


def relative_table(errors: Mapping[str, Tasks], sizes: Sequence[int]) -> str:
    """Percent of the error of the truncated gradient: geometric means over tasks."""
    rows = []
    names = list(dict.fromkeys(n for size in sizes for f in errors[str(size)].values() for n in f))
    for name in names:
        cells = []
        for size in sizes:
            for lag in (False, True):
                mean, half = relative(errors[str(size)], name, lag)
                cells.append("" if np.isnan(mean) else percent(mean, half))
        rows.append([name, *cells])
    heads = [f"{kind}, {size}" for size in sizes for kind in ("real", "lag")]
    return table(["gradient", *heads], rows)


def percent(mean: float, half: float) -> str:
    """Format a mean logarithm of a ratio as percent."""
    text = f"{100 * np.exp(mean):.1f}"
    return text + (f" ± {100 * np.exp(mean) * half:.1f}" if half else "")


def rates_table(errors: Mapping[str, Tasks]) -> str | None:
    """The same with the best of three rates for each gradient and task, with 16 cells."""
    others = [tasks for name, tasks in errors.items() if name.startswith("16 at ")]
    if len(others) < 2:
        return None
    rows = []
    for task, found in errors["16"].items():
        if not all(task in tasks for tasks in others):
            continue
        cells = []
        for name in found:
            runs = [found, *(tasks[task] for tasks in others if name in tasks[task])]
            choices = [run[name]["errors"][:5] for run in runs]
            cells.append(min(choices, key=lambda e: interval(e)[0]))
        means = [interval(c)[0] for c in cells]
        texts = [f"**{shown(c)}**" if m == min(means) else shown(c)
                 for c, m in zip(cells, means, strict=True)]  # fmt: skip
        rows.append([task, *texts])
    return table(["task", *errors["16"][rows[0][0]]], rows) if rows else None


# --- cost ----------------------------------------------------------------------------------------


def cost_table(cost: Mapping[str, Mapping[str, Figures]]) -> str:
    """Nanoseconds per weight and step, and bytes of a stream's net, by gradient and size."""
    names = list(next(iter(cost.values())))
    rows = [
        [
            name,
            *(f"{found[name]['ns']:.3g}" for found in cost.values()),
            *(size(found[name]["bytes"]) for found in cost.values()),
        ]
        for name in names
    ]
    heads = [f"ns, {n}" for n in cost] + [f"memory, {n}" for n in cost]
    return table(["gradient", *heads], rows)


def size(n: float) -> str:
    """Format bytes."""
    for unit, least in (("MB", 1e6), ("kB", 1e3)):
        if n >= least:
            return f"{n / least:.3g} {unit}"
    return f"{n} B"


# --- larger nets --------------------------------------------------------------------------------


class Net(NamedTuple):
    """A net: its cells, gradient, microseconds per step, and errors relative to the smallest's."""

    cells: int
    gradient: str
    us: float
    real: tuple[float, float]
    lag: tuple[float, float]


def nets_of(measured: Mapping[str, Any]) -> list[Net]:
    """Nets of all sizes that learned the same rows, by gradient and size.

    Errors are means and halves of 95 % intervals of ``log(error / error of truncated, 16 cells)``.
    """
    small, larger = measured["errors"]["16"], measured["sizes"]
    tasks = [name for name in small if all(name in found for found in larger.values())]
    sizes = {"16": {name: small[name] for name in tasks}, **larger}
    found = []
    for gradient in next(iter(small.values())):
        for cells, here in sizes.items():
            if not all(gradient in here[name] for name in tasks):
                continue
            ratios = [
                ratio([here[n][gradient]["errors"] for n in tasks if is_lag(n) == lag],
                      [small[n]["truncated"]["errors"] for n in tasks if is_lag(n) == lag])
                for lag in (False, True)
            ]  # fmt: skip
            us = measured["cost"][cells][gradient]["us"]
            found.append(Net(int(cells), gradient, us, *ratios))
    return found


def ratio(
    errors: Sequence[Sequence[float]], base: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """Mean and half its 95 % interval of the log ratio of errors, over the seeds of both."""
    seeds = min(len(one) for one in (*errors, *base))
    cut = [np.array([one[:seeds] for one in side], float) for side in (errors, base)]
    return interval(np.log(cut[0] / cut[1]).mean(axis=0).tolist())


def sizes_table(nets: Sequence[Net]) -> str:
    """Nets by their time per step."""
    rows = [
        [f"{net.us:.3g}", net.gradient, str(net.cells), percent(*net.real), percent(*net.lag)]
        for net in sorted(nets, key=lambda net: net.us)
    ]
    return table(["us per step", "gradient", "cells", "real streams, %", "lag tasks, %"], rows,
                 "rlrrr")  # fmt: skip


def picture(nets: Sequence[Net]) -> str:
    """Draw errors, in percent of that of 16 cells with the truncated gradient, by time per step."""
    panels: dict[str, list[Point]] = {"real streams": [], "lag tasks": []}
    for net in nets:
        for (mean, half), points in zip((net.real, net.lag), panels.values(), strict=True):
            height = 100 * np.exp(mean)
            points.append(Point(net.gradient, net.us, height, height * half))
    return points_svg(
        panels,
        across="microseconds per step; nets of 16 cells and more from left to right",
        up="error, % of truncated, 16 cells",
        level=100.0,
    )


# --- explosion -----------------------------------------------------------------------------------


def explosion_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Sizes of sensitivities and spectral radii, without the bound and with it, by seed."""
    rows = []
    for seed in found["free"]:
        free, bounded = found["free"][seed], found["bounded"][seed]
        median, high, most = free["radius"]
        rows.append(
            [
                seed,
                f"{median:.3f}, {high:.3f}, {most:.2f}",
                f"{100 * free['above_one']:.0f}",
                f"{free['median_size']:.2g}",
                f"{free['largest_size']:.2g}",
                f"{bounded['largest_size']:.2g}",
                f"{1000 * free['error']:.2f}",
                f"{1000 * bounded['error']:.2f}",
                f"{free['largest_weight']:.2f}",
            ]
        )
    heads = ["seed", "radius: median, 90 %, largest", "steps above 1, %", "size, median"]
    heads += ["largest, free", "largest, bounded", "error x 1000, free", "bounded"]
    return table([*heads, "largest weight"], rows)


def exploded(found: Mapping[str, Mapping[str, Any]]) -> str:
    """How many seeds exceed the bound."""
    sizes = [one["largest_size"] for one in found["free"].values()]
    return f"{sum(s > LARGEST_SENSITIVITY for s in sizes)} of {len(sizes)}"


# --- verdict -------------------------------------------------------------------------------------


def verdict(tasks: Tasks, cost: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """One line for each gradient: errors and cost relative to the truncated gradient's."""
    smallest = next(iter(cost.values()))
    lines = []
    for name in _others(tasks):
        parts = []
        for lag, kind in ((False, "real streams"), (True, "lag tasks")):
            mean, half = relative(tasks, name, lag)
            if np.isnan(mean):
                continue
            equal = abs(mean) <= half
            word = "no different" if equal else "better" if mean < 0 else "worse"
            parts.append(f"{word} on {kind} ({percent(mean, half)} %)")
        times = smallest[name]["ns"] / smallest["truncated"]["ns"]
        cost_text = f"{times:.{times < 10:d}f} times the time of a step"
        lines.append(f"`{name}` is {' and '.join(parts)}, at {cost_text}.")
    return lines


def _others(tasks: Tasks) -> Iterable[str]:
    return [name for name in next(iter(tasks.values())) if name != "truncated"]
