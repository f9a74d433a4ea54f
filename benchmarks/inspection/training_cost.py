"""Cost of recording the reach in a training: the same training with a recorder, and without.

    python -m benchmarks.inspection.training_cost [--units N] [--steps N] [--budget SHARE] [--json]

Both trainings run in alternation, a few steps each, on one thread. Figures are processor times,
so that other programs on the machine do not count. The weights of both must be equal bit for bit
at the end; otherwise the exit code is 1. Steps without a measurement and whole measurements are
timed as well. The first measurement is made at once, and includes what torch does only once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from carrousel.inspection.training import ReachRecorder

TURN = 10  # steps of each training before it is the other one's turn


class Net(nn.Module):
    """Layers of LSTM with dropout between, read at the last step."""

    def __init__(self, inputs: int, units: int, layers: int) -> None:
        super().__init__()
        dropout = 0.1 if layers > 1 else 0.0
        self.lstm = nn.LSTM(inputs, units, layers, batch_first=True, dropout=dropout)
        self.last = nn.Linear(units, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.lstm(x)[0][:, -1])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Cost of recording the reach in a training")
    for name, default in (
        ("units", 64), ("layers", 2), ("length", 100), ("batch", 32), ("measured", 8),
        ("steps", 1000),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    parser.add_argument("--budget", type=float, default=0.02, metavar="SHARE")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = measured(options)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for name, value in found.items():
            print(f"{name:38} {value:.4g}")
    return 0 if found["weights are equal"] else 1


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Run both trainings; return all figures, times in milliseconds."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(options.batch, options.length, 4, generator=generator)
    y = torch.randn(options.batch, 1, generator=generator)
    small, target = x[: options.measured], y[: options.measured]

    def loss(output: Tensor) -> Tensor:
        return nn.functional.mse_loss(output, target)

    spent: list[float] = []  # processor time of each step of the recorder
    measurements: list[float] = []

    def visit(recorder: ReachRecorder) -> None:
        began = time.process_time()
        row = recorder.step()
        (spent if row is None else measurements).append(time.process_time() - began)

    nets = [Net(4, options.units, options.layers) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    recorder = ReachRecorder(
        nets[1], small, loss, budget=options.budget, sink=[].append, clock=time.process_time
    )
    trainings = [
        training(nets[0], x, y, lambda: None),
        training(nets[1], x, y, lambda: visit(recorder)),
    ]
    times, random = [0.0, 0.0], [torch.get_rng_state()] * 2
    for turn in range(-1, options.steps // TURN):  # the first turn only warms up, unrecorded
        for which, step in enumerate(trainings):
            torch.set_rng_state(random[which])
            began = time.process_time()
            for _ in range(TURN):
                step(turn >= 0)
            if turn >= 0:
                times[which] += time.process_time() - began
            random[which] = torch.get_rng_state()
    equal = all(
        torch.equal(one, other)
        for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True)
    )
    return {
        "time with / without": times[1] / times[0],
        "cost() of the recorder": recorder.cost(),
        "measurements": len(measurements),
        "ms of a step of the training": 1e3 * times[0] / (options.steps // TURN * TURN),
        "ms of the first measurement": 1e3 * measurements[0],
        "ms of a later measurement": 1e3 * sum(measurements[1:]) / max(1, len(measurements) - 1),
        "ms of a call without a measurement": 1e3 * sum(spent) / max(1, len(spent)),
        "weights are equal": equal,
    }


def training(net: Net, x: Tensor, y: Tensor, visit: Callable[[], None]) -> Callable[[bool], None]:
    """Return a function that trains one step; it takes whether to call the recorder."""
    optimizer = torch.optim.Adam(net.parameters())

    def step(recorded: bool) -> None:
        if recorded:
            visit()
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    sys.exit(main())
