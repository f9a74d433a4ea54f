"""Benchmark of one step a call: layers with T = 1, and cells in a loop, ours and torch's.

    python -m benchmarks.step.calls [--quick] [--json] [--save FILE]

Programs that act, decode or play sound call a layer once for every step. Each row has the same
float32 weights and one thread for both libraries. First outputs and gradients must agree with a
float64 layer. Then both are timed in alternation, by the time that the process spends on its core.
Results are saved to ``benchmarks/results/calls.json``, which ``docs/step.md`` shows.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.common import machine
from benchmarks.common.results import RESULTS, save

SAVED = RESULTS / "calls.json"
KINDS = ("LSTM", "GRU", "RNN")
UNITS, BATCHES, LOOP = (32, 64, 128, 256), (1, 16), 16
TOLERANCE = 1e-5
"""Of outputs, relative to the largest; gradients of sums over a batch may differ by ten times as
much."""
OURS, THEIRS = "carrousel.nn", "torch.nn"


@dataclass(frozen=True)
class Row:
    """A way to call one kind of module.

    Args:
        kind: ``"LSTM"``, ``"GRU"`` or ``"RNN"``.
        way: ``"layer"``, one call with T = 1; ``"cell"``, ``LOOP`` calls.
        learns: whether a backward pass is timed too.
        units, batch: ``H``, which is also the number of inputs, and ``B``.
    """

    kind: str
    way: str
    learns: bool
    units: int
    batch: int


def rows() -> Iterator[Row]:
    for way in ("layer", "cell"):
        for learns in (False, True):
            for kind in KINDS:
                for units in UNITS:
                    for batch in BATCHES:
                        yield Row(kind, way, learns, units, batch)


class Caller:
    """A module of one library, and its input and first state."""

    def __init__(self, row: Row, package: Any, dtype: Any) -> None:
        import torch

        torch.manual_seed(0)
        self.row, self.no_grad = row, torch.no_grad
        name = row.kind + "Cell" * (row.way == "cell")
        self.module = getattr(package, name)(row.units, row.units).to(dtype)
        steps = () if row.way == "cell" else (1,)
        self.x = torch.randn(*steps, row.batch, row.units).to(dtype)
        h = torch.randn(*steps, row.batch, row.units).to(dtype)
        self.state: Any = (h, h.clone()) if row.kind == "LSTM" else h

    def outputs(self) -> Any:
        """The hidden state after the last step."""
        if self.row.way == "layer":
            return self.module(self.x, self.state)[0]
        state = self.state
        for _ in range(LOOP):
            state = self.module(self.x, state)
        return state[0] if self.row.kind == "LSTM" else state

    def run(self) -> None:
        """The work that is timed."""
        if self.row.learns:
            self.outputs().sum().backward()
        else:
            with self.no_grad():
                self.outputs()

    def stretch(self, number: int) -> float:
        """Seconds that this process spends on its core for this work, ``number`` times."""
        self.module.zero_grad()
        start = time.process_time()
        for _ in range(number):
            self.run()
        return time.process_time() - start

    @property
    def calls(self) -> float:
        return 1.0 if self.row.way == "layer" else float(LOOP)

    def results(self) -> list[np.ndarray]:
        self.module.zero_grad()
        out = self.outputs()
        out.sum().backward()
        return [
            each.detach().double().numpy()
            for each in (out, *(p.grad for p in self.module.parameters()))
        ]


def measure(row: Row, repeats: int, seconds: float) -> dict[str, Any]:
    """Verify and time one row; times are microseconds of a call."""
    import torch

    from carrousel import nn

    exact = Caller(row, torch.nn, torch.float64)
    callers = {OURS: Caller(row, nn, torch.float32), THEIRS: Caller(row, torch.nn, torch.float32)}
    errors = {name: _difference(one, exact) for name, one in callers.items()}
    us = times(callers, repeats, seconds)
    ratios = np.array(us[OURS]) / np.array(us[THEIRS])
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return {
        **vars(row),
        "us": {name: round(float(np.median(found)), 2) for name, found in us.items()},
        "ratio": [round(float(value), 3) for value in (low, middle, high)],
        "parity": {"errors": errors, "holds": max(errors.values()) <= TOLERANCE},
    }


def times(callers: dict[str, Caller], repeats: int, seconds: float) -> dict[str, list[float]]:
    """Time callers in alternation: microseconds of the process's time on its core for a call."""
    found: dict[str, list[float]] = {name: [] for name in callers}
    gc.disable()
    try:
        numbers = {
            name: max(1, round(seconds / min(one.stretch(3) / 3 for _ in range(9))))
            for name, one in callers.items()
        }
        for _ in range(repeats):
            for name, one in callers.items():
                one.stretch(3)
                took = one.stretch(numbers[name]) / numbers[name]
                found[name].append(1e6 * took / one.calls)
            gc.collect()
    finally:
        gc.enable()
    return found


def _difference(one: Caller, exact: Caller) -> float:
    """The largest relative difference of outputs, or a tenth of that of gradients."""
    found, wanted = one.results(), exact.results()
    parts = [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, wanted, strict=True)]
    return float(max(parts[0], max(parts[1:]) / 10))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short; saved only with --save")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument("--save", metavar="FILE", help=f"default: results/{SAVED.name}")
    options = parser.parse_args(arguments)
    machine.one_thread_each()
    machine.pin(0)
    import torch

    torch.set_num_threads(1)
    repeats, seconds = (3, 0.01) if options.quick else (15, 0.03)
    found = []
    for row in rows():
        found.append(measure(row, repeats, seconds))
        print(line(found[-1]), file=sys.stderr)
    results = {"machine": machine.describe(), "loop": LOOP, "rows": found}
    path = options.save or (None if options.quick else SAVED)
    if path:
        save(path, results)
    if options.json:
        print(json.dumps(results, indent=1))
    return 0 if all(row["parity"]["holds"] for row in found) else 1


def line(row: dict[str, Any]) -> str:
    """Format a row for the terminal."""
    does = "training" if row["learns"] else "no_grad"
    head = f"{row['kind']:5}{row['way']:6}{does:9}H={row['units']:<4}B={row['batch']:<3}"
    times = "".join(f"{name} {us:9.2f} us  " for name, us in row["us"].items())
    low, middle, high = row["ratio"]
    wrong = "" if row["parity"]["holds"] else f"  DIFFERS by {row['parity']['errors']}"
    return f"{head}{times}ratio {middle:.2f} ({low:.2f} to {high:.2f}){wrong}"


if __name__ == "__main__":
    sys.exit(main())
