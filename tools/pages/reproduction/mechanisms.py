"""Sections and pictures that show why readings fail or work, from ``tools/mechanisms``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tools.mechanisms.drift import BIASES, LONG_LAGS, PRODUCT, SUMS, WIRINGS
from tools.mechanisms.reber import LEARNED, ROWS
from tools.mechanisms.saturation import READINGS
from tools.pages.plot import Curve, curves_svg
from tools.pages.render import render

from carrousel import words
from carrousel.experiments.report.markdown import table

Measured = Mapping[str, Any]
"""Results of one mechanism: plain data by the names of its parts."""


def section(page: str, measured: Measured | None) -> str:
    """Write the section of a page; empty without measurements.

    Args:
        page: name of the page's file without its ending, e.g. ``"experiment-2c"``.
        measured: all its results.
    """
    if not measured:
        return ""
    tables = {
        "experiment-1": _reber,
        "experiment-2a": lambda found: {"readings": _saturation(found, READINGS["2a"])},
        "experiment-2b": lambda found: {"readings": _saturation(found, READINGS["2b"])},
        "experiment-2c": lambda found: {"drift": drift(found, LONG_LAGS, WIRINGS)},
        "experiment-4": lambda found: {"drift": drift(found, SUMS, BIASES)},
        "experiment-5": lambda found: {"drift": drift(found, PRODUCT, BIASES)},
    }[page](measured)
    return render(
        f"reproduction/mechanisms/{page}.md",
        picture=picture_name(page),
        measured=measured,
        n=_figure,
        useful=useful,
        percent=lambda share: words.percent(100 * share),
        **tables,
    )


def picture_name(page: str) -> str:
    """Return the name of the picture of a page's mechanism."""
    return f"mechanism-{page.partition('-')[2]}.svg"


def pictures(measured: Mapping[str, Measured]) -> dict[str, str]:
    """Draw a picture for each page with measurements, by file name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    draw = {
        "experiment-1": _freed,
        "experiment-2a": lambda found: _learning("2a", found, READINGS["2a"]),
        "experiment-2b": lambda found: _learning("2b", found, READINGS["2b"]),
        "experiment-2c": lambda found: _paths("2c-9", found, WIRINGS, "start"),
        "experiment-4": _updates,
        "experiment-5": lambda found: _paths("5-1", found, BIASES, "learned"),
    }
    return {picture_name(page): draw[page](found) for page, found in measured.items()}


# --- drift: Experiments 2c, 4 and 5 --------------------------------------------------------------


def drift(measured: Measured, rows: Sequence[str], readings: Sequence[str]) -> str:
    """Table of states and of what moves them, at the start and after some learning."""
    heads = ["row", "lag", "reading", "constant", "drift x lag", "correlation", "growth", "size s"]
    heads += ["h'(s)", "inputs", "gates", "cells", "biases", "inputs / constants"]
    heads += ["learned: size s", "h'(s)", "inputs / constants"]
    lines = []
    for row in rows:
        for reading in readings:
            found = measured[f"{row} {reading}"]
            start, learned = found["start"], found["learned"]
            lines.append(
                [
                    *(row, words.number(found["lag"]), reading),
                    *(_figure(start[key]) for key in ("constant", "drift", "correlation")),
                    _figure(start["growth"]),
                    f"{_figure(start['state'])} ± {_figure(start['spread'])}",
                    _figure(start["slope"]),
                    *(_figure(value) for value in start["update"].values()),
                    _figure(useful(start)),
                    *(_figure(learned[key]) for key in ("state", "slope")),
                    _figure(useful(learned)),
                ]
            )
    return table(heads, lines, "lrlr")


def useful(stage: Measured) -> float | None:
    """What a change of weights from inputs does to a state, relative to that of constants."""
    update = stage["update"]
    constants = update["gates"] + update["biases"]
    return update["inputs"] / constants if constants else None


def _updates(measured: Measured) -> str:
    """Draw what one change of weights does to a state, by the length of sequences."""
    curves = []
    for reading, source in (
        ("bias-all", "biases"),
        ("bias-all", "gates"),
        ("bias-gates", "gates"),
        ("bias-all", "inputs"),
    ):
        found = [measured[f"{row} {reading}"] for row in SUMS]
        x = np.array([each["lag"] for each in found])
        y = np.array([[each["start"]["update"][source] for each in found]])
        curves.append(Curve(f"{reading}: weights from {source}", x, y))
    return curves_svg(
        "Experiment 4: change of a state by one change of weights, initial nets",
        curves,
        across="time steps of a sequence",
        up="change, per error of 1",
        log_up=True,
        log_across=True,
    )


def _paths(row: str, measured: Measured, readings: Sequence[str], stage: str) -> str:
    """Draw the size of the states along sequences of a row, at the start or after learning."""
    learned = measured[f"{row} {readings[0]}"]["sequences"]
    nets = "initial nets" if stage == "start" else f"after {words.number(learned)} sequences"
    curves = []
    for reading in readings:
        path = measured[f"{row} {reading}"][stage]["path"]
        curves.append(Curve(reading, np.array(path["steps"]), np.array(path["sizes"])))
    return curves_svg(
        f"{row}: size of the cell states, {nets}",
        curves,
        across="time steps",
        up="mean size of s",
        log_up=True,
        log_across=True,
    )


def _figure(value: float | None) -> str:
    """Format a figure of any size with two or three digits."""
    return words.number(value if value is None or abs(value) >= 0.01 else float(f"{value:.2g}"))


# --- saturation: Experiments 2a and 2b -----------------------------------------------------------


def _saturation(measured: Measured, readings: Sequence[str]) -> str:
    heads = [
        "reading",
        "sequences",
        "state",
        "change of a net input",
        "wrong",
        "dead",
        "nets right",
    ]
    lines = []
    for reading in readings:
        found = measured[reading]
        for place, sequences in enumerate(found["sequences"]):
            lines.append(
                [
                    *(reading, words.number(sequences)),
                    *(_figure(found[key][place]) for key in ("state", "step")),
                    *(words.percent(100 * found[key][place]) for key in ("wrong", "dead", "right")),
                ]
            )
    return table(heads, lines)


def _learning(row: str, measured: Measured, readings: Sequence[str]) -> str:
    """Draw the shares of dead outputs and of right nets, where they are not always 0."""
    curves = [
        Curve(
            f"{reading}: {label}",
            np.array(measured[reading]["sequences"]),
            np.array([measured[reading][key]]),
        )
        for key, label in (("dead", "x or y dead"), ("right", "nets right"))
        for reading in readings
        if any(measured[reading][key])
    ]
    return curves_svg(
        f"{row}: outputs that cannot learn, and nets that are right",
        curves,
        across="training sequences",
        up="share",
    )


# --- Experiment 1 --------------------------------------------------------------------------------


def _reber(measured: Measured) -> dict[str, str]:
    cells, contexts, freed = [], [], []
    for name in LEARNED:
        for row in ROWS:
            found = measured[f"{row} {name}"]
            known = [row, name, f"{found['stuck']} of {found['nets']}"]
            numbers = {"dead": found["dead"], "others": found["stuck"] - found["dead"]}
            counts = [
                f"{len(found[way][kind])} of {number}"
                for kind, number in numbers.items()
                for way in ("as before", "floor")
            ]
            freed.append([row, name, words.number(found["strings"]), *counts])
            if not found["stuck"]:
                continue
            state = found["cells"]
            shares = [words.percent(100 * state[key]) for key in ("outer", "seen", "held")]
            cells.append([*known, *(_figure(state[key]) for key in ("state", "slope")), *shares])
            for each in found["contexts"]:
                shares = [words.percent(100 * each[key]) for key in ("wrong", "others")]
                rest = [_figure(each[key]) for key in ("active", "slope", "error")]
                contexts.append([row, name, each["name"], str(each["nets"]), *shares, *rest])
    ways = [f"{kind}: {way}" for kind in ("dead", "others") for way in ("as before", "with floor")]
    first = ["row", "reading", "unsolved", "size s", "h'(s)"]
    second = ["row", "reading", "worst context", "nets", "wrong there", "elsewhere at most"]
    return {
        "cells": table(
            [*first, "predicted", "read from cell outputs", "read from states"], cells, "llr"
        ),
        "contexts": table(
            [*second, "most active legal output", "y(1 - y)", "error"], contexts, "lllr"
        ),
        "freed": table(
            ["row", "reading", "further strings", *ways],
            freed,
            "llr",
        ),
    }


def _freed(measured: Measured) -> str:
    """Draw how many unsolved nets get free, with and without the floor."""
    curves = []
    for row in ROWS:
        found = measured[f"{row} direct"]
        x = np.linspace(0, found["strings"], 81)
        for way, label in (("floor", "with the floor"), ("as before", "without")):
            at = np.array(found[way]["dead"], float)
            share = (at[:, None] <= x).sum(axis=0) / max(found["dead"], 1)
            curves.append(Curve(f"{row}, {label}: {len(at)} of {found['dead']}", x, share[None]))
    return curves_svg(
        "Experiment 1, reading 'direct': nets with dead outputs that become right",
        curves,
        across="further training strings",
        up="share of the nets",
    )
