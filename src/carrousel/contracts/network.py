"""Descriptions of a network: its hidden layer, wiring, initial weights, and layout of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, get_args

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts.cells import Cell, Simple, later
from carrousel.errors import SettingError
from carrousel.shapes import Array

Wiring = Literal["full", "layered", "cells", "direct", "united", "sparse"]
CELL_WIRINGS: tuple[Wiring, ...] = ("full", "layered")  # of lanes; streams also have "cells"
SIMPLE_WIRINGS: tuple[Wiring, ...] = ("full", "direct", "united", "sparse")
BiasScheme = Literal["none", "gates", "hidden", "all"]


class Part(NamedTuple):
    """Position of one named weight matrix in the flat vector of a network."""

    start: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.start + int(np.prod(self.shape))


@dataclass(frozen=True)
class Init:
    """Initial weights.

    Args:
        range: every weight is drawn uniformly from ``[-range, range]``.
        input_gate_bias: initial bias of each block's input gate; ``()`` leaves it random.
        output_gate_bias: the same for output gates.
        forget_gate_bias: the same for forget gates; a positive bias opens them.
        gate_bias: ``"set"`` makes the given value the bias, ``"added"`` adds it to the random one.
            The paper says "initialised with"; a later simulator by its first author adds.
        input_gate_weights: added to every drawn weight into an input gate, from inputs and from
            hidden units, not to its bias. Negative values close the gates of units without a bias
            (Experiments 2a to 2c).
        output_range: range of the weights into output units, including biases, if it differs from
            :attr:`range`. The other weights do not depend on it.

    Raises:
        SettingError: a number is not finite, or a range is negative.
        UnknownNameError: ``gate_bias`` is none of these.
    """

    range: float = 0.1
    input_gate_bias: tuple[float, ...] = ()
    output_gate_bias: tuple[float, ...] = ()
    gate_bias: Literal["set", "added"] = "set"
    forget_gate_bias: tuple[float, ...] = later(())
    input_gate_weights: float = later(0.0)
    output_range: float | None = later(None)

    def __post_init__(self) -> None:
        check_number("init range", self.range, least=0.0)
        check_number("input_gate_weights", self.input_gate_weights)
        if self.output_range is not None:
            check_number("output_range", self.output_range, least=0.0)
        check_choice("gate_bias", self.gate_bias, ("set", "added"))
        for bias in (*self.input_gate_bias, *self.output_gate_bias, *self.forget_gate_bias):
            check_number("gate bias", bias)


@dataclass(frozen=True)
class Network:
    """A hidden layer with its wiring, biases and initial weights (section 4, Table 10).

    Args:
        n_inputs: ``I``: components of an input vector, or symbols (a symbol is a one-hot vector).
        n_outputs: ``O``: logistic output units.
        cell: the hidden layer, memory cells or simple units.
        wiring: which units feed which.

            ``"full"``: inputs and all hidden units (gates included) feed all hidden units. Cells,
            or all simple units, feed the outputs.
            ``"layered"``, memory cells only: inputs feed hidden units; inputs and cells feed the
            outputs. Only the cell states are recurrent (Experiment 2a).
            ``"cells"``, memory cells only: inputs and cells (not gates) feed all hidden units;
            inputs and cells feed the outputs (Gers et al. 2000).
            ``"direct"``, simple units only: as ``"full"``, and inputs feed the outputs too (RTRL
            and BPTT in Experiment 2a).
            ``"united"``, simple units only: the last ``O`` hidden units are the outputs, and so are
            fed back as well (fully recurrent nets of Williams & Zipser 1989).
            ``"sparse"``, simple units only: as ``"united"``, but each other hidden unit is fed by
            the inputs, the outputs and itself alone (architecture A2 of weight guessing).
        bias: which units have one: ``"none"``, ``"gates"``, ``"hidden"`` (gates and cells, or
            simple units) or ``"all"`` (outputs too).
        init: initial weights.

    Raises:
        SettingError: a number is out of range, or two settings contradict each other.
        UnknownNameError: ``wiring`` or ``bias`` is unknown.

    >>> Network(2, 1, Cell(2, 2), bias="all").n_weights  # Table 7
    93
    >>> Network(101, 101, Cell(1, 1, output_gate=False), wiring="layered").n_weights  # Table 2
    10504
    >>> Network(101, 101, Simple(1), wiring="direct").n_weights  # the same table, RTRL and BPTT
    10404
    >>> Network(7, 7, Simple(19), wiring="united").n_weights  # Table 1, RTRL with 12 hidden units
    494
    >>> extended = Network(7, 7, Cell(4, 2, forget_gate=True), wiring="cells", bias="all")
    >>> extended.n_weights - extended.cell.n_cells  # Gers et al. 2000, whose cells have no bias
    424
    """

    n_inputs: int
    n_outputs: int
    cell: Cell | Simple
    wiring: Wiring = "full"
    bias: BiasScheme = "none"
    init: Init = field(default_factory=Init)

    def __post_init__(self) -> None:
        check_int("n_inputs", self.n_inputs, minimum=1, maximum=2**24)
        check_int("n_outputs", self.n_outputs, minimum=1, maximum=2**24)
        check_choice("wiring", self.wiring, (*CELL_WIRINGS, "cells", *SIMPLE_WIRINGS))
        check_choice("bias", self.bias, get_args(BiasScheme))
        memory = isinstance(self.cell, Cell)
        fitting = (*CELL_WIRINGS, "cells") if memory else SIMPLE_WIRINGS
        if self.wiring not in fitting:
            kind = "memory cells" if memory else "simple units"
            raise SettingError(
                argument="wiring", got=self.wiring, expected=f"{_or(fitting)} for {kind}"
            )
        if self.bias == "gates" and not memory:
            raise SettingError(
                "bias is 'gates', but simple units have no gates",
                argument="bias",
                got=self.bias,
                fix="set {bias}='hidden' or 'all'",
            )
        if self.united and self.n_outputs > self.cell.n_units:
            raise SettingError(
                argument="n_outputs",
                got=self.n_outputs,
                expected=f"at most {self.cell.n_units}, the hidden units that outputs are among",
            )
        cell, init = self.cell, self.init
        gates = (
            (True, cell.output_gate, cell.forget_gate) if isinstance(cell, Cell) else (False,) * 3
        )
        blocks = cell.blocks if isinstance(cell, Cell) else 0
        starts = (init.input_gate_bias, init.output_gate_bias, init.forget_gate_bias)
        for name, start, there in zip(("input", "output", "forget"), starts, gates, strict=True):
            self._check_gate_bias(f"{name}_gate_bias", start, there, blocks)
        if init.input_gate_weights and not memory:
            raise SettingError(
                argument="input_gate_weights",
                got=init.input_gate_weights,
                expected="0.0, since simple units have no gates",
            )
        if init.output_range is not None and self.united:
            raise SettingError(
                argument="output_range",
                got=init.output_range,
                expected=f"None, since with {self.wiring!r} wiring the outputs are hidden units",
            )

    def _check_gate_bias(
        self, name: str, start: tuple[float, ...], has_gates: bool, blocks: int
    ) -> None:
        if not start:
            return
        if self.bias == "none" or not has_gates:
            raise SettingError(
                argument=name, got=start, expected="(), since this network has no such bias"
            )
        if len(start) != blocks:
            raise SettingError(
                f"{name} has {len(start)} values, expected one for each of {blocks} blocks",
                argument=name,
                got=start,
                expected=f"one value for each of {blocks} blocks",
            )

    @property
    def recurrent(self) -> bool:
        """Whether hidden activations feed hidden units one step later."""
        return self.wiring != "layered"

    @property
    def direct(self) -> bool:
        """Whether inputs feed the outputs."""
        return self.wiring in ("layered", "cells", "direct")

    @property
    def fed_back(self) -> range:
        """Hidden units whose activations feed hidden units one step later."""
        if not self.recurrent:
            return range(0)
        return self.cell.read_units if self.wiring == "cells" else range(self.cell.n_units)

    @property
    def n_sources(self) -> int:
        """``S``: sources of a hidden unit: inputs, units fed back and the constant 1."""
        return self.n_inputs + len(self.fed_back) + 1

    @property
    def united(self) -> bool:
        """Whether the outputs are themselves among the hidden units."""
        return self.wiring in ("united", "sparse")

    @cached_property
    def biased_units(self) -> tuple[int, ...]:
        """Hidden units that have a bias, ascending."""
        if self.bias == "none":
            return ()
        units = range(self.cell.n_units)
        return tuple(u for u in units if self.bias != "gates" or u not in self.cell.read_units)

    @cached_property
    def layout(self) -> Mapping[str, Part]:
        """The named parts of the flat weight vector, in order. A row has the weights INTO a unit.

        - ``hidden_inputs [U, I]``;
        - ``hidden_recurrent [U, fed_back]``, unless layered;
        - ``hidden_bias``, one for each of :attr:`biased_units`;
        - ``output_inputs [O, I]``, where inputs feed the outputs;
        - ``output_cells [O, C]``, from the units in ``cell.read_units``;
        - ``output_bias [O]``.

        Hidden units are in the order input gates, forget gates, cells, output gates. In place of
        ``hidden_recurrent``, sparse wiring has ``hidden_self [U - O]``, ``hidden_outputs
        [U - O, O]`` and ``output_recurrent [O, U]``.
        """
        units, outs = self.cell.n_units, self.n_outputs
        shapes: list[tuple[str, tuple[int, ...]]] = [("hidden_inputs", (units, self.n_inputs))]
        if self.wiring == "sparse":
            inner = units - outs
            shapes += [("hidden_self", (inner,)), ("hidden_outputs", (inner, outs))]
            shapes.append(("output_recurrent", (outs, units)))
        elif self.recurrent:
            shapes.append(("hidden_recurrent", (units, len(self.fed_back))))
        if self.biased_units:
            shapes.append(("hidden_bias", (len(self.biased_units),)))
        if self.direct:
            shapes.append(("output_inputs", (outs, self.n_inputs)))
        if not self.united:
            shapes.append(("output_cells", (outs, len(self.cell.read_units))))
            if self.bias == "all":
                shapes.append(("output_bias", (outs,)))
        parts, start = {}, 0
        for name, shape in shapes:
            parts[name] = Part(start, shape)
            start = parts[name].stop
        return parts

    @cached_property
    def n_weights(self) -> int:
        """``W``: trainable weights, as the paper counts them."""
        return max(part.stop for part in self.layout.values())

    def views(self, weights: Annotated[Array, "*lanes W"]) -> dict[str, np.ndarray]:
        """Return named views into flat weights ``[..., W]``; writing to one changes the vector.

        >>> net = Network(2, 1, Cell(2, 2), bias="all")
        >>> net.views(np.zeros(93))["hidden_recurrent"].shape
        (8, 8)
        """
        lanes = weights.shape[:-1]
        return {
            name: weights[..., part.start : part.stop].reshape(*lanes, *part.shape)
            for name, part in self.layout.items()
        }


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)
