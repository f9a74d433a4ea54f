"""The page ``docs/real_streams.md`` and its pictures: OnlineLSTM and the best of all baselines.

Saved figures are errors, lower is better. Shares of wrong classes and 1 - AUC are judged as shares
of right classes (accuracy) and AUC: a stream counts as within 2 % by its own measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from tools.pages.plot import bars_svg
from tools.pages.real_streams_parts import REGRET_PICTURE, parts, regret_svg
from tools.pages.render import render

from carrousel import words
from carrousel.experiments.report.markdown import escaped, table

OURS, CALENDAR = "OnlineLSTM", "OnlineLSTM, calendar columns"
LAST = ("last value", "last class", "distance from the last value")
SEASONAL = ("value ", "distance from the value ")
RLS = "recursive least squares, 24 lags"
NEAR = 0.02
"""Two figures are called equal up to this share."""
OWN = {"share wrong": "accuracy", "1 - ROC AUC": "ROC AUC"}
"""Measures of which higher is better, by the saved error, to which they add up to 1."""
_VERDICTS = {"better": "better", "equal": f"within {100 * NEAR:.0f} %", "worse": "worse"}
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

    @property
    def measure(self) -> str:
        """The measure that the stream is judged by."""
        saved: str = self.facts["measure"]
        return OWN.get(saved, saved)

    def own(self, errors: list[float]) -> list[float]:
        """Turn errors into the measure that the stream is judged by."""
        return [1 - e for e in errors] if self.facts["measure"] in OWN else errors

    def ratio(self, name: str = OURS) -> float | None:
        """How much worse one of ours is than the best baseline; None without either.

        That is the ratio of errors, ours over the baseline's, or of accuracies or AUC, the
        baseline's over ours. Below 1, ours is better.
        """
        ours, best = self.named(name), self.best
        if not ours or not best:
            return None
        if self.facts["measure"] in OWN:
            return (1 - best.mean) / (1 - ours.mean) if ours.mean < 1 else None
        return ours.mean / best.mean if best.mean else None

    @property
    def error_ratio(self) -> float | None:
        """The saved error of OnlineLSTM divided by that of the best baseline."""
        ours, best = self.named(OURS), self.best
        return ours.mean / best.mean if ours and best and best.mean else None


def real_streams_page(
    measured: Mapping[str, Any], made_up: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Write the page and its pictures, by file name.

    Args:
        measured: from ``benchmarks/streams/real``.
        made_up: from the same with ``--made-up``.
    """
    streams = [judged(found) for found in measured["streams"].values()]
    machine = measured["machine"]
    shown = {name: machine["versions"][name] for name in ("python", "numpy")}
    page = render(
        "real_streams.md",
        start=measured["start"],
        streams=len(streams),
        near=f"{100 * NEAR:.0f} %",
        counts=counts(streams, OURS),
        with_calendar=counts(streams, CALENDAR, OURS),
        calendar=counts(streams, CALENDAR),
        calendar_helps=_calendar_helps(streams),
        table=_summary(streams),
        shares=_shares(streams),
        parts=parts(measured, made_up),
        regret_picture=REGRET_PICTURE,
        picture=PICTURE,
        details=[_details(one) for one in streams],
        deep=any(one.named(f.name) for one in streams for f in one.contenders if DEEP in f.name),
        versions=", ".join(map(" ".join, (shown | measured.get("packages", {})).items())),
        processor=machine["processor"],
    )
    running = regret_svg(measured)
    pictures = {PICTURE: _picture(streams)} | ({REGRET_PICTURE: running} if running else {})
    return {"real_streams.md": page} | pictures


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


def counts(streams: list[Judged], name: str, instead: str = "") -> dict[str, int]:
    """Count the streams where one of ours is better, equal up to ``NEAR``, and worse.

    A stream without figures of ``name`` counts by those of ``instead``, if that is given.
    """
    found = [one.ratio(name if one.named(name) or not instead else instead) for one in streams]
    verdicts = [verdict(r) for r in found if r is not None]
    kinds = {kind: verdicts.count(kind) for kind in ("better", "equal", "worse")}
    return kinds | {"all": len(verdicts)}


def verdict(ratio: float) -> Literal["better", "equal", "worse"]:
    """Judge a ratio that is below 1 where ours is better."""
    if ratio < 1 - NEAR:
        return "better"
    return "worse" if ratio > 1 + NEAR else "equal"


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
    """Table of all streams, each by its own measure."""
    heads = ["stream", "rows", "measure", "OnlineLSTM", "with calendar columns", "best baseline"]
    heads += ["its figure", "last value", "seasonal", "RLS", "ratio", "with calendar", "verdict"]
    return table(heads, [_line(one) for one in streams], "lrlrrlrrrrrrl")


def _line(one: Judged) -> list[str]:
    def shown(contender: Figures | None) -> str:
        return spread(one.own(contender.error)) if contender else words.ABSENT

    best, facts = one.best, one.facts
    unit = f", {facts['unit']}" if facts["unit"] else ""
    ratios = [one.ratio(name) for name in (OURS, CALENDAR)]
    figures = [shown(one.named(OURS)), shown(one.named(CALENDAR)), shown(best)]
    if ratios[0] is not None:  # the best of the three is bold
        order = [ratios[0], ratios[1] if ratios[1] is not None else np.inf, 1.0]
        place = int(np.argmin(order))
        figures[place] = f"**{figures[place]}**"
    return [
        escaped(facts["title"]),
        f"{facts['rows_read']:,}",
        f"{one.measure}{unit}" + (" (higher is better)" if facts["measure"] in OWN else ""),
        *figures[:2],
        escaped(best.name) if best else words.ABSENT,
        figures[2],
        *(shown(rule) for rule in (one.named(*LAST), one.seasonal, one.named(RLS))),
        *(words.ABSENT if ratio is None else f"{ratio:.3f}" for ratio in ratios),
        ", ".join(_VERDICTS[verdict(r)] for r in ratios if r is not None) or words.ABSENT,
    ]


def _shares(streams: list[Judged]) -> str | None:
    """Table of the streams with classes: shares right and wrong; None without such streams."""
    heads = ["stream", "contender", "accuracy", "share wrong"]
    heads += ["ratio of accuracies", "ratio of shares wrong"]
    rows = []
    for one in streams:
        best = one.best
        if one.facts["measure"] != "share wrong" or best is None:
            continue
        for found in (one.named(OURS), one.named(CALENDAR), best):
            if found is None:
                continue
            ratios = [words.ABSENT] * 2
            if found is not best and found.mean < 1 and best.mean:
                ratios = [f"{(1 - best.mean) / (1 - found.mean):.3f}"]
                ratios.append(f"{found.mean / best.mean:.3f}")
            shares = [spread(one.own(found.error)), spread(found.error)]
            rows.append([escaped(one.facts["title"]), escaped(found.name), *shares, *ratios])
    return table(heads, rows, "llr") if rows else None


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
    found = [(one.facts["title"], r) for one in streams if (r := one.error_ratio) is not None]
    return bars_svg(
        "Error of OnlineLSTM divided by that of the best baseline",
        [title for title, _ in found],
        [float(np.log2(ratio)) for _, ratio in found],
        across="binary logarithm of the ratio; below 0, OnlineLSTM has the smaller error",
    )
