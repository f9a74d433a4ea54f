"""Further tables of the page of real streams: intervals, rules, leads, keys, made-up streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tools.pages.plot import Curve, curves_svg

from carrousel import words
from carrousel.experiments.report.markdown import escaped, table

OFF = 0.02
"""Coverage this far from the level is marked."""
REGRET_PICTURE = "real_streams-regret.svg"
SHOWN = ("electricity", "marks")
"""Streams whose running regret is drawn."""
RULES = ("last", "mean", "recent mean", "lags", "lags and inputs", "inputs")
SEASONS = ("season 1", "change 1", "season 2", "change 2")
MADE_UP = (
    "OnlineLSTM",
    "OnlineLSTM, experts=None",
    "last value",
    "recursive least squares, 24 lags",
    "recursive ridge regression, all features",
)

Saved = Mapping[str, Any]


def parts(measured: Saved, made_up: Saved | None) -> dict[str, str | None]:
    """Return the tables by name; None where nothing has been measured."""
    made = {
        "intervals": intervals,
        "regret": regret,
        "leads": leads,
        "many_keys": many_keys,
    }
    found = {
        name: write(measured[name]) if name in measured else None for name, write in made.items()
    }
    return found | {"made_up": of_made_up(made_up["streams"]) if made_up else None}


def intervals(measured: Saved) -> str:
    """Table of the coverage of intervals; values far off their level are bold."""
    levels = next(iter(measured.values()))["levels"]
    heads = ["stream", "targets", *(f"{100 * level:.0f} %" for level in levels)]
    heads += [f"width at {100 * level:.0f} %" for level in levels]
    rows = []
    for found in measured.values():
        covered = zip(levels, found["coverage"], strict=True)
        rows.append(
            [
                escaped(found["title"]),
                f"{found['targets']:,}",
                *(_marked(f"{100 * c:.1f} %", abs(c - level) > OFF) for level, c in covered),
                *(f"{width:.2f}" for width in found["width"]),
            ]
        )
    return table(heads, rows)


def regret(measured: Saved) -> str:
    """Table of the errors of rules and mixtures; the best single rule of each stream is bold."""
    heads = ["stream", *RULES, *SEASONS]
    heads += ["mixture of rules", "with the net", "forecast", "regret", "in %"]
    rows = []
    for found in measured.values():
        rules = found["rules"]
        best = min(rules.values())
        over = found["mixed"] - best
        rows.append(
            [
                escaped(found["title"]),
                *(
                    _marked(_short(rules[name]), rules[name] == best)
                    if name in rules
                    else words.ABSENT
                    for name in (*RULES, *SEASONS)
                ),
                *(_short(found[name]) for name in ("base", "full", "mixed")),
                *(_short(over), f"{100 * over / best:+.1f}"),
            ]
        )
    return table(heads, rows)


def regret_svg(measured: Saved) -> str | None:
    """Draw the running regret of some streams; None if it has not been measured."""
    found = [measured.get("regret", {}).get(name) for name in SHOWN]
    curves = []
    for one in found:
        if one:
            rows, mixed, best = (np.array(one["running"][k]) for k in ("rows", "mixed", "best"))
            curves.append(Curve(one["title"], rows, 100 * (mixed / best - 1)[None]))
    if not curves:
        return None
    return curves_svg(
        "Error so far, relative to the best single rule",
        curves,
        across="rows scored",
        up="% (below 0: smaller error)",
        log_across=True,
    )


def leads(measured: Saved) -> str:
    """Table of errors by lead; the best contender of each lead is bold."""
    shown = next(iter(measured.values()))["leads"]
    rows = []
    for found in measured.values():
        least = np.min([*found["errors"].values()], axis=0)
        for name, errors in found["errors"].items():
            cells = zip(errors, least, strict=True)
            rows.append(
                [escaped(found["title"]), name, *(_marked(_short(e), e == low) for e, low in cells)]
            )
    heads = ["stream", "contender", *(f"lead {lead}" for lead in shown)]
    return table(heads, rows, "llr")


def many_keys(measured: Saved) -> str:
    """Table of errors by the number of keys, with and without expert rules."""
    numbers = dict.fromkeys(name.partition(", ")[0] for name in measured)
    heads = ["keys", "rows", "with experts", "second half", "without", "second half", "last value"]
    rows = []
    for n in numbers:
        pair = [measured.get(f"{n}, {how}") for how in ("with experts", "without")]
        first = next(one for one in pair if one)
        figures = [
            _short(one[key]) if one else words.ABSENT for one in pair for key in ("error", "later")
        ]
        rows.append([f"{int(n):,}", f"{first['rows']:,}", *figures, _short(first["last"])])
    return table(heads, rows, "r")


def of_made_up(streams: Saved) -> str:
    """Table of errors on made-up streams; the best contender is bold."""
    rows = []
    for found in streams.values():
        errors = {
            name: float(np.mean([seed["error"] for seed in found["rows"][name].values()]))
            for name in MADE_UP
            if name in found["rows"]
        }
        least = min(errors.values())
        cells = [
            _marked(_short(errors[name]), errors[name] == least) if name in errors else words.ABSENT
            for name in MADE_UP
        ]
        rows.append([escaped(found["title"]), f"`{found['source']}`", *cells])
    return table(["stream", "", *MADE_UP], rows, "llr")


def _marked(text: str, marked: bool) -> str:
    return f"**{text}**" if marked else text


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.1e}"
