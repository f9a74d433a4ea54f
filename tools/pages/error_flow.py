"""The page ``docs/error_flow.md`` with its figures, and the picture of the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import fisher_exact
from tools.pages.plot import panels, svg
from tools.pages.render import render

from carrousel import words
from carrousel.experiments.report.markdown import table
from carrousel.experiments.study.survival_plot import COLOURS

Measured = Mapping[str, Any]
"""A section of ``benchmarks/results/error_flow.json``, from ``python -m tools.error_flow``."""

FAINT = "#e3e3e3"
LOWEST = 1e-28
"""Lowest error of the logarithmic axes."""


def error_flow_page(measured: Measured) -> dict[str, str]:
    """Write the page and all figures, by file name."""
    abuse, drift = measured["abuse"], measured["drift"]
    layers = measured["simple"]["layers"]
    page = render(
        "error_flow.md",
        nets=abuse["nets"],
        simple_nets=measured["simple"]["nets"],
        exploded=measured["cells"]["simple"][-1]["flow"][-1],
        growing={f"{one['largest']:g}": one["growing"] for one in layers},
        all_within=all(one["within"] for one in layers),
        conflicts={
            f"{kind}_{name}": {key: values[-1] for key, values in found.items()}
            for kind, nets in measured["conflicts"].items()
            for name, found in nets.items()
        },
        abuse=abuse_table(abuse),
        bias_block=[
            abuse["rows"]["1-4, as printed"]["negative"]["use"][key][-1][0]
            for key in ("mean", "deviation")
        ],
        drift_nets=drift["nets"],
        drift=drift_table(drift),
        slopes={str(one["bias"]): one["slope"][-1] for one in drift["states"]},
        at_100={str(one["bias"]): one["slope"][4] for one in drift["states"]},
    )
    adding = measured["adding"]
    return {
        "error_flow.md": page,
        "error_flow-simple.svg": simple_picture(measured["simple"]),
        "error_flow-cells.svg": cells_picture(measured["cells"]),
        "error_flow-conflicts.svg": conflicts_picture(measured["conflicts"]),
        "error_flow-abuse.svg": abuse_picture(abuse),
        "error_flow-drift.svg": drift_picture(drift),
        "adding.svg": adding_picture(adding, dark=False),
        "adding-dark.svg": adding_picture(adding, dark=True),
    }


# --- tables --------------------------------------------------------------------------------------


def learned(found: Sequence[int | None]) -> tuple[str, str]:
    """Return how many nets learned a task, and their median; nets that did not count as slower."""
    known = sorted(found, key=lambda n: (n is None, n or 0))
    middle = known[(len(known) - 1) // 2]
    solved = f"{sum(n is not None for n in found)} of {len(found)}"
    return solved, words.ABSENT if middle is None else words.number(middle)


def by_chance(one: Sequence[int | None], other: Sequence[int | None]) -> str:
    """Return the probability of so different numbers of nets that learned, by Fisher's test."""
    counts = [[sum(n is not None for n in found), found.count(None)] for found in (one, other)]
    found: Any = fisher_exact(counts)
    return f"{found.pvalue:.2f}"


def abuse_table(abuse: Measured) -> str:
    """Nets that learned each row, with negative and with random biases of output gates."""
    rows = []
    for name, settings in abuse["rows"].items():
        found = [settings[each]["learned"] for each in ("negative", "random")]
        cells = [cell for each in found for cell in learned(each)]
        rows.append([name, words.number(abuse["most"][name]), *cells, by_chance(*found)])
    heads = ["row", "at most", "negative: learned", "median", "random: learned", "median", "p"]
    return table(heads, rows)


def drift_table(drift: Measured) -> str:
    """Nets of the adding problem that learned it, by units with a bias and input-gate biases."""
    names, rows = {"gates": "gates", "all": "all units"}, []
    for units, name in names.items():
        found = {
            bool(one["biases"]): one["solved"] for one in drift["learned"] if one["units"] == units
        }
        cells = [cell for each in (True, False) for cell in learned(found[each])]
        rows.append([name, *cells, by_chance(found[True], found[False])])
    heads = ["units with a bias", "-3, -6: learned", "median", "random: learned", "median", "p"]
    return table(heads, rows)


# --- figures -------------------------------------------------------------------------------------


def _style(axes: Any, title: str, across: str, up: str = "") -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)


def _grid(axes: Any) -> None:
    axes.grid(color=FAINT, lw=0.7)
    axes.set_axisbelow(True)


def simple_picture(simple: Measured) -> str:
    """Draw ``f'(net) w`` of one unit by its weight, and the flow in layers with their bounds."""
    with panels(1, 2, 3.9) as (figure, [one, many]):
        for place, (y, factors) in enumerate(simple["one"]["factors"].items()):
            one.plot(simple["one"]["weights"], factors, color=COLOURS[place], label=f"y = {y}")
        one.axhline(1.0, color="#333333", lw=0.8)
        one.axvline(4.0, color="#333333", lw=0.8, ls=":")
        one.set_ylim(0.0, 1.25)
        _style(one, "One logistic unit", "weight w", "factor f'(net) w of a step")
        _grid(one)
        one.legend(frameon=False, fontsize=8, title="activation y", title_fontsize=8)
        for place, layer in enumerate(simple["layers"]):
            colour, lags = COLOURS[place], np.arange(len(layer["flow"]))
            label = f"|w| < {layer['largest']:g}"
            many.semilogy(lags[1:], layer["flow"][1:], color=colour, label=label)
            bound = np.array(layer["bound"])
            shown = bound <= 1e7
            many.semilogy(lags[shown], bound[shown], color=colour, ls="--", lw=1.0)
        many.axhline(1.0, color="#333333", lw=0.8)
        many.set_ylim(LOWEST, 1e7)
        _style(many, "10 logistic units, and the bound (dashed)", "lag q", "largest factor")
        _grid(many)
        many.legend(frameon=False, fontsize=8, loc="lower left")
        return svg(figure)


def cells_picture(cells: Measured) -> str:
    """Draw errors by lag of layers of simple units, with bounds, and of memory cells."""
    with panels(1, 2, 3.9, sharey=True) as (figure, [simple, memory]):
        for place, one in enumerate(cells["simple"]):
            lags = np.arange(len(one["flow"]))
            simple.semilogy(lags, one["flow"], color=COLOURS[place], label=f"gain {one['gain']:g}")
            bound = np.array(one["bound"])
            shown = bound <= 1e12
            simple.semilogy(lags[shown], bound[shown], color=COLOURS[place], ls="--", lw=1.0)
        _style(
            simple, "64 tanh units, and the bound (dashed)", "lag", "error, relative to the first"
        )
        simple.set_ylim(LOWEST, 1e12)
        _grid(simple)
        simple.legend(frameon=False, fontsize=8, loc="lower left")
        for place, one in enumerate(cells["memory"]):
            bias, lags = one["bias"], np.arange(1, len(one["flow"]) + 1)
            label = (
                "cell of 1997: no forget gate" if bias is None else f"forget gate, bias {bias:g}"
            )
            memory.semilogy(
                lags,
                one["flow"],
                color=COLOURS[place],
                label=label,
                lw=2.4 if bias is None else 1.5,
            )
        _style(memory, "Inside 64 memory cells", "lag")
        _grid(memory)
        memory.legend(frameon=False, fontsize=8, loc="lower left")
        return svg(figure)


def conflicts_picture(conflicts: Measured) -> str:
    """Draw the updates of one weight by the step it is for and by all others, over training."""
    titles = {
        ("input", "bare"): "Input weight, no gate",
        ("input", "gate"): "Input weight, with an input gate",
        ("output", "bare"): "Output weight, no gate",
        ("output", "gate"): "Output weight, with an output gate",
    }
    useful = {"input": "step to store", "output": "step to read"}
    others = {"input": "steps to ignore", "output": "steps to keep silent"}
    with panels(2, 2, 5.2, sharex=True, sharey=True) as (figure, found):
        for axes, ((kind, name), title) in zip(found, titles.items(), strict=True):
            one = conflicts[kind][name]
            updates = np.linspace(0, 4000, len(one["useful"]), endpoint=False)
            for key, label, colour in (
                ("useful", useful[kind], COLOURS[0]),
                ("others", others[kind], COLOURS[1]),
            ):
                axes.fill_between(updates, 0.0, one[key], color=colour, alpha=0.35, lw=0)
                axes.plot(updates, one[key], color=colour, lw=1.2, label=label)
            if name == "gate":
                shut = one["open at others"]
                axes.plot(
                    updates, shut, color="#333333", ls=":", lw=1.2, label="gate at other steps"
                )
            axes.axhline(0.0, color="#333333", lw=0.8)
            _style(axes, title, "updates" if kind == "output" else "")
            axes.legend(frameon=False, fontsize=8, loc="lower right")
            axes.set_ylim(-1.75, 1.1)
            _grid(axes)
        figure.supylabel("update asked of the weight, mean", fontsize=10)
        return svg(figure)


def abuse_picture(abuse: Measured) -> str:
    """Draw what each cell of a net for Reber strings adds to the outputs, over training."""
    found, stops = abuse["rows"]["1-4"], abuse["stops"]
    x = [max(stop, 3) for stop in stops]  # 0 on a logarithmic axis
    titles = {
        "negative": "Output gates start at -1, -2, -3, -4",
        "random": "Output gates start at random",
    }
    with panels(2, 2, 5.2, sharex=True, sharey=True) as (figure, axes):
        for column, (setting, title) in enumerate(titles.items()):
            use = found[setting]["use"]
            for row, (key, what) in enumerate(
                (("mean", "constant part: a bias"), ("deviation", "varying part"))
            ):
                place = axes[2 * row + column]
                for cell, values in enumerate(np.array(use[key]).T):
                    place.loglog(
                        x, values, color=COLOURS[cell], marker="o", ms=3, label=f"block {cell + 1}"
                    )
                heading = title if row == 0 else ""
                _style(place, heading, "strings learned" if row else "", what if not column else "")
                _grid(place)
                place.set_xticks([3, 10, 100, 1000, 10_000], ["0", "10", "100", "1,000", "10,000"])
                place.minorticks_off()
        axes[1].legend(frameon=False, fontsize=8, loc="lower right")
        return svg(figure)


def drift_picture(drift: Measured) -> str:
    """Draw the size of states and ``h'`` over the steps of a sequence, before learning."""
    with panels(1, 2, 3.4) as (figure, [size, rate]):
        for place, one in enumerate(drift["states"]):
            label = "random" if one["bias"] is None else f"{one['bias']:g}"
            size.semilogy(one["steps"], one["state"], color=COLOURS[place], label=label)
            rate.plot(one["steps"], one["slope"], color=COLOURS[place], label=label)
        _style(size, "Size of the state", "step", "mean |s|")
        _style(rate, "Slope h'(s), relative to its largest value", "step")
        rate.set_ylim(0.0, 1.05)
        size.legend(
            frameon=False, fontsize=8, title="input-gate bias", title_fontsize=8, loc="lower right"
        )
        for axes in (size, rate):
            _grid(axes)
        return svg(figure)


def adding_picture(adding: Measured, *, dark: bool) -> str:
    """Draw one sequence of the adding problem: inputs, input gate and states of a learned net."""
    steps = np.arange(1, len(adding["values"]) + 1)
    values, marks = np.array(adding["values"]), np.array(adding["marks"]) > 0
    gate = np.array(adding["input gates"])[:, 0]
    states = np.array(adding["states"])[:, :2]
    faint = "#5a626b" if dark else "#b8bec5"
    blue, orange, green, violet = (
        ("#58a6ff", "#f0883e", "#3fb950", "#bc8cff") if dark else COLOURS[:4]
    )
    with panels(3, 1, 4.6, dark=dark, sharex=True) as (figure, [inputs, gates, cells]):
        inputs.vlines(steps[~marks], 0.0, values[~marks], color=faint, lw=1.2)
        inputs.vlines(steps[marks], 0.0, values[marks], color=orange, lw=2.4)
        inputs.plot(steps[marks], values[marks], "o", color=orange, ms=5)
        for t in np.flatnonzero(marks):
            inputs.annotate(
                f"{values[t]:+.2f}",
                (steps[t], values[t]),
                (6, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                fontweight="bold",
                color=orange,
            )
        inputs.set_title(
            "Inputs; the target at the end is 0.5 + (sum of the two marked ones) / 4",
            fontsize=10,
            loc="left",
        )
        gates.step(steps, gate, where="mid", color=blue, lw=1.8)
        gates.set_ylim(-0.04, 1.04)
        gates.set_title("Input gate: opens at the marked steps", fontsize=10, loc="left")
        for n, colour in enumerate((green, violet)):
            cells.step(steps, states[:, n], where="mid", color=colour, lw=1.8)
        cells.set_title(
            "States of two memory cells: constant until a gate opens", fontsize=10, loc="left"
        )
        cells.annotate(
            f"output {adding['output']:.2f}, target {adding['target']:.2f}",
            (1.0, 0.97),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=9,
            color=orange,
        )
        cells.set_xlabel("time step")
        for axes in (inputs, gates, cells):
            for t in steps[marks]:
                axes.axvline(t, color=orange, lw=0.8, ls=":")
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_xlim(0, len(steps) + 1)
        return svg(figure, transparent=True)
