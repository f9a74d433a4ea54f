"""Benchmark of one LSTM step at batch 1: carrousel.nn, torch and ONNX Runtime.

    python -m benchmarks.step [--quick] [--json] [--save FILE]

Every contender has the same float32 weights and one thread, and keeps its own state. First each
must agree with a float64 net for 200 steps. Then each call is timed separately, with stretches of
calls in alternation. A time covers the call from Python, from handing over the input to reading the
output. The weights are in the cache from the previous call. "prepared" means that the work that
needs no input is done between calls, without timing. Results are saved to
``benchmarks/results/step.json``, from which ``python -m tools.pages`` makes ``docs/step.md``.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import machine
from benchmarks.common.results import RESULTS, save

SIZES = tuple((inputs, units) for units in (32, 128, 512) for inputs in (units, 16))
PARITY_STEPS = 200
SAVED = RESULTS / "step.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    machine.one_thread_each()
    machine.pin(0)
    import torch

    torch.set_num_threads(1)
    repeats, calls = (3, 100) if options.quick else (11, 200)
    rows: list[dict[str, Any]] = []
    for inputs, units in SIZES:
        print(f"I={inputs} H={units}", file=sys.stderr)
        rows += measure(inputs, units, repeats, calls)
    results = {
        "machine": machine.describe(),
        "runtimes": {name: version(name) for name in ("onnx", "onnxruntime")},
        "plan": {"repeats": repeats, "calls": calls, "clock_ns": clock_ns()},
        "rows": rows,
    }
    path = options.save or (None if options.quick else SAVED)
    if path:
        save(path, results)
    print(json.dumps(results, indent=1) if options.json else table(rows))
    return 0 if all(row["parity"]["holds"] for row in rows) else 1


def measure(inputs: int, units: int, repeats: int, calls: int) -> list[dict[str, Any]]:
    """Measure one size; returns the contenders with their errors and times in microseconds."""
    import torch
    from benchmarks.step.contenders import contenders

    torch.manual_seed(0)
    layer = torch.nn.LSTM(inputs, units)
    x = torch.randn(PARITY_STEPS, 1, inputs)
    rows = []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        exact = torch.nn.LSTM(inputs, units).double()
        exact.load_state_dict(layer.state_dict())
        want = exact(x.double())[0].numpy()
        found = contenders(layer, Path(folder))
        errors = {name: parity(one, x, want) for name, one in found.items()}
        good = {name: one for name, one in found.items() if errors[name] <= one.tolerance}
        times = alternate(good, x, repeats, calls)
    for name, error in errors.items():
        row: dict[str, Any] = {"contender": name, "inputs": inputs, "units": units}
        row["parity"] = {"error": error, "holds": error <= found[name].tolerance}
        if name in times:
            row["us"] = summary(times[name])
        rows.append(row)
    return rows


def parity(contender: Any, x: Any, want: np.ndarray) -> float:
    """Compute the largest difference from the float64 net."""
    have = []
    for one in x if contender.takes_tensors else x.numpy():
        y = contender.advance(one)
        have.append(np.array(y.numpy() if contender.takes_tensors else y))
        if contender.between:
            contender.between()
    return float(np.abs(np.stack(have) - want).max())


def alternate(
    contenders: dict[str, Any], x: Any, repeats: int, calls: int
) -> dict[str, np.ndarray]:
    """Time every call of each contender in nanoseconds, ``[repeats, calls]``."""
    times = {name: np.zeros((repeats, calls)) for name in contenders}
    given = {name: list(x if one.takes_tensors else x.numpy()) for name, one in contenders.items()}
    clock = time.perf_counter_ns
    gc.disable()
    try:
        for repeat in range(repeats):
            for name, one in contenders.items():
                advance, between, many = one.advance, one.between, given[name]
                for call in range(-calls // 5, calls):  # negative calls are a warm-up
                    now = many[call % len(many)]
                    start = clock()
                    advance(now)
                    took = clock() - start
                    if call >= 0:
                        times[name][repeat, call] = took
                    if between:
                        between()
            gc.collect()
    finally:
        gc.enable()
    return times


def summary(times: np.ndarray) -> dict[str, float]:
    """Summarise times in microseconds: quartiles of the stretches' medians, and call percentiles.

    ``least`` is the median of the fastest stretch.
    """
    stretches = np.median(times, 1)
    low, median, high = np.quantile(stretches, (0.25, 0.5, 0.75))
    named = {"median": median, "low": low, "high": high, "least": stretches.min()}
    named["p99"] = np.quantile(times, 0.99)
    return {name: round(float(value) / 1000, 3) for name, value in named.items()}


def clock_ns() -> float:
    """Measure the time that reading the clock adds to every call."""
    clock = time.perf_counter_ns
    return float(np.median([-(clock() - clock()) for _ in range(10_000)]))


def table(rows: list[dict[str, Any]]) -> str:
    """Format the rows for the terminal."""
    lines = [f"{'':32}{'I':>5}{'H':>5}{'median':>9}{'quartiles':>18}{'p99':>9}  us; error"]
    for row in rows:
        head = f"{row['contender']:32}{row['inputs']:5}{row['units']:5}"
        if us := row.get("us"):
            spread = f"{us['low']:.2f}-{us['high']:.2f}"
            head += f"{us['median']:9.2f}{spread:>18}{us['p99']:9.2f}"
        lines.append(f"{head}  {row['parity']['error']:.1e}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few calls; saved only with --save")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument("--save", metavar="FILE", help=f"default: results/{SAVED.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
