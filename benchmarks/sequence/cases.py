"""The measured cases: sizes, and every variant and option of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # torch is imported where it is used: names of cases are read without it
    import torch

    from carrousel import nn

LIKE_TORCH = ("LSTM", "GRU", "RNN")
"""Layers that torch has as well."""


class Size(NamedTuple):
    """Steps, sequences of the batch, inputs, components of the hidden state."""

    T: int
    B: int
    I: int  # noqa: E741  the letter of inputs everywhere
    H: int

    def __str__(self) -> str:
        return ", ".join(str(number) for number in self)


GRID = (
    Size(128, 32, 32, 32),
    Size(128, 32, 64, 64),
    Size(128, 32, 128, 128),
    Size(128, 64, 256, 256),
    Size(512, 16, 128, 128),
    Size(1000, 32, 64, 64),
    Size(100, 64, 512, 512),
    Size(100, 32, 256, 1024),
    Size(128, 1, 32, 32),
    Size(128, 1, 128, 128),
    Size(1000, 1, 64, 64),
    Size(100, 1, 512, 512),
    Size(50, 1, 256, 1024),
)
VARIANT_SIZES = (Size(128, 32, 64, 64), Size(128, 32, 128, 128), Size(128, 64, 256, 256))
LOOP_SIZES = (Size(128, 32, 64, 64), Size(100, 1, 32, 32))
COMPILED_SIZE = LOOP_SIZES[0]
FAR = Size(100_000, 1, 128, 128)
QUICK_SIZE = Size(16, 4, 8, 16)


@dataclass(frozen=True)
class Variant:
    """A layer with some option.

    Args:
        name: label in tables.
        family: name of a class of :mod:`carrousel.nn`.
        settings: arguments of its constructor.
        equations: name of a cell made from equations (:func:`equations`), or "".
        call: additional argument of a call: "", "lengths", "resets" or "states".
        apart: does more work by design, so the aim for variants does not apply.
        loop: name of a hand-written loop of ``loops.py``, or "" if there is none.
    """

    name: str
    family: str = "LSTM"
    settings: Mapping[str, Any] = field(default_factory=dict)
    equations: str = ""
    call: str = ""
    apart: bool = False
    loop: str = ""

    def make(self, size: Size) -> torch.nn.Module:
        """Make a float32 layer with a fixed seed, so that equal parameters get equal values."""
        import torch

        from carrousel import nn

        settings = dict(self.settings)
        if self.equations:
            settings["cell"] = equations(self.equations)
        if settings.get("proj_size") == "half":
            settings["proj_size"] = size.H // 2
        torch.manual_seed(0)
        return getattr(nn, self.family)(size.I, size.H, **settings)

    def arguments(self, size: Size) -> dict[str, Any]:
        """Make the keyword arguments of a call, with the same values every time."""
        import torch

        drawn = torch.Generator().manual_seed(1)
        if self.call == "lengths":
            low = size.T // 2
            return {"lengths": torch.randint(low, size.T + 1, (size.B,), generator=drawn)}
        if self.call == "resets":
            return {"resets": torch.rand(size.T, size.B, generator=drawn) < 0.02}
        return {"return_states": True} if self.call == "states" else {}


PLAIN = Variant("plain", loop="lstm")

VARIANTS = (
    Variant("lstm97", settings={"cell": "lstm97"}, loop="lstm97"),
    Variant(
        "lstm97, blocks of 2, gates as sources",
        settings={"cell": "lstm97", "block_size": 2, "gate_sources": True},
    ),
    Variant("peephole", settings={"cell": "peephole"}, loop="peephole"),
    Variant("coupled", settings={"cell": "coupled"}),
    Variant("no_output_gate", settings={"cell": "no_output_gate"}),
    Variant("layer_norm", settings={"layer_norm": True}, loop="layer_norm"),
    Variant("zoneout 0.1", settings={"zoneout": 0.1}),
    Variant("recurrent_dropout 0.1", settings={"recurrent_dropout": 0.1}),
    Variant("proj_size H/2", settings={"proj_size": "half"}),
    Variant("truncated", settings={"gradient": "truncated"}),
    Variant("tbptt:20", settings={"gradient": "tbptt:20"}),
    Variant("learned initial state", settings={"initial_state": "learned"}),
    Variant("lengths, T/2 to T", call="lengths"),
    Variant("resets, 2 % of steps", call="resets"),
    Variant("return_states", call="states"),
    Variant("GRU", "GRU"),
    Variant("RNN", "RNN"),
    Variant("LSTM from Equations", equations="lstm"),
    Variant("sLSTM from Equations", equations="slstm"),
    Variant("recompute auto", settings={"recompute": "auto"}, apart=True),
)

_EQUATIONS: Mapping[str, Mapping[str, Any]] = {
    "lstm": {
        "net_inputs": ("i", "f", "g", "o"),
        "states": ("c",),
        "equations": """
            c = sigmoid(f) * c_prev + sigmoid(i) * tanh(g)
            h = sigmoid(o) * tanh(c)
        """,
    },
    "slstm": {  # as in docs/own_cells.md
        "net_inputs": ("i", "f", "z", "o"),
        "states": ("c", "n", "m"),
        "equations": """
            old = where(n_prev > 0, f + m_prev, i - 1000)
            m = max(old, i)
            i = exp(i - m)
            f = exp(old - m)
            z = tanh(z)
            o = sigmoid(o)
            c = f * c_prev + i * z
            n = f * n_prev + i
            h = o * c / n
        """,
    },
}


@lru_cache
def equations(name: str) -> nn.Equations:
    """Make a cell from equations; raises ``MissingExtraError`` without SymPy."""
    from carrousel import nn

    return nn.Equations(name, **_EQUATIONS[name])


def torch_twin(module: torch.nn.Module, family: str, size: Size) -> torch.nn.Module:
    """Make torch's layer with the same weights."""
    import torch

    twin = getattr(torch.nn, family)(size.I, size.H)
    twin.load_state_dict(module.state_dict())
    return twin


def data(size: Size, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw inputs ``[T, B, I]`` that require a gradient, and output errors ``[T, B, width]``."""
    import torch

    drawn = torch.Generator().manual_seed(2)
    x = torch.randn(size.T, size.B, size.I, generator=drawn).requires_grad_()
    return x, torch.randn(size.T, size.B, width, generator=drawn)


def operations(module: torch.nn.Module, size: Size) -> float:
    """Count the operations of the matrix products of one inference; training has three times more.

    A multiply-add is two operations. The cost of the gates is left out, so true rates are slightly
    higher than the computed ones.
    """
    weights = dict(module.named_parameters())
    products = weights["weight_ih_l0"].numel() + weights["weight_hh_l0"].numel()
    return 2.0 * size.T * size.B * products
