"""The page ``docs/real_streams.md`` and its picture: OnlineLSTM and the best of all baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from tools.pages.plot import bars_svg
from tools.pages.render import render

from carrousel import words
from carrousel.experiments.report.markdown import escaped, table

OURS, CALENDAR = "OnlineLSTM", "OnlineLSTM, calendar columns"
LAST = ("last value", "last class", "distance from the last value")
SEASONAL = ("value ", "distance from the value ")
RLS = "recursive least squares, 24 lags"
NEAR = 0.02
"""Two errors are called equal up to this share."""
DEEP = "deep-river"
PICTURE = "real_streams-ratios.svg"


class Figures(NamedTuple):
    """Errors of one contender on one stream, each for all seeds."""

    name: str
    error: list[float]
    later: list[float]
    seconds: list[float]
    precision: list[float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.error))


class Judged(NamedTuple):
    """A stream with its contenders, the best first, and what is shown of them."""

    facts: Mapping[str, Any]
    contenders: list[Figures]

    def named(self, *names: str) -> Figures | None:
        """Return the best contender with one of these names."""
        return next((one for one in self.contenders if one.name in names), None)

    @property
    def seasonal(self) -> Figures | None:
        """The best seasonal rule."""
        return next((one for one in self.contenders if one.name.startswith(SEASONAL)), None)

    @property
    def best(self) -> Figures | None:
        """The best contender that is not ours."""
        return next((one for one in self.contenders if not one.name.startswith(OURS)), None)

    def ratio(self, name: str = OURS) -> float | None:
        """The error of one of ours divided by that of the best baseline; None without either."""
        ours, best = self.named(name), self.best
        return ours.mean / best.mean if ours and best and best.mean else None


def real_streams_page(measured: Mapping[str, Any]) -> dict[str, str]:
    """Write the page and its picture, by file name, from ``benchmarks/streams/real``."""
    streams = [judged(found) for found in measured["streams"].values()]
    machine = measured["machine"]
    shown = {name: machine["versions"][name] for name in ("python", "numpy")}
    page = render(
        "real_streams.md",
        start=measured["start"],
        streams=len(streams),
        near=f"{100 * NEAR:.0f} %",
        counts=counts(streams, OURS),
        calendar=counts(streams, CALENDAR),
        calendar_helps=_calendar_helps(streams),
        table=_summary(streams),
        picture=PICTURE,
        chosen=[one.facts["title"] for one in streams if one.facts["chose_settings"]],
        details=[_details(one) for one in streams],
        deep=any(one.named(f.name) for one in streams for f in one.contenders if DEEP in f.name),
        versions=", ".join(map(" ".join, (shown | measured.get("packages", {})).items())),
        processor=machine["processor"],
    )
    return {"real_streams.md": page, PICTURE: _picture(streams)}


def judged(found: Mapping[str, Any]) -> Judged:
    """Collect the figures of a stream; the contender with the least error is first."""
    contenders = [
        Figures(
            name,
            *(
                [seed[key] for seed in seeds.values() if key in seed]
                for key in ("error", "later", "seconds", "precision")
            ),
        )
        for name, seeds in found["rows"].items()
    ]
    return Judged(found, sorted(contenders, key=lambda one: one.mean))


def counts(streams: list[Judged], name: str) -> dict[str, int]:
    """Count the streams where one of ours is better, equal up to ``NEAR``, and worse."""
    ratios = [r for r in (one.ratio(name) for one in streams) if r is not None]
    better = sum(r < 1 - NEAR for r in ratios)
    worse = sum(r > 1 + NEAR for r in ratios)
    return {
        "better": better,
        "equal": len(ratios) - better - worse,
        "worse": worse,
        "all": len(ratios),
    }


def _calendar_helps(streams: list[Judged]) -> int:
    """Count the streams on which calendar columns lower our error by over ``NEAR``."""
    pairs = [(one.named(OURS), one.named(CALENDAR)) for one in streams]
    return sum(bool(a and b and b.mean < (1 - NEAR) * a.mean) for a, b in pairs)


def figure(value: float) -> str:
    """Format an error with four digits, which must also suit huge errors of diverged models."""
    return f"{value:.4g}" if value < 1e5 else f"{value:.1e}"


def spread(values: list[float]) -> str:
    """Format the mean; for several values also the lowest and the highest."""
    mean = figure(float(np.mean(values)))
    return mean if len(values) == 1 else f"{mean} ({figure(min(values))}-{figure(max(values))})"


def _summary(streams: list[Judged]) -> str:
    heads = ["stream", "rows", "measure", "OnlineLSTM", "second half", "best baseline", "its error"]
    heads += ["second half", "last value", "seasonal", "RLS", "ratio"]
    rows = []
    for one in streams:
        ours, best, ratio = one.named(OURS), one.best, one.ratio()
        facts = one.facts
        unit = f", {facts['unit']}" if facts["unit"] else ""
        cells = [
            escaped(facts["title"]),
            f"{facts['rows_read']:,}",
            f"{facts['measure']}{unit}",
            spread(ours.error) if ours else words.ABSENT,
            spread(ours.later) if ours else words.ABSENT,
            escaped(best.name) if best else words.ABSENT,
            *((spread(best.error), spread(best.later)) if best else (words.ABSENT,) * 2),
            *(
                spread(rule.error) if rule else words.ABSENT
                for rule in (one.named(*LAST), one.seasonal, one.named(RLS))
            ),
            words.ABSENT if ratio is None else f"{ratio:.3f}",
        ]
        if ratio is not None:
            winner = 3 if ratio < 1 else 6
            cells[winner] = f"**{cells[winner]}**"
        rows.append(cells)
    return table(heads, rows, "lrlrrlrrrrrr")


def _details(one: Judged) -> dict[str, Any]:
    precise = one.facts["task"] == "anomaly"
    heads = ["", one.facts["measure"], "second half", "seeds", "seconds"]
    rows = [
        [
            f"**{escaped(found.name)}**" if found.name.startswith(OURS) else escaped(found.name),
            spread(found.error),
            spread(found.later),
            str(len(found.error)),
            f"{np.mean(found.seconds):.2g}",
            *([spread(found.precision)] if precise else []),
        ]
        for found in one.contenders
    ]
    facts = one.facts
    return {
        "title": escaped(facts["title"]),
        "rows": f"{facts['rows_read']:,}",
        "source": facts["source"],
        "columns": len(facts["columns"]),
        "series": facts["keys"],
        "time": facts["time"],
        "needs": facts["needs"],
        "table": table([*heads, *(["average precision"] if precise else [])], rows),
    }


def _picture(streams: list[Judged]) -> str:
    found = [(one.facts["title"], r) for one in streams if (r := one.ratio()) is not None]
    return bars_svg(
        "Error of OnlineLSTM divided by that of the best baseline",
        [title for title, _ in found],
        [float(np.log2(ratio)) for _, ratio in found],
        across="binary logarithm of the ratio; below 0, OnlineLSTM has the smaller error",
    )
