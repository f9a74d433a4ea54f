"""Descriptions of a network: squashing functions, memory cells, wiring, initial weights, layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from carrousel.shapes import Float, SettingError, check_choice, check_int, check_number

SQUASHES: Mapping[str, tuple[float, float] | None] = {
    "[0,1]": (1.0, 0.0),
    "[-1,1]": (2.0, -1.0),
    "[-2,2]": (4.0, -2.0),
    "[-4,4]": (8.0, -4.0),
    "identity": None,
}
"""Squashing functions ``scale / (1 + exp(-x)) + shift`` by range (eqs. 3-5), or the identity."""

Wiring = Literal["full", "layered"]
BiasScheme = Literal["none", "gates", "hidden", "all"]


@dataclass(frozen=True)
class Cell:
    """Memory-cell blocks: which equations the hidden layer follows (section 4).

    Args:
        blocks: number of memory-cell blocks; each has one input gate and one output gate.
        block_size: cells of a block, which share its gates.
        g: range of the squashing of the cell input (eq. 5 is ``"[-2,2]"``).
        h: range of the squashing of the cell output (eq. 4 is ``"[-1,1]"``).
        output_gate: without one, a cell's output is ``h(s)``.

    >>> Cell(blocks=2, block_size=2).n_units
    8
    """

    blocks: int
    block_size: int
    g: str = "[-2,2]"
    h: str = "[-1,1]"
    output_gate: bool = True

    def __post_init__(self) -> None:
        check_int("blocks", self.blocks, minimum=1, maximum=4096)
        check_int("block_size", self.block_size, minimum=1, maximum=4096)
        check_choice("g", self.g, SQUASHES)
        check_choice("h", self.h, SQUASHES)

    @property
    def n_cells(self) -> int:
        """``C``: memory cells of all blocks."""
        return self.blocks * self.block_size

    @property
    def n_units(self) -> int:
        """``H``: input gates, cells and output gates, in this order."""
        return self.n_cells + self.blocks * (2 if self.output_gate else 1)


class Part(NamedTuple):
    """Where one named weight matrix lies in the flat vector of a network."""

    start: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.start + int(np.prod(self.shape))


@dataclass(frozen=True)
class Init:
    """How weights start.

    Args:
        range: every weight is drawn uniformly from ``[-range, range]``.
        input_gate_bias: start value of each block's input-gate bias; ``()`` leaves it random.
        output_gate_bias: the same for output gates.
        gate_bias: ``"set"`` makes the start value the bias; ``"added"`` adds it to the random one.
            The paper says "initialised with"; a later simulator by its first author adds.
    """

    range: float = 0.1
    input_gate_bias: tuple[float, ...] = ()
    output_gate_bias: tuple[float, ...] = ()
    gate_bias: Literal["set", "added"] = "set"

    def __post_init__(self) -> None:
        check_number("init range", self.range, least=0.0)
        check_choice("gate_bias", self.gate_bias, ("set", "added"))
        for bias in (*self.input_gate_bias, *self.output_gate_bias):
            check_number("gate bias", bias)


@dataclass(frozen=True)
class Network:
    """Cells, their wiring, biases and initial weights (section 4, Table 10).

    Args:
        n_inputs: ``I``. Symbols and vectors are wired alike: a symbol is a one-hot vector.
        n_outputs: ``O`` logistic output units.
        cell: the hidden layer.
        wiring: ``"full"``: all hidden units (gates included) feed all hidden units, and cells feed
            the outputs. ``"layered"``: each layer sees all layers below and nothing recurs but the
            carrousel itself: hidden units see inputs, outputs see inputs and cells (Experiment 2a).
        bias: which units have one: ``"none"``, ``"gates"``, ``"hidden"`` (gates and cells) or
            ``"all"`` (outputs too).
        init: initial weights.

    >>> Network(2, 1, Cell(2, 2), bias="all").n_weights  # Table 7
    93
    >>> Network(101, 101, Cell(1, 1, output_gate=False), wiring="layered").n_weights  # Table 2
    10504
    """

    n_inputs: int
    n_outputs: int
    cell: Cell
    wiring: Wiring = "full"
    bias: BiasScheme = "none"
    init: Init = field(default_factory=Init)

    def __post_init__(self) -> None:
        check_int("n_inputs", self.n_inputs, minimum=1, maximum=2**24)
        check_int("n_outputs", self.n_outputs, minimum=1, maximum=2**24)
        check_choice("wiring", self.wiring, ("full", "layered"))
        check_choice("bias", self.bias, ("none", "gates", "hidden", "all"))
        self._check_gate_bias("input_gate_bias", self.init.input_gate_bias, True)
        self._check_gate_bias("output_gate_bias", self.init.output_gate_bias, self.cell.output_gate)

    def _check_gate_bias(self, name: str, start: tuple[float, ...], has_gates: bool) -> None:
        if not start:
            return
        if self.bias == "none" or not has_gates:
            raise SettingError(f"{name} is {start}, but this network's gates have no such bias")
        if len(start) != self.cell.blocks:
            raise SettingError(
                f"{name} has {len(start)} values, expected one for each of "
                f"{self.cell.blocks} blocks"
            )

    @cached_property
    def biased_units(self) -> tuple[int, ...]:
        """Hidden units that have a bias, ascending."""
        blocks, cells = self.cell.blocks, self.cell.n_cells
        if self.bias == "none":
            return ()
        gates_only = self.bias == "gates"
        cell_units = range(blocks, blocks + cells)
        return tuple(u for u in range(self.cell.n_units) if not (gates_only and u in cell_units))

    @cached_property
    def layout(self) -> Mapping[str, Part]:
        """The flat weight vector's named parts, in order; each row holds the weights INTO a unit.

        ``hidden_inputs [H, I]``, ``hidden_recurrent [H, H]`` (full wiring), ``hidden_bias`` (one
        for each of :attr:`biased_units`), ``output_inputs [O, I]`` (layered wiring), ``output_cells
        [O, C]``, ``output_bias [O]``. Hidden units stand in the order input gates, cells, output
        gates. A part the network lacks is absent.
        """
        units, cells = self.cell.n_units, self.cell.n_cells
        full = self.wiring == "full"
        shapes: list[tuple[str, tuple[int, ...]]] = [("hidden_inputs", (units, self.n_inputs))]
        if full:
            shapes.append(("hidden_recurrent", (units, units)))
        if self.biased_units:
            shapes.append(("hidden_bias", (len(self.biased_units),)))
        if not full:
            shapes.append(("output_inputs", (self.n_outputs, self.n_inputs)))
        shapes.append(("output_cells", (self.n_outputs, cells)))
        if self.bias == "all":
            shapes.append(("output_bias", (self.n_outputs,)))
        parts, start = {}, 0
        for name, shape in shapes:
            parts[name] = Part(start, shape)
            start = parts[name].stop
        return parts

    @cached_property
    def n_weights(self) -> int:
        """``W``: trainable weights, as the paper counts them."""
        return max(part.stop for part in self.layout.values())

    def views(self, weights: Float[np.ndarray, "*lanes W"]) -> dict[str, np.ndarray]:
        """Named views into flat weights ``[..., W]``; writing to them changes the vector.

        >>> net = Network(2, 1, Cell(2, 2), bias="all")
        >>> net.views(np.zeros(93))["hidden_recurrent"].shape
        (8, 8)
        """
        lanes = weights.shape[:-1]
        return {
            name: weights[..., part.start : part.stop].reshape(*lanes, *part.shape)
            for name, part in self.layout.items()
        }
