"""LSTMModule and GRUModule of TorchRL, on rows that contain several episodes."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torchrl.modules import GRUModule, LSTMModule, set_recurrent_mode

from carrousel import nn
from foreign.check import Outcome

SWAP = (
    "`module.lstm = ...`; where a row has several episodes, a subclass that maps TorchRL's `mask` "
    "to `lengths`, else `nn.replace`"
)
KINDS = ("LSTM", "GRU")
TOLERANCES = {
    f"{kind}: {name}": 1e-5
    for kind in KINDS
    for name in (
        "losses of 15 steps over rows of several episodes",
        "outputs step by step",
        "outputs and gradients of the scan backend",
    )
}


class Masked:
    """A layer that takes TorchRL's ``mask`` ``[B, T]`` of real steps."""

    def forward(self, input: Any, hx: Any = None, mask: torch.Tensor | None = None) -> Any:
        lengths = None if mask is None else mask.sum(1)
        return super().forward(input, hx, lengths=lengths)  # type: ignore[misc]


class MaskedLSTM(Masked, nn.LSTM):
    pass


class MaskedGRU(Masked, nn.GRU):
    pass


def run(ours: bool) -> Outcome:
    values, parts = {}, torch.nn.ModuleList()
    for kind in KINDS:
        module, policy = _policy(kind)
        own = module.lstm if kind == "LSTM" else module.gru
        if ours:
            masked = {"LSTM": MaskedLSTM, "GRU": MaskedGRU}[kind](4, 16, batch_first=True)
            masked.load_state_dict(own.state_dict())
            setattr(module, kind.lower(), masked)
        values[f"{kind}: losses of 15 steps over rows of several episodes"] = _train(policy)
        parts.append(policy)

        _, stepped = _policy(kind)
        _, scanned = _policy(kind, recurrent_backend="scan")
        for other in (stepped, scanned):
            other.load_state_dict(policy.state_dict())
            parts.append(nn.replace(other) if ours else other)
        values[f"{kind}: outputs step by step"] = _step(stepped)
        values[f"{kind}: outputs and gradients of the scan backend"] = _gradients(scanned)
    return Outcome(parts, values)


def _policy(kind: str, **options: Any) -> tuple[Any, TensorDictSequential]:
    torch.manual_seed(0)
    module = {"LSTM": LSTMModule, "GRU": GRUModule}[kind]
    states = ["h", "c"][: 2 if kind == "LSTM" else 1]
    nexts = [("next", name) for name in states]
    layer = module(4, 16, in_keys=["x", *states], out_keys=["features", *nexts], **options)
    head = TensorDictModule(torch.nn.Linear(16, 1), ["features"], ["y"])
    return layer, TensorDictSequential(layer, head)


def _rows() -> TensorDict:
    """Eight rows of 20 steps, where a new episode begins at about every seventh step."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(8, 20, 4, generator=generator)
    begins = torch.rand(8, 20, 1, generator=generator) < 0.15
    begins[:, 0] = True
    zero = torch.zeros(8, 20, 1, 16)
    return TensorDict({"x": x, "is_init": begins, "h": zero, "c": zero.clone()}, [8, 20])


def _train(policy: TensorDictSequential) -> list[float]:
    rows = _rows()
    target = rows["x"].cumsum(1)[..., :1].tanh()
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        with set_recurrent_mode(True):
            loss = (policy(rows.clone())["y"] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def _step(policy: TensorDictSequential) -> list[torch.Tensor]:
    """Run a row step by step, as a collector does."""
    rows, outputs = _rows(), []
    now = rows[:, 0].clone()
    for step in range(20):
        now["x"], now["is_init"] = rows["x"][:, step], rows["is_init"][:, step]
        now = policy(now)
        outputs.append(now["y"].clone())
        for name in ("h", "c"):
            if ("next", name) in now.keys(True):
                now[name] = now["next", name]
    return outputs


def _gradients(policy: TensorDictSequential) -> list[torch.Tensor]:
    with set_recurrent_mode(True):
        y = policy(_rows())["y"]
    weights = [weight for _, weight in sorted(policy.named_parameters())]
    return [y, *torch.autograd.grad(y.square().mean(), weights)]
