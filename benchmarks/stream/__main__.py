"""Benchmark of one step of a stream, predict and learn: OnlineLSTM, PyTorch, deep-river and river.

    python -m benchmarks.stream [--only I,C] [--quick] [--json] [--save FILE]
    python -m benchmarks.stream --command ROWS      a CSV through `carrousel stream`
    python -m benchmarks.stream --soak STEPS        whether time, memory or weights grow

Nets of C memory cells with forget gates on I inputs learn one number a row, by the truncated
gradient and Adam. Our kernel and the PyTorch loops, in float64, must first agree with the reference
implementation on 300 rows. Then contenders are timed in alternation on one core, by the time for
which they ran. Ours standardises inputs and targets; the PyTorch loops do not. Results are merged
into ``benchmarks/results/stream.json``, from which ``python -m tools.pages`` makes
``docs/stream.md``.

deep-river 0.3.4 requires torch below 2.6, river below 0.26 and pandas below 3. The saved results
come from a separate environment with the torch of ``constraints.txt``:

    pip install --no-deps deep-river==0.3.4 'river<0.26' 'pandas<3' pytz tzdata sortedcontainers \
        'tqdm<4.67' torchviz graphviz

Contenders that are not installed are skipped.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import machine
from benchmarks.common.results import RESULTS, load, save
from benchmarks.common.timing import Entry, alternate, held, nanoseconds, summarise

SIZES = ((16, 32), (4, 8), (10, 32), (84, 128), (64, 256))
SAVED = RESULTS / "stream.json"
PARITY_ROWS = 300
EXACT = 1e-9
"""Allowed error of predictions near 1, in float64, after 300 updates by Adam."""
PACKAGES = ("torch", "river", "deep-river")
ROWS = {"OnlineLSTM.run": 2000, "OnlineLSTM.step": 500}
"""Rows of a timed call; 50 for other contenders."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    machine.one_thread_each()
    if not options.command:
        machine.pin(options.core)
    if options.soak:
        from benchmarks.stream.soak import soak

        part: dict[str, Any] = {"soak": soak(options.soak)}
    elif options.command:
        from benchmarks.stream.command import through_command

        part = {"command": through_command(options.command)}
    else:
        sizes = [tuple(map(int, options.only.split(",")))] if options.only else list(SIZES)
        repeats, seconds = (3, 0.02) if options.quick else (11, 0.2)
        rows: list[dict[str, Any]] = []
        for inputs, cells in sizes:
            print(f"I={inputs} C={cells}", file=sys.stderr)
            rows += measure(inputs, cells, repeats, seconds)
        part = {"rows": rows, "repeats": repeats, "seconds": seconds}
    if not options.soak:  # a soak runs alone, and says where
        part["machine"] = machine.describe() | {"packages": _packages()}
    path = options.save or (None if options.quick else SAVED)
    if path:
        keep(Path(path), part)
    print(json.dumps(part, indent=1) if options.json or "rows" not in part else table(part["rows"]))
    return 0 if all(row["parity"]["holds"] for row in part.get("rows", [])) else 1


def keep(path: Path, part: dict[str, Any]) -> None:
    """Merge a part into a file; rows of other sizes are kept."""
    before = load(path)
    sizes = {(row["inputs"], row["cells"]) for row in part.get("rows", [])}
    kept = [r for r in before.get("rows", []) if (r["inputs"], r["cells"]) not in sizes]
    merged = {**before, **part}
    if "rows" in merged:
        merged["rows"] = [*kept, *part.get("rows", [])]
        order = {size: place for place, size in enumerate(SIZES)}
        merged["rows"].sort(key=lambda row: order.get((row["inputs"], row["cells"]), len(order)))
    save(path, merged)


def data(inputs: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw noise ``[N, I]``, and targets ``[N]`` that depend on this row and on earlier ones."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, inputs))
    slow = np.convolve(x[:, 0], 0.8 ** np.arange(20))[:rows]
    return x, np.tanh(slow) + 0.5 * x.mean(axis=1) + 0.1 * rng.normal(size=rows)


def ours(cells: int) -> dict[str, Any]:
    """Make our contenders."""
    from benchmarks.stream.contenders import online_run, online_step

    from carrousel import OnlineLSTM

    return {
        "OnlineLSTM.run": online_run(OnlineLSTM("regression", cells=cells, random_state=0)),
        "OnlineLSTM.step": online_step(OnlineLSTM("regression", cells=cells, random_state=0)),
    }


def theirs(inputs: int, cells: int) -> dict[str, Any]:
    """Make the other contenders that are installed."""
    from benchmarks.stream.contenders import (
        TorchAutograd,
        TorchByHand,
        deep_river,
        network,
        river_linear,
    )

    found: dict[str, Any] = {}
    if _installed("torch"):
        import torch

        from carrousel.contracts.initial import initial_weights

        torch.set_num_threads(1)
        net = network(inputs, cells)
        weights = initial_weights(net, np.random.default_rng(0))
        found["PyTorch, autograd"] = TorchAutograd(net, weights, torch.float32).take
        found["PyTorch, by hand"] = TorchByHand(net, weights, torch.float32).take
    if _installed("deep-river"):
        found["deep-river LSTMRegressor"] = deep_river(inputs, cells)
    if _installed("river"):
        found["river linear regression"] = river_linear()
    return found


def parity(inputs: int, cells: int) -> dict[str, float]:
    """Compute the largest difference of predictions from the reference, all in float64."""
    from benchmarks.stream.contenders import STREAMING, TorchAutograd, TorchByHand, kernel, network

    from carrousel.contracts.initial import initial_weights
    from carrousel.kernels import ReferenceStream, open_stream

    net = network(inputs, cells)
    weights = initial_weights(net, np.random.default_rng(1)).astype(np.float64)
    x, t = data(inputs, PARITY_ROWS, 1)
    want = kernel(ReferenceStream(net, STREAMING, weights))(x, t)
    found = {"kernel": kernel(open_stream(net, STREAMING, weights, dtype=np.float64))}
    if _installed("torch"):
        import torch

        found["PyTorch, autograd"] = TorchAutograd(net, weights, torch.float64).take
        found["PyTorch, by hand"] = TorchByHand(net, weights, torch.float64).take
    return {name: float(np.abs(take(x, t) - want).max()) for name, take in found.items()}


def measure(inputs: int, cells: int, repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Measure one size; returns the contenders with their errors and times in microseconds."""
    from benchmarks.stream.contenders import network

    errors = parity(inputs, cells)
    x, t = data(inputs, 2000)

    def entry(name: str, take: Any) -> Entry:
        n = ROWS.get(name, 50)

        def run() -> float:
            take(x[:n], t[:n])
            return float(n)

        return Entry(lambda: None, run)

    found = {**ours(cells), **theirs(inputs, cells)}
    bad = {name for name, error in errors.items() if not error <= EXACT}
    if "kernel" in bad:
        bad |= set(ours(cells))
    entries = {name: entry(name, take) for name, take in found.items() if name not in bad}
    samples = alternate(entries, repeats=repeats, seconds=seconds)
    weights = network(inputs, cells).n_weights
    rows = []
    for name in found:
        error = errors.get("kernel" if name.startswith("OnlineLSTM") else name)
        row: dict[str, Any] = {"contender": name, "inputs": inputs, "cells": cells}
        row |= {"weights": weights, "parity": {"error": error, "holds": name not in bad}}
        if name in samples:
            took = summarise(nanoseconds([samples[name]], "processor"))
            row["us"] = {key: value / 1000 for key, value in took._asdict().items()}
            row["held"] = held([samples[name]])
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Format the rows for the terminal."""
    lines = [f"{'':28}{'I':>4}{'C':>5}{'us':>10}{'quartiles':>20}{'ns/weight':>11}  core held"]
    for row in rows:
        head = f"{row['contender']:28}{row['inputs']:4}{row['cells']:5}"
        if us := row.get("us"):
            spread = f"{us['low']:.2f}-{us['high']:.2f}"
            each = 1000 * us["median"] / row["weights"]
            head += f"{us['median']:10.2f}{spread:>20}{each:11.3f}  {row['held']:.2f}"
        lines.append(head)
    return "\n".join(lines)


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _packages() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES if _installed(name)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="I,C", help="one size")
    parser.add_argument("--quick", action="store_true", help="few calls; saved only with --save")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument("--save", metavar="FILE", help=f"default: results/{SAVED.name}")
    parser.add_argument("--command", type=int, metavar="ROWS", help="time the command line")
    parser.add_argument("--soak", type=int, metavar="STEPS", help="run this many steps")
    parser.add_argument("--core", type=int, default=0, help="core to run on, from the last one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
