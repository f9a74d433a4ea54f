"""What ``benchmarks/sequence`` measures: sizes, and every variant and option of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # torch is imported where it is used: names of cases are read without it
    import torch

    from carrousel import nn

LIKE_TORCH = ("LSTM", "GRU", "RNN")
"""Layers that torch has too."""


class Size(NamedTuple):
    """Steps, sequences of the batch, inputs, units."""

    T: int
    B: int
    I: int  # noqa: E741  the letter of inputs everywhere
    U: int

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
        name: for people.
        family: class of :mod:`carrousel.nn`.
        settings: of its constructor.
        equations: name of a cell made from equations (:func:`equations`), or "".
        call: what a call is handed besides the input: "", "lengths", "resets" or "states".
        apart: computes more by its nature, so the aim for variants does not hold for it.
        loop: hand-written loop of ``sequence_loops``, or "" for the plain path of the package.
    """

    name: str
    family: str = "LSTM"
    settings: Mapping[str, Any] = field(default_factory=dict)
    equations: str = ""
    call: str = ""
    apart: bool = False
    loop: str = ""

    def make(self, size: Size) -> torch.nn.Module:
        """A float32 layer; one seed, so layers with the same parameters get the same values."""
        import torch

        from carrousel import nn

        settings = dict(self.settings)
        if self.equations:
            settings["cell"] = equations(self.equations)
        if settings.get("proj_size") == "half":
            settings["proj_size"] = size.U // 2
        torch.manual_seed(0)
        return getattr(nn, self.family)(size.I, size.U, **settings)

    def arguments(self, size: Size) -> dict[str, Any]:
        """What a call is handed by name; drawn anew, and equal, every time."""
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
    "slstm": {  # that of docs/own_cells.md
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
    """A cell from equations; raises ``MissingExtraError`` without SymPy."""
    from carrousel import nn

    return nn.Equations(name, **_EQUATIONS[name])


def torch_twin(module: torch.nn.Module, family: str, size: Size) -> torch.nn.Module:
    """Torch's layer with the same weights."""
    import torch

    twin = getattr(torch.nn, family)(size.I, size.U)
    twin.load_state_dict(module.state_dict())
    return twin


def data(size: Size, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs ``[T, B, I]``, which get a gradient too, and errors of outputs ``[T, B, width]``."""
    import torch

    drawn = torch.Generator().manual_seed(2)
    x = torch.randn(size.T, size.B, size.I, generator=drawn).requires_grad_()
    return x, torch.randn(size.T, size.B, width, generator=drawn)


def operations(module: torch.nn.Module, size: Size) -> float:
    """Operations of the matrix products of one inference; training has three times as many.

    Net inputs come from inputs and recurrent sources; a multiply-add is two operations. What gates
    cost is left out, so rates are a little higher than said.
    """
    weights = dict(module.named_parameters())
    products = weights["weight_ih_l0"].numel() + weights["weight_hh_l0"].numel()
    return 2.0 * size.T * size.B * products
