"""One of two processes that train modules under DistributedDataParallel.

    python -m support.nn.compatibility.processes RANK STORE LIBRARY

Prints the outcome of each mode of the library as JSON.
"""

from __future__ import annotations

import json
import sys

import torch
from torch.nn.parallel import DistributedDataParallel

from support.nn.compatibility.cases import MODES, Case, Net
from support.nn.modules import close


def try_mode(case: Case, rank: int) -> None:
    """Each process has different data; both must get the mean of the two gradients."""
    net = Net(case, case.module())
    alone = []
    for one in range(2):
        outputs = net(case.leaf(seed=10 + one))
        alone.append(torch.autograd.grad((outputs[0] ** 2).sum(), list(net.parameters())))
    shared = DistributedDataParallel(net)
    (shared(case.leaf(seed=10 + rank))[0] ** 2).sum().backward()
    found = [weight.grad for weight in net.parameters()]
    close(found, [(one + other) / 2 for one, other in zip(*alone, strict=True)])


def main(rank: int, store: str, library: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    outcomes = {}
    for name, mode in MODES.items():
        if library == "torch" and mode.ours_only:
            continue
        try:
            try_mode(Case(library, mode), rank)
            outcomes[name] = "works"
        except Exception as error:
            outcomes[name] = f"{type(error).__name__}: {error}"
    torch.distributed.destroy_process_group()
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
