"""Millions of steps in one process, to find out whether time, memory or weights grow."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import machine

INPUTS, CELLS = 16, 32
CHUNK = 100_000
POINTS = 50


def soak(steps: int, points: int = POINTS) -> dict[str, Any]:
    """Run ``steps`` through ``OnlineLSTM.run``, and measure the process ``points`` times.

    The stream never repeats. Its inputs are noise of drifting scale. The rule for the targets
    drifts slowly and sometimes jumps.

    Returns:
        Rows of the number of steps so far, nanoseconds of a step since the previous row (time on
        the core, without drawing data), MiB of resident memory, bytes of the model's state, the
        largest absolute weight, and the error relative to the deviation of the targets.

    Raises:
        FloatingPointError: a prediction is not finite.
    """
    from carrousel import OnlineLSTM

    model = OnlineLSTM("regression", cells=CELLS, random_state=0)
    rng = np.random.default_rng(0)
    rule = rng.normal(size=INPUTS)
    rows: list[dict[str, float]] = []
    done, took, square, spread, mark = 0, 0.0, 0.0, 0.0, 0
    while done < steps:
        n = min(CHUNK, steps - done)
        rule += 0.05 * rng.normal(size=INPUTS)
        if rng.random() < 0.01:
            rule = rng.normal(size=INPUTS)
        x = rng.normal(size=(n, INPUTS)) * np.exp(np.sin(done / 3e6))
        t = np.tanh(x @ rule) + 0.3 * np.concatenate([[0.0], x[:-1, 0]])
        began = time.process_time()
        predicted = np.asarray(model.run(x, t)).ravel()
        took += time.process_time() - began
        if not np.isfinite(predicted).all():
            raise FloatingPointError(f"a prediction of the rows {done} to {done + n} is not finite")
        square, spread = square + float(((predicted - t) ** 2).sum()), spread + n * float(t.var())
        done += n
        if done * points // steps > len(rows) or done == steps:
            rows.append(
                {
                    "steps": done,
                    "ns": 1e9 * took / (done - mark),
                    "mib": resident(),
                    "nbytes": model.nbytes,
                    "largest_weight": largest_weight(model),
                    "relative_error": float(np.sqrt(square / spread)),
                }
            )
            took, square, spread, mark = 0.0, 0.0, 0.0, done
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        **{"inputs": INPUTS, "cells": CELLS, "steps": steps, "rows": rows, "peak_mib": peak},
        "machine": machine.describe(),
    }


def largest_weight(model: Any) -> float:
    """Return the largest absolute weight."""
    state = model._engine.kernel.state()
    return float(max(np.abs(state[name]).max() for name in ("hidden", "output")))


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
