"""The columns of the compatibility matrix: ways to use a module of either library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from carrousel import nn
from support.nn.modules import close, flat
from support.nn.modules import gradients as module_gradients

f32, f64 = torch.float32, torch.float64
STEPS, BATCH, INPUTS, UNITS = 4, 3, 2, 3


class AbsentError(Exception):
    """The library does not have this feature."""


@dataclass(frozen=True)
class Mode:
    """One way to use a module: its class, its options, and the form of its input.

    ``feed``: ``"padded"``, all sequences equally long; ``"packed"``, a PackedSequence;
    ``"lengths"``, padded on the right, with lengths.
    """

    title: str
    kind: str = "LSTM"
    settings: dict[str, Any] = field(default_factory=dict)
    feed: str = "padded"
    ours_only: bool = False


RICH = {"cell": "peephole", "layer_norm": True, "zoneout": 0.2}
OWN = nn.Equations(
    "compatible",
    net_inputs=("input", "forget", "cell"),
    states=("c",),
    unit_parameters=("p",),
    equations="""
        input = sigmoid(input + p * c_prev)
        forget = sigmoid(forget)
        cell = tanh(cell)
        c = forget * c_prev + input * cell
        h = tanh(c) + 0.5 * (1 - forget) * h_prev
    """,
)
MODES = {
    "plain": Mode("LSTM"),
    "packed": Mode("packed sequences", feed="packed"),
    "lengths": Mode("lengths", feed="lengths", ours_only=True),
    "stacked": Mode("2 layers, both directions", settings={"num_layers": 2, "bidirectional": True}),
    "projection": Mode("proj_size", settings={"proj_size": 2}),
    "variant": Mode("peepholes, layer norm, zoneout", settings=RICH, ours_only=True),
    "own": Mode("a cell from equations", settings={"cell": OWN}, ours_only=True),
    "gru": Mode("GRU", "GRU"),
    "rnn": Mode("RNN", "RNN"),
}


@dataclass(frozen=True)
class Case:
    """A mode in a library, ``"carrousel"`` or ``"torch"``; the interface that features use."""

    library: str
    mode: Mode

    @property
    def is_ours(self) -> bool:
        return self.library == "carrousel"

    def own(self, name: str) -> Any:
        """A name from the library's package, or ``AbsentError``."""
        package = nn if self.is_ours else torch.nn
        if not hasattr(package, name):
            raise AbsentError(f"{package.__name__} has no {name}")
        return getattr(package, name)

    def module(self, dtype: torch.dtype = f64, **more: Any) -> Any:
        """A module with seeded weights; in evaluation mode if it would draw random numbers."""
        torch.manual_seed(0)
        settings = {"hidden_size": UNITS, **self.mode.settings, **more}
        module = self.own(self.mode.kind)(INPUTS, dtype=dtype, **settings)
        return module.train("zoneout" not in self.mode.settings)

    def lengths(self, T: int, B: int) -> list[int]:
        """Decreasing lengths; the first is ``T``."""
        return [min(T, max(1, T >> b)) for b in range(B)]

    def leaf(
        self, seed: int = 1, T: int = STEPS, B: int = BATCH, dtype: torch.dtype = f64
    ) -> Tensor:
        """The leaf tensor of an input: ``[T, B, I]``, or the data of a packed batch."""
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(T, B, INPUTS, dtype=dtype, generator=generator)
        return self._pack(x).data if self.mode.feed == "packed" else x

    def call(self, module: Any, leaf: Tensor, hx: Any = None, **more: Any) -> tuple[Tensor, ...]:
        """The output and the last states of a call with the input ``leaf``."""
        given: Any = leaf
        if self.mode.feed == "packed":
            given = PackedSequence(leaf, self._batch_sizes(len(leaf)))
        elif self.mode.feed == "lengths":
            lengths = torch.tensor(self.lengths(*leaf.shape[:2]), dtype=torch.long)
            more = {"lengths": lengths, **more}
        out, state, *_ = module(given, hx, **more)
        out = out.data if isinstance(out, PackedSequence) else out
        return (out, *flat(state))

    def at(self, values: Tensor, step: int) -> Tensor:
        """The values of one step of the first sequence, in an output or a leaf."""
        if self.mode.feed != "packed":
            return values[step, 0]
        return values[int(self._batch_sizes(len(values))[:step].sum())]

    def gradients(self, module: Any, leaf: Tensor, **more: Any) -> tuple[Tensor, ...]:
        """Outputs, and the gradients of a loss by leaf and weights."""
        leaf = leaf if leaf.requires_grad else leaf.detach().requires_grad_()
        return module_gradients(module, leaf, None, lambda m: self.call(m, leaf, **more))

    def _pack(self, x: Tensor) -> PackedSequence:
        return pack_padded_sequence(x, self.lengths(*x.shape[:2]))

    def _batch_sizes(self, rows: int) -> Tensor:
        """Batch sizes of a packed batch: the usual one, or a single sequence of ``rows`` steps."""
        lengths = self.lengths(STEPS, BATCH)
        if rows != sum(lengths):
            lengths = [rows]
        return torch.tensor([sum(one > t for one in lengths) for t in range(max(lengths))])


class Net(torch.nn.Module):
    """A net that contains a module; its input is a case's leaf."""

    def __init__(self, case: Case, module: Any) -> None:
        super().__init__()
        self.case = case
        self.module = module

    def forward(self, leaf: Tensor) -> tuple[Tensor, ...]:
        return self.case.call(self.module, leaf)


def same_gradients(case: Case, one: Any, other: Any, **more: Any) -> None:
    """Assert that two modules compute the same outputs and gradients."""
    leaf = case.leaf()
    close(case.gradients(one, leaf, **more), case.gradients(other, leaf, **more))
