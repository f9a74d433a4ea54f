"""Reports for tests of pictures and saved forms: of small nets, and with odd values."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from carrousel.inspection import Fault, Report, inspect
from carrousel.inspection.results.dynamics import Dynamics
from carrousel.inspection.results.gradients import Gradients
from carrousel.inspection.results.memory import UnitMemory, UsedMemory
from carrousel.inspection.results.reach import Reach
from carrousel.inspection.results.units import Gate, Units
from carrousel.inspection.trace import Trace

HOSTILE = "<script>console.error('broken out')</script>\x1b[31m & $x$"
"""A name that must appear as text."""


def made(
    parts: tuple[str, ...] = ("rnn",),
    T: int = 20,
    C: int = 4,
    *,
    has_state: bool = True,
    value: float | None = None,
    **fields: Any,
) -> Report:
    """Return a report without any net; ``value`` replaces all numbers that were measured."""
    rng = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return rng.random(shape) if value is None else np.full(shape, value)

    def trace(name: str) -> Trace:
        s = C if has_state else 0
        gates = {"input": some(T, C), "forget": some(T, C)} if has_state else {}
        return Trace(name, T - 1, some(T, 2), some(T, C), some(T, s), gates, some(T, C), some(T, s))

    def units(name: str) -> Units:
        gates = {"forget": Gate(some(C), some(C), some(C), some(C))} if has_state else {}
        return Units(name, gates, "h", some(C), some(C), some(C), [(0, 1)], float(some(1)[0]))

    lags = np.unique(np.geomspace(1, T, 5).astype(int)) - 1
    found = Report(
        loss=0.5,
        lag=min(10, T - 1),
        reach=tuple(
            Reach(name, "lstm", k == 0, some(T, 3), some(T, 3) if has_state else None, None)
            for k, name in enumerate(parts)
        ),
        used=UsedMemory(lags, some(len(lags)), 0.1),
        unit_memory=tuple(UnitMemory(name, "h", some(T, C)) for name in parts),
        units=tuple(units(name) for name in parts),
        dynamics=tuple(Dynamics(name, 0.9, None, float(some(1)[0])) for name in parts),
        gradients=Gradients({name: float(some(1)[0]) for name in parts}, 2.0, 1.0),
        traces=tuple(trace(name) for name in parts),
        faults=(),
    )
    return replace(found, **fields)


@cache
def odd_reports() -> dict[str, Report]:
    """Return reports that are hard to show, by what is odd about them."""
    faults = (Fault(HOSTILE, HOSTILE, f"{HOSTILE} is wrong.", "Change it."),)
    hostile = made((HOSTILE, "b", ""), faults=faults)
    return {
        "a hostile name": hostile,
        "three parts": made(("a", "b", "c"), lag=None),
        "twelve parts": made(tuple("abcdefghijkl"), T=6),
        "zeros": made(value=0.0),
        "NaN": made(value=np.nan),
        "infinities": made(value=np.inf),
        "tiny": made(value=1e-300),
        "one step": made(T=1, lag=3),
        "one unit": made(C=1),
        "no cell state": made(has_state=False),
        "nothing measured": made(
            reach=(), used=None, unit_memory=(), units=(), dynamics=(), traces=()
        ),
        "a lag beyond the sequence": made(lag=1000),
        "large": made(T=900, C=200),
    }


@cache
def of_net(kind: str = "LSTM", **options: Any) -> Report:
    """Return the report on a small net of torch."""
    torch.manual_seed(0)
    net = getattr(torch.nn, kind)(2, 5, batch_first=True, **options)
    x = torch.randn(4, 12, 2)
    return inspect(net, x, lambda found: found[0][:, -1].square().mean(), lag=8, clip=1.0)
