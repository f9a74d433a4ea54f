"""Descriptions of hidden layers: memory-cell blocks, and simple recurrent units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from carrousel.checks import check_choice, check_int
from carrousel.contracts.units import Group


def later(default: Any) -> Any:
    """Return a dataclass field that a fingerprint omits while it has its default value.

    A setting added after trials were stored is declared this way. Experiments that do not use it
    keep their fingerprints.
    """
    return field(default=default, metadata={"later": True})


SQUASHES: Mapping[str, tuple[float, float] | None] = {
    "[0,1]": (1.0, 0.0),
    "[-1,1]": (2.0, -1.0),
    "[-2,2]": (4.0, -2.0),
    "[-4,4]": (8.0, -4.0),
    "identity": None,
}
"""Squashing functions ``scale / (1 + exp(-x)) + shift`` by range (eqs. 3-5), or the identity."""


@dataclass(frozen=True)
class Cell:
    """A hidden layer of memory-cell blocks (section 4).

    Args:
        blocks: number of memory-cell blocks; each has one input gate and one output gate.
        block_size: cells of a block, which share its gates.
        g: range of the squashing of the cell input (eq. 5 is ``"[-2,2]"``).
        h: range of the squashing of the cell output (eq. 4 is ``"[-1,1]"``).
        output_gate: without one, a cell's output is ``h(s)``.
        forget_gate: with one, ``s(t) = y_forget s(t-1) + y_in g`` (Gers, Schmidhuber & Cummins
            2000), so that cell states stay bounded on endless streams.

    >>> Cell(blocks=2, block_size=2).n_units
    8
    """

    blocks: int
    block_size: int
    g: str = "[-2,2]"
    h: str = "[-1,1]"
    output_gate: bool = True
    forget_gate: bool = later(False)

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
        """``U``: input gates, forget gates, cells and output gates, in this order."""
        return self.n_cells + self.blocks * (1 + self.output_gate + self.forget_gate)

    @property
    def n_states(self) -> int:
        """Numbers kept from step to step apart from activations: one state for each cell."""
        return self.n_cells

    @property
    def groups(self) -> Mapping[Group, range]:
        """Units of each group that the layer has, in order."""
        gates = self.blocks
        sizes: dict[Group, int] = {
            "input_gates": gates,
            "forget_gates": gates * self.forget_gate,
            "cells": self.n_cells,
            "output_gates": gates * self.output_gate,
        }
        found, first = {}, 0
        for name, size in sizes.items():
            if size:
                found[name] = range(first, first + size)
            first += size
        return found

    @property
    def read_units(self) -> range:
        """Hidden units that feed the outputs: the cells, never the gates."""
        return self.groups["cells"]


@dataclass(frozen=True)
class Simple:
    """A hidden layer of simple recurrent units, ``y(t) = f(net(t))``.

    Args:
        units: number of units.
        f: ``"logistic"``, ``1 / (1 + exp(-x))``, or ``"tanh"``.

    >>> Simple(15).n_units
    15
    """

    units: int
    f: Literal["logistic", "tanh"] = "logistic"

    def __post_init__(self) -> None:
        check_int("units", self.units, minimum=1, maximum=4096)
        check_choice("f", self.f, ("logistic", "tanh"))

    @property
    def n_units(self) -> int:
        """``U``: hidden units."""
        return self.units

    @property
    def n_cells(self) -> int:
        """Memory cells: 0."""
        return 0

    @property
    def n_states(self) -> int:
        """Numbers kept from step to step apart from activations: 0."""
        return 0

    @property
    def groups(self) -> Mapping[Group, range]:
        """All units, as those of the group ``"cells"``."""
        return {"cells": range(self.units)}

    @property
    def read_units(self) -> range:
        """Hidden units that feed the outputs: all of them."""
        return range(self.units)


def lstm97(
    blocks: int,
    block_size: int = 1,
    *,
    g: str = "[-2,2]",
    h: str = "[-1,1]",
    output_gate: bool = True,
) -> Cell:
    """Return a hidden layer of memory-cell blocks without forget gates.

    The state of cell ``c`` in block ``j`` is a linear unit with a self-connection of weight 1. An
    error inside it therefore flows back unscaled for any number of steps:

        s_c(t) = s_c(t-1) + y_in_j(t) g(net_c(t)),     y_c(t) = y_out_j(t) h(s_c(t))

    Args:
        blocks: number of blocks; each has one input gate and one output gate.
        block_size: cells of a block, which share its gates.
        g: range of the cell-input squashing; eq. (5) is ``"[-2,2]"``.
        h: range of the cell-output squashing; eq. (4) is ``"[-1,1]"``.
        output_gate: whether blocks have output gates; those of Experiment 2a have none.

    Raises:
        SettingError: a number is not a whole number from 1 to 4096.
        UnknownNameError: a range is not in ``carrousel.contracts.SQUASHES``.

    Source: Hochreiter & Schmidhuber 1997, section 4, equations (3) to (9).

    >>> lstm97(2, 2).n_cells
    4
    """
    return Cell(blocks, block_size, g=g, h=h, output_gate=output_gate)
