"""The page ``docs/streams.md`` and its pictures: real streams, our model and the baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t
from tools.pages.plot import Curve, curves_svg
from tools.pages.render import render

from carrousel.experiments.report.markdown import table

Rows = Mapping[str, Mapping[str, Any]]
"""Figures by row and column, as ``benchmarks/streams`` saves them."""

TEXT_NETS = {"as it comes": "OnlineLSTM, 128 cells"}
"""Labels of the rows of the text that are nets of ours."""
DETECTORS = ("river: half-space trees", "river: LODA", "river: one-class SVM")
"""River's models that learn without labels."""


def streams_page(measured: Mapping[str, Any]) -> dict[str, str]:
    """Write the page and its pictures, by file name, from the results of ``benchmarks/streams``."""
    parts = {"text": _text, "water": _water, "shuttle": _shuttle, "watch": _watch, "reber": _reber}
    pictures = {"text": _text_picture, "reber": _reber_picture}
    packages: dict[str, str] = {}
    for part in measured.values():
        packages |= part["packages"]
    machine = next(iter(measured.values()))["machine"]
    shown = ("python", "carrousel", "numpy")
    versions = {name: machine["versions"][name] for name in shown} | packages
    page = render(
        "streams.md",
        **{
            name: part(measured[name]["rows"]) if name in measured else None
            for name, part in parts.items()
        },
        versions=", ".join(map(" ".join, versions.items())),
        processor=machine["processor"],
    )
    drawn = {
        f"streams-{name}.svg": draw(measured[name]["rows"])
        for name, draw in pictures.items()
        if name in measured
    }
    return {"streams.md": page, **drawn}


def spread(values: Iterable[float], form: str = ".3f") -> str:
    """Format the mean; for several values also the lowest and the highest."""
    found = list(values)
    mean = format(float(np.mean(found)), form)
    if len(found) == 1:
        return mean
    return f"{mean} ({min(found):{form}}-{max(found):{form}})"


def marked(rows: list[list[str]], columns: Iterable[int], least: bool) -> list[list[str]]:
    """Put the best cell of each of these columns in bold: the least, or else the largest."""
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
    """Format the mean and half the width of its 95 % interval (Student's t)."""
    n = len(values)
    half = t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    return f"{np.mean(values):{form}} ± {half:{form}}"


# --- text ----------------------------------------------------------------------------------------


def _text(rows: Rows) -> dict[str, Any]:
    base = rows["baselines"]["all"]
    nets = {label: list(rows[name].values()) for name, label in TEXT_NETS.items() if name in rows}
    cells = [
        [
            label,
            spread(s["whole"] for s in seeds),
            spread(s["end"] for s in seeds),
            str(len(seeds)),
        ]
        for label, seeds in nets.items()
    ]
    for name, found in base["rows"].items():
        end = f"{found['end']:.3f}" if "end" in found else ""
        cells.append([name, f"{found['whole']:.3f}", end, ""])
    heads = ["", "bits a character, whole text", "last 10 %", "seeds"]
    us = [s["us_per_step"] for seeds in nets.values() for s in seeds]
    return {
        "characters": f"{base['characters']:,}",
        "alphabet": base["alphabet"],
        "majority": f"{100 * base['majority_right']:.1f}",
        "table": table(heads, marked(cells, (1, 2), least=True)),
        "us": f"{np.median(us):.0f}" if us else None,
        **_text_verdict(nets, base),
    }


def _text_verdict(nets: Mapping[str, Sequence[Any]], base: Mapping[str, Any]) -> dict[str, Any]:
    """The best net, the best baseline, the gap at the end, and the nets that get worse."""
    means = {
        label: {k: float(np.mean([s[k] for s in seeds])) for k in ("whole", "end")}
        for label, seeds in nets.items()
    }
    if not means:
        return {}
    ends = {name: found["end"] for name, found in base["rows"].items() if "end" in found}
    net, baseline = min(means, key=lambda n: means[n]["end"]), min(ends, key=ends.__getitem__)
    return {
        "best_net": net,
        "best_baseline": baseline,
        "gap": means[net]["end"] - ends[baseline],
        "worse": [label for label, mean in means.items() if mean["end"] > mean["whole"]],
    }


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


def _water(rows: Rows) -> dict[str, str]:
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
    heads = ["", "mean absolute error, l/s", "second half", "minus that of the last value"]
    return {
        "rows": f"{base['rows_read']:,}",
        "table": table(heads, marked(cells, (1, 2), least=True)),
    }


def _shuttle(rows: Rows) -> dict[str, str]:
    base = rows["baselines"]["all"]
    without = {"alone": "OnlineLSTM: error of the next row"}
    labelled = {"labels": "OnlineLSTM, binary"}
    for name in rows:
        if name.startswith("river"):
            (without if name in DETECTORS else labelled)[name] = name
    heads = ["", "ROC AUC", "second half", "average precision", "seeds"]

    def lines(names: Mapping[str, str]) -> list[list[str]]:
        found = []
        for name, label in names.items():
            seeds = list(rows.get(name, {}).values())
            if seeds:
                figures = (spread(s[k] for s in seeds) for k in ("auc", "auc_later", "precision"))
                found.append([label, *figures, str(len(seeds))])
        return found

    unlabelled = lines(without)
    for name, found in base["rows"].items():
        figures = (f"{found[k]:.3f}" for k in ("auc", "auc_later", "precision"))
        unlabelled.append([name, *figures, ""])
    return {
        "rows": f"{base['rows_read']:,}",
        "autocorrelation": f"{base['autocorrelation']:.3f}",
        "without_labels": table(heads, marked(unlabelled, (1, 2, 3), least=False)),
        "with_labels": table(heads, marked(lines(labelled), (1, 2, 3), least=False)),
    }


# --- watch ---------------------------------------------------------------------------------------


def _watch(rows: Rows) -> dict[str, str]:
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
    return {
        "rows": f"{facts['rows']:,}",
        "every_label": f"{100 * np.mean([s['carrousel'] for s in every]):.2f}",
        "last_label": f"{100 * every[0]['the label before']:.2f}",
        "table": table(heads, marked(cells, (1, 2, 3), least=False)),
    }


def _by_person(columns: Mapping[str, Any], measure: str) -> list[float]:
    """Percentage for each person left out, as a mean over seeds."""
    people: dict[str, list[float]] = {}
    for column, figures in columns.items():
        people.setdefault(column.split("/")[0], []).append(100 * figures[measure])
    return [float(np.mean(found)) for found in people.values()]


# --- reber ---------------------------------------------------------------------------------------


def _reber(rows: Rows) -> dict[str, str]:
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
    first = next(iter(next(iter(rows.values())).values()))
    heads = ["", "million symbols learned", "solved", "first 100,000 right"]
    heads += ["right until the first miss, median", "misses, %, median", "seconds a net"]
    return {"judged": f"{first['judged']:,}", "table": table(heads, cells)}


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
