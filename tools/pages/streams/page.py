"""Writes what real streams showed, ours beside baselines: ``docs/streams.md`` and its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from scipy.stats import t
from tools.pages.rivals import table
from tools.pages.streams.plot import Curve, curves_svg
from tools.pages.streams.words import HEAD, REBER, SHUTTLE, TEXT, WATCH, WATER

Rows = Mapping[str, Mapping[str, Any]]
"""Figures by row and column, as ``benchmarks/streams`` keeps them."""

TEXT_NETS = {
    "as it comes": "OnlineLSTM, 128 cells",
}


def streams_page(measured: Mapping[str, Any]) -> dict[str, str]:
    """The page and its pictures by name of file, from what was measured."""
    parts = {
        "text": _text,
        "water": _water,
        "shuttle": _shuttle,
        "watch": _watch,
        "reber": _reber,
    }
    found = [HEAD]
    for name, write in parts.items():
        if name in measured:
            found.append(write(measured[name]["rows"]))
    found.append(_closing(measured))
    pictures = {}
    if "text" in measured:
        pictures["streams-text.svg"] = _text_picture(measured["text"]["rows"])
    if "reber" in measured:
        pictures["streams-reber.svg"] = _reber_picture(measured["reber"]["rows"])
    page = "\n".join(part.strip("\n") + "\n" for part in found)
    return {"streams.md": page, **pictures}


def spread(values: Iterable[float], form: str = ".3f") -> str:
    """Mean and, of several, the lowest and the highest."""
    found = list(values)
    mean = format(float(np.mean(found)), form)
    if len(found) == 1:
        return mean
    return f"{mean} ({min(found):{form}}-{max(found):{form}})"


def marked(rows: list[list[str]], columns: Iterable[int], least: bool) -> list[list[str]]:
    """The same cells, the best of each of these columns in bold: the least, or the largest."""
    found = [list(row) for row in rows]
    for column in columns:
        values = {n: float(row[column].split()[0]) for n, row in enumerate(rows) if row[column]}
        if not values:
            continue
        best = min(values.values()) if least else max(values.values())
        for n, value in values.items():
            if value == best:
                found[n][column] = f"**{rows[n][column]}**"
    return found


def interval(values: Sequence[float], form: str = ".1f") -> str:
    """Mean and half the width of its 95 % interval (Student's)."""
    n = len(values)
    half = t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    return f"{np.mean(values):{form}} ± {half:{form}}"


def _closing(measured: Mapping[str, Any]) -> str:
    packages: dict[str, str] = {}
    for part in measured.values():
        packages |= part["packages"]
    machine = next(iter(measured.values()))["machine"]
    used = ("python", "carrousel", "numpy")
    versions = {name: machine["versions"][name] for name in used} | packages
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Run with {names}, on {machine['processor']}.\n\n"
        "`python -m benchmarks.streams text water shuttle watch reber` runs it again (its first\n"
        "lines say what it needs), `python -m tools.pages` makes this page.\n"
    )


# --- text ----------------------------------------------------------------------------------------


def _text(rows: Rows) -> str:
    base = rows["baselines"]["all"]
    cells = []
    for name, label in TEXT_NETS.items():
        if name in rows:
            seeds = rows[name].values()
            cells.append(
                [
                    label,
                    spread(s["whole"] for s in seeds),
                    spread(s["end"] for s in seeds),
                    str(len(seeds)),
                ]
            )
    for name, found in base["rows"].items():
        end = f"{found['end']:.3f}" if "end" in found else ""
        cells.append([name, f"{found['whole']:.3f}", end, ""])
    facts = {
        "characters": f"{base['characters']:,}",
        "alphabet": base["alphabet"],
        "majority": f"{100 * base['majority_right']:.1f}",
    }
    heads = ["", "bits a character, whole text", "last 10 %", "seeds"]
    us = [s["us_per_step"] for name in TEXT_NETS for s in rows.get(name, {}).values()]
    told = [_text_verdict(rows, base)]
    if us:
        told.append(f"A step took {np.median(us):.0f} us of a core that others used as well.")
    return "\n".join(
        [
            TEXT.format(**facts),
            table(heads, marked(cells, (1, 2), least=True), 1),
            "",
            fill(" ".join(told), 100),
            "\n![Bits a character along the text](streams-text.svg)",
        ]
    )


def _text_verdict(rows: Rows, base: Mapping[str, Any]) -> str:
    means = {
        name: {k: float(np.mean([s[k] for s in rows[name].values()])) for k in ("whole", "end")}
        for name in TEXT_NETS
        if name in rows
    }
    theirs = {n: f["end"] for n, f in base["rows"].items() if "end" in f}
    told = []
    if means:
        mine, other = min(means, key=lambda n: means[n]["end"]), min(theirs, key=theirs.__getitem__)
        gap = means[mine]["end"] - theirs[other]
        if gap > 0:
            told.append(
                f"**{other[0].upper() + other[1:]} win**, by {gap:.2f} bits a character at the "
                f"end over {TEXT_NETS[mine]}: in one pass counts learn faster than gradients."
            )
        else:
            told.append(f"**{TEXT_NETS[mine]} wins** at the end, by {-gap:.2f} bits over {other}.")
    for name, found in means.items():
        if found["end"] > found["whole"]:
            told.append(
                f"{TEXT_NETS[name]}, **gets worse as it goes**: that rate is too large for this "
                "stream."
            )
    return " ".join(told)


def _text_picture(rows: Rows) -> str:
    base = rows["baselines"]["all"]
    x = np.arange(1, 101) / 100 * base["characters"] / 1e6
    curves = [
        Curve(label, x, np.array([s["curve"] for s in rows[name].values()]))
        for name, label in TEXT_NETS.items()
        if name in rows
    ]
    for order in (1, 2, 3, 4, 5):
        found = base["rows"][f"n-grams of order {order}"]
        curves.append(Curve(f"n-grams of order {order}", x, np.array([found["curve"]])))
    return curves_svg(
        "Shakespeare: bits a character of each hundredth of the text",
        curves,
        across="characters read, millions",
        up="bits a character",
    )


# --- tables --------------------------------------------------------------------------------------


def _water(rows: Rows) -> str:
    base = rows["baselines"]["all"]
    cells = []
    for name, label in (("values", "OnlineLSTM on values"), ("changes", "OnlineLSTM on changes")):
        seeds = list(rows.get(name, {}).values())
        if not seeds:
            continue
        margin = max(s["margin"] for s in seeds)
        cells.append(
            [
                label,
                spread(s["mae"] for s in seeds),
                spread(s["mae_later"] for s in seeds),
                f"{np.mean([s['worse'] for s in seeds]):+.3f} ± {margin:.3f}",
            ]
        )
    for name, found in base["rows"].items():
        worse = f"{found['worse']:+.3f} ± {found['margin']:.3f}" if found["margin"] else ""
        cells.append([name, f"{found['mae']:.3f}", f"{found['mae_later']:.3f}", worse])
    heads = ["", "mean absolute error, l/s", "second half", "more than the last value's"]
    return (
        WATER.format(rows=f"{base['rows_read']:,}")
        + "\n"
        + table(heads, marked(cells, (1, 2), least=True), 1)
    )


def _shuttle(rows: Rows) -> str:
    base = rows["baselines"]["all"]
    alone = {"alone": "OnlineLSTM: error of the next row"}
    labels = {"labels": "OnlineLSTM, binary"}
    for name in rows:
        if name.startswith("river"):
            seen = name in ("river: half-space trees", "river: LODA", "river: one-class SVM")
            (alone if seen else labels)[name] = name
    heads = ["", "ROC AUC", "second half", "average precision", "seeds"]

    def lines(names: Mapping[str, str]) -> list[list[str]]:
        found = []
        for name, label in names.items():
            seeds = list(rows.get(name, {}).values())
            if seeds:
                figures = (spread(s[k] for s in seeds) for k in ("auc", "auc_later", "precision"))
                found.append([label, *figures, str(len(seeds))])
        return found

    first = lines(alone)
    for name, found in base["rows"].items():
        figures = (f"{found[k]:.3f}" for k in ("auc", "auc_later", "precision"))
        first.append([name, *figures, ""])
    facts = {
        "rows": f"{base['rows_read']:,}",
        "likeness": f"{base['autocorrelation']:.3f}",
    }
    return "\n".join(
        [
            SHUTTLE.format(**facts),
            "No labels:\n",
            table(heads, marked(first, (1, 2, 3), least=False), 1),
            "\nEach row's label follows at once:\n",
            table(heads, marked(lines(labels), (1, 2, 3), least=False), 1),
        ]
    )


# --- watch ---------------------------------------------------------------------------------------


def _watch(rows: Rows) -> str:
    facts = rows["described"]["all"]
    every = list(rows["every label"].values())
    cells = []
    for name, columns in rows.items():
        if name in ("described", "every label"):
            continue
        label = name if name.startswith("river") else f"OnlineLSTM; {name}"
        figures = [
            interval(_by_person(columns, measure)) for measure in ("rows", "windows", "series")
        ]
        cells.append([label, *figures])
    heads = ["", "rows right, %", "windows of 2 s", "whole series"]
    told = WATCH.format(
        rows=f"{facts['rows']:,}",
        ours=f"{100 * np.mean([s['carrousel'] for s in every]):.2f}",
        rule=f"{100 * every[0]['the label before']:.2f}",
    )
    return told + "\n" + table(heads, marked(cells, (1, 2, 3), least=False), 1)


def _by_person(columns: Mapping[str, Any], measure: str) -> list[float]:
    """Percent for each person left out, mean of seeds."""
    people: dict[str, list[float]] = {}
    for column, figures in columns.items():
        people.setdefault(column.split("/")[0], []).append(100 * figures[measure])
    return [float(np.mean(found)) for found in people.values()]


# --- reber ---------------------------------------------------------------------------------------


def _reber(rows: Rows) -> str:
    cells = []
    for name, seeds in sorted(rows.items(), reverse=True):
        found = list(seeds.values())
        until = [s["right_until"] for s in found]
        wrong = [100 * s["wrong"] / s["judged"] for s in found]
        cells.append(
            [
                name,
                f"{found[0]['learned'] // 10**6}",
                f"{sum(s['solved'] for s in found)} of {len(found)}",
                f"{sum(n >= 100_000 for n in until)} of {len(found)}",
                f"{np.median(until):,.0f}",
                f"{np.median(wrong):.4f}",
                f"{np.median([s['seconds'] for s in found]):.0f}",
            ]
        )
    one = next(iter(next(iter(rows.values())).values()))
    heads = ["", "million symbols learned", "solved", "first 100,000 right"]
    heads += ["right until the first miss, median", "misses, %, median", "seconds a net"]
    return "\n".join(
        [
            REBER.format(judged=f"{one['judged']:,}"),
            table(heads, cells, 1),
            "\n![Symbols ranked wrong while learning](streams-reber.svg)",
        ]
    )


def _reber_picture(rows: Rows) -> str:
    curves = []
    for name, seeds in sorted(rows.items(), reverse=True):
        if not name.startswith("8"):
            continue
        wrong = 1 - np.array([s["curve"] for s in seeds.values()])
        learned = next(iter(seeds.values()))["learned"]
        x = (np.arange(wrong.shape[1]) + 1) / wrong.shape[1] * learned / 1e6
        curves.append(Curve(name, x, np.maximum(wrong, 1e-6)))
    return curves_svg(
        "Continual embedded Reber strings: share of symbols ranked wrong while learning",
        curves,
        across="symbols learned, millions",
        up="share ranked wrong",
        log_up=True,
    )
