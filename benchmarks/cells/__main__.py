"""Benchmark of the gallery: cells from equations, and the same cells as loops of torch operations.

    python -m benchmarks.cells [--only NAME,...] [--quick] [--save FILE]

Each cell is a layer of one direction. First its outputs and gradients in float64 must be those of
the loop. Then float32 training steps (forward and backward) and inference of both are timed in
alternation, and those of the built-in LSTM of the same size. Results are saved to
``benchmarks/results/cells.json``, from which ``python -m tools.pages`` makes ``docs/cells.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.common import machine
from benchmarks.common.results import RESULTS, load, save

SIZES = ((128, 32, 64, 64), (100, 1, 32, 32))
"""Steps, sequences, inputs, units."""
QUICK = ((8, 2, 4, 6),)
SAVED = RESULTS / "cells.json"
TOLERANCE = 1e-8
"""Largest difference in float64 relative to the largest number. Chaotic cells amplify roundings."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    import torch
    from benchmarks.cells.gallery import GALLERY
    from benchmarks.sequence.timing import Plan

    names = options.only.split(",") if options.only else list(GALLERY)
    if unknown := [name for name in names if name not in GALLERY]:
        parser.error(f"--only names {unknown[0]!r}, expected some of {', '.join(GALLERY)}")
    torch.set_num_threads(options.threads)
    plan = Plan(3, 0.001, 1, wait=0.0) if options.quick else Plan(repeats=7, limit=1.5, wait=0.3)
    path = options.save or (None if options.quick else SAVED)
    about = {**machine.describe(), "threads": torch.get_num_threads()}
    before = load(SAVED) if options.only and not options.quick else {}
    rows = [row for row in before.get("rows", []) if row["cell"] not in names]
    for name in names:
        for size in QUICK if options.quick else SIZES:
            print(name, size, file=sys.stderr)
            rows.append({"cell": name, "size": list(size), **measure(GALLERY[name], size, plan)})
        if path:
            order = list(GALLERY)
            rows.sort(key=lambda row: (order.index(row["cell"]), -row["size"][1]))
            save(path, {"machine": about, "plan": plan._asdict(), "rows": rows})
    print(report(rows))
    return 0 if all(row["error"] <= TOLERANCE for row in rows) else 1


def measure(exhibit: Any, size: tuple[int, int, int, int], plan: Any) -> dict[str, Any]:
    """Verify a cell and time it; milliseconds of ours, the loop and the built-in LSTM."""
    import torch
    from benchmarks.sequence.timing import alternate, summary

    from carrousel import nn

    T, B, inputs, units = size
    torch.manual_seed(0)
    layer, lstm = nn.LSTM(inputs, units, cell=exhibit.cell), nn.LSTM(inputs, units)
    x = torch.randn(T, B, inputs)
    found: dict[str, Any] = {"error": difference(layer, exhibit.loop, x[:20])}
    if found["error"] > TOLERANCE:
        return found
    contenders: dict[str, Callable[[], Any]] = {
        "ours": lambda: layer(x)[0],
        "loop": lambda: exhibit.loop(layer, x),
        "lstm": lambda: lstm(x)[0],
    }

    def training(name: str) -> Callable[[], None]:
        weights = list((lstm if name == "lstm" else layer).parameters())

        def run() -> None:
            torch.autograd.grad(contenders[name]().square().mean(), weights)

        return run

    def inference(name: str) -> Callable[[], None]:
        def run() -> None:
            with torch.inference_mode():
                contenders[name]()

        return run

    for what, way in (("train", training), ("infer", inference)):
        times = alternate({name: way(name) for name in contenders}, plan)
        found[what] = {name: summary(stretches) for name, stretches in times.items()}
    return found


def difference(layer: Any, loop: Any, x: Any) -> float:
    """Compute the largest relative difference of outputs and gradients in float64."""
    import copy

    import torch

    double, x = copy.deepcopy(layer).double(), x.double()
    results = []
    for run in (lambda: double(x)[0], lambda: loop(double, x)):
        out = run()
        slopes = torch.autograd.grad(out.square().mean(), list(double.parameters()))
        results.append((out.detach(), *slopes))
    pairs = zip(*results, strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-300)) for a, b in pairs)


def report(rows: list[dict[str, Any]]) -> str:
    """Format the rows for the terminal."""
    lines = [f"{'':36}{'T, B, I, H':>18}{'train':>9}{'loop':>9}{'infer':>9}{'loop':>9}  ms"]
    for row in rows:
        head = f"{row['cell']:36}{', '.join(map(str, row['size'])):>18}"
        for what in ("train", "infer"):
            if what in row:
                head += "".join(f"{row[what][name]['median']:9.3f}" for name in ("ours", "loop"))
        lines.append(f"{head}  {row['error']:.0e}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="NAMES", help="names of cells, separated by commas")
    parser.add_argument("--quick", action="store_true", help="small and short; saved with --save")
    parser.add_argument("--save", metavar="FILE", help=f"default: results/{SAVED.name}")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch and of ours")
    return parser


if __name__ == "__main__":
    sys.exit(main())
