"""One of two processes that train modules in parallel.

    python -m support.nn.compatibility.processes RANK STORE LIBRARY

Prints the outcome of each way and mode of the library as JSON, as ``"way mode"``.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.parallel import DistributedDataParallel

from support.nn.compatibility.cases import MODES, Case, Net
from support.nn.modules import close

Learn = Callable[[Any], None]


def replicated(net: Net, learn: Learn) -> list[Tensor]:
    learn(DistributedDataParallel(net))
    return _gradients(net)


def sharded(net: Net, learn: Learn) -> list[Tensor]:
    """``fully_shard``, in which parameters become parts of distributed tensors."""
    mesh = init_device_mesh("cpu", (2,))
    fully_shard(net.module, mesh=mesh)
    fully_shard(net, mesh=mesh)
    learn(net)
    return [gradient.full_tensor() for gradient in _gradients(net)]  # type: ignore[attr-defined]


def flattened(net: Net, learn: Learn) -> list[Tensor]:
    """``FullyShardedDataParallel``, in which parameters become views of a flat one."""
    shapes = [weight.shape for weight in net.parameters()]
    cpu = torch.device("cpu")
    shared = FullyShardedDataParallel(net, use_orig_params=True, device_id=cpu)
    learn(shared)
    with FullyShardedDataParallel.summon_full_params(shared, with_grads=True):
        found = _gradients(net)
        assert [one.shape for one in found] == shapes
        return [one.clone() for one in found]


WAYS = {"ddp": replicated, "fully_shard": sharded, "fsdp": flattened}


def _gradients(net: Net) -> list[Tensor]:
    found = [weight.grad for weight in net.parameters()]
    assert None not in found
    return found  # type: ignore[return-value]


def try_mode(way: str, case: Case, rank: int) -> None:
    """Each process has different data; both must get the mean of the two gradients."""
    net = Net(case, case.module())
    alone = []
    for one in range(2):
        outputs = net(case.leaf(seed=10 + one))
        alone.append(torch.autograd.grad((outputs[0] ** 2).sum(), list(net.parameters())))

    def learn(shared: Any) -> None:
        (shared(case.leaf(seed=10 + rank))[0] ** 2).sum().backward()

    found = WAYS[way](net, learn)
    close(found, [(one + other) / 2 for one, other in zip(*alone, strict=True)])


def main(rank: int, store: str, library: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    outcomes = {}
    warnings.simplefilter("ignore")
    for way in WAYS:
        for name, mode in MODES.items():
            if library == "torch" and mode.ours_only:
                continue
            try:
                try_mode(way, Case(library, mode), rank)
                outcomes[f"{way} {name}"] = "works"
            except Exception as error:
                outcomes[f"{way} {name}"] = f"{type(error).__name__}: {error}"
    torch.distributed.destroy_process_group()
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
