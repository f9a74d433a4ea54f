"""Benchmark of ``carrousel.inspection.inspect``: its cost in training steps of the same net.

    python -m benchmarks.inspection [--quick] [--json]

First the errors by lag of a net in float64 must equal those of a plain loop with leaves, as in
automatic differentiation. Then an inspection and a training step of torch's own net (forward pass,
backward pass, Adam) run in alternation on one thread, with the time of the processor. The ratio is
that of the medians. One inspection contains a recorded call with its backward pass, and eight runs
with exchanged histories.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from benchmarks.common import machine
from benchmarks.common.timing import Entry, alternate, nanoseconds, summarise

SHAPES = ((32, 64, 100), (32, 128, 100), (16, 32, 400), (64, 256, 50), (16, 16, 50))
"""Sequences, units, steps."""
TOLERANCE = 1e-10


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inspection", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats and shapes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    machine.one_thread_each()
    import torch

    torch.set_num_threads(1)
    error = disagreement()
    rows: list[dict[str, Any]] = []
    if error <= TOLERANCE:
        for kind in ("LSTM", "GRU", "RNN"):
            for shape in SHAPES[:1] if options.quick else SHAPES:
                print(kind, *shape, file=sys.stderr)
                rows.append(measure(kind, *shape, repeats=3 if options.quick else 9))
    results = {"machine": machine.describe(), "error": error, "rows": rows}
    print(json.dumps(results, indent=1) if options.json else table(results))
    return 0 if error <= TOLERANCE else 1


def disagreement() -> float:
    """Return the largest relative difference of errors by lag from those of a loop of cells."""
    import torch

    from carrousel.inspection import inspect

    torch.manual_seed(0)
    T, B, H = 20, 3, 8
    layer, cell = torch.nn.LSTM(2, H).double(), torch.nn.LSTMCell(2, H).double()
    for name, parameter in cell.named_parameters():
        parameter.data = getattr(layer, name + "_l0").data
    x = torch.randn(T, B, 2, dtype=torch.float64)
    found = inspect(layer, x, lambda out: out[0][-1].square().sum()).read_reach()
    leaves = [torch.zeros(B, H, dtype=torch.float64).requires_grad_() for _ in range(T)]
    state: tuple[torch.Tensor, torch.Tensor] | None = None
    for now, leaf in zip(x, leaves, strict=True):
        h, c = cell(now, state)
        state = (h + leaf, c)
    assert state is not None
    errors = torch.autograd.grad(state[0].square().sum(), leaves)
    expected = torch.stack(errors[::-1]).norm(dim=-1).numpy()
    return float(np.max(np.abs(found.h - expected) / expected))


def measure(kind: str, B: int, H: int, T: int, repeats: int) -> dict[str, Any]:
    """Time an inspection and a training step of one net; returns milliseconds."""
    inspection, step = _entries(kind, B, H, T)
    samples = alternate(
        {"inspect": Entry(lambda: None, inspection), "train": Entry(lambda: None, step)},
        repeats=repeats,
        seconds=0.2,
    )
    times = {
        name: summarise(nanoseconds([some], "processor")).median / 1e6
        for name, some in samples.items()
    }
    row: dict[str, Any] = {"cell": kind, "sequences": B, "units": H, "steps": T}
    return row | {
        "inspect_ms": round(times["inspect"], 2),
        "train_ms": round(times["train"], 2),
        "ratio": round(times["inspect"] / times["train"], 2),
    }


def _entries(kind: str, B: int, H: int, T: int) -> tuple[Callable[[], float], Callable[[], float]]:
    import torch

    from carrousel.inspection import inspect

    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = getattr(torch.nn, kind)(2, H, batch_first=True)
            self.head = torch.nn.Linear(H, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.layer(x)[0][:, -1])

    net, x, y = Net(), torch.randn(B, T, 2), torch.randint(0, 3, (B,))
    optimizer = torch.optim.Adam(net.parameters())

    def loss(found: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(found, y)

    def train() -> float:
        optimizer.zero_grad()
        loss(net(x)).backward()
        optimizer.step()
        return 1.0

    def examine() -> float:
        inspect(net, x, loss)
        return 1.0

    return examine, train


def table(results: dict[str, Any]) -> str:
    """Format results as text."""
    lines = [f"largest relative error by lag: {results['error']:.1e}"]
    lines.append(
        f"{'cell':5} {'B':>4} {'H':>4} {'T':>5} {'inspect':>10} {'train':>10} {'ratio':>6}"
    )
    for row in results["rows"]:
        lines.append(
            f"{row['cell']:5} {row['sequences']:4} {row['units']:4} {row['steps']:5} "
            f"{row['inspect_ms']:7.1f} ms {row['train_ms']:7.1f} ms {row['ratio']:6.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
