"""Conversion of reports of processes to plain data, which are saved and made into tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from benchmarks.common import machine, timing
from benchmarks.contenders.native import Native
from benchmarks.lanes.lineup import DATA, Plan, Report

from carrousel.kernels import instruction_set

CLOCKS = ("wall", "processor")


def collect(plan: Plan, measured: Iterable[tuple[str, list[Report]]]) -> dict[str, Any]:
    """Collect the reports of all cases.

    Args:
        plan: how much was measured.
        measured: name of a case and reports of its processes, for each case and process count.
    """
    peaks: dict[str, float] = {}
    results: dict[str, Any] = {
        "machine": machine.describe()
        | {"instruction_set": instruction_set(), "peak_gflops": peaks},
        "plan": {"repeats": plan.repeats, "seconds": plan.seconds},
        "rows": [],
        "parity": [],
        "tuning": [],
        "missing": [],
    }
    for name, reports in measured:
        count, first = str(len(reports)), reports[0]
        least = timing.nanoseconds([report.peak for report in reports], "processor").min()
        peaks[count] = max(1.0 / float(least), peaks.get(count, 0.0))
        results["missing"] = sorted({*results["missing"], *first.missing})
        results["rows"] += [
            row | {"case": name, "processes": len(reports)}
            for data in DATA
            for clock in CLOCKS
            for row in _rows(reports, data, clock)
        ]
        results["parity"] += [
            {"case": name, "processes": len(reports), "contender": key}
            | {"parity": found._asdict() | {"holds": found.holds}}
            for report in reports
            for key, found in report.parity.items()
        ]
        if len(reports) == 1:
            results["tuning"] += [
                {"case": name, **choice.form._asdict(), "lanes": choice.lanes, "ns": ns}
                for choice, ns in (first.tuning or {}).items()
            ]
    return results


def _rows(reports: list[Report], data: str, clock: str) -> Iterator[dict[str, Any]]:
    first = reports[0]
    samples = {
        key: [report.samples[data][key] for report in reports] for key in first.samples[data]
    }
    ns = {key: timing.nanoseconds(together, clock) for key, together in samples.items()}
    ours = [key for key in ns if first.names[key][0] == Native.name]
    best = min(ours or ns, key=lambda key: float(np.median(ns[key])))
    for key, values in ns.items():
        title, detail, lanes = first.names[key]
        yield {
            "contender": title,
            "detail": detail,
            "lanes": lanes,
            "data": data,
            "clock": clock,
            "ns": timing.summarise(values)._asdict(),
            # computed round by round, because a disturbance affects a whole round
            "ratio": float(np.median(values / ns[best])),
            "held": timing.held(samples[key]),
            "flop_per_step": first.flop_per_step,
            "checked": key in first.parity,
        }
