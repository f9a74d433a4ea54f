"""Description of a network: its hidden layer, wiring, biases, and layout of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, get_args

import numpy as np

from carrousel.checks import check_choice, check_int
from carrousel.contracts.cells import Cell, Simple, later
from carrousel.contracts.init import Init
from carrousel.contracts.units import HIDDEN, UNIT_SETS, Group, parse_units
from carrousel.errors import SettingError
from carrousel.shapes import Array

Wiring = Literal["full", "layered", "cells", "direct", "united", "sparse"]
CELL_WIRINGS: tuple[Wiring, ...] = ("full", "layered", "cells")
SIMPLE_WIRINGS: tuple[Wiring, ...] = ("full", "direct", "united", "sparse")
RECURRENT_PARTS = ("hidden_recurrent", "hidden_self", "hidden_outputs", "output_recurrent")
"""Parts of a layout that hold weights between hidden units."""


class Part(NamedTuple):
    """Position of one named weight matrix in the flat vector of a network."""

    start: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.start + int(np.prod(self.shape))


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
        bias: which units have one: a set of units, see :func:`carrousel.contracts.parse_units`.
            ``"none"``, ``"gates"``, ``"hidden"`` (gates and cells, or simple units), ``"all"``
            (outputs too), or groups joined by ``+``, such as ``"gates+outputs"``.
        init: initial weights.
        feedback: which hidden units of a net of memory cells feed hidden units one step later: a
            set of units, such as ``"cells"``; None: as the wiring says.
        feedback_into: which hidden units receive them; ``"gates"`` excludes cell inputs. None: all.
        inputs_to_outputs: whether inputs feed the outputs of a net of memory cells; None: as the
            wiring says.

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
    >>> Network(54, 2, Cell(2, 1), feedback_into="gates").n_weights  # 12 fewer than in Table 3
    352
    >>> extended = Network(7, 7, Cell(4, 2, forget_gate=True), wiring="cells", bias="gates+outputs")
    >>> extended.n_weights  # Gers et al. 2000, whose cells have no bias
    424
    """

    n_inputs: int
    n_outputs: int
    cell: Cell | Simple
    wiring: Wiring = "full"
    bias: str = "none"
    init: Init = field(default_factory=Init)
    feedback: str | None = later(None)
    feedback_into: str | None = later(None)
    inputs_to_outputs: bool | None = later(None)

    def __post_init__(self) -> None:
        check_int("n_inputs", self.n_inputs, minimum=1, maximum=2**24)
        check_int("n_outputs", self.n_outputs, minimum=1, maximum=2**24)
        check_choice("wiring", self.wiring, get_args(Wiring))
        memory = isinstance(self.cell, Cell)
        if not isinstance(self.cell, Cell | Simple):
            raise SettingError(
                argument="cell", got=self.cell, expected="a Cell or Simple, such as Cell(2, 1)"
            )
        fitting = CELL_WIRINGS if memory else SIMPLE_WIRINGS
        if self.wiring not in fitting:
            kind = "memory cells" if memory else "simple units"
            raise SettingError(
                argument="wiring", got=self.wiring, expected=f"{_or(fitting)} for {kind}"
            )
        if self.united and self.n_outputs > self.cell.n_units:
            raise SettingError(
                argument="n_outputs",
                got=self.n_outputs,
                expected=f"at most {self.cell.n_units}, the hidden units that outputs are among",
            )
        self._check_bias()
        self._check_feedback()
        self._check_init()

    def _check_bias(self) -> None:
        groups = parse_units("bias", self.bias)
        if isinstance(self.cell, Cell):
            return self._check_groups("bias", self.bias, groups)
        allowed = ("none", "hidden", "all") if self.united else ("none", "hidden", "outputs", "all")
        if self.bias not in allowed:
            raise SettingError(
                f"bias is {self.bias!r}, but "
                + ("outputs are hidden units" if self.united else "simple units have no gates"),
                argument="bias",
                got=self.bias,
                fix="set {bias}='hidden' or 'all'",
            )

    def _check_feedback(self) -> None:
        given = {name: getattr(self, name) for name in ("feedback", "feedback_into")}
        for name, text in given.items():
            if text is not None:
                self._check_groups(name, text, parse_units(name, text, HIDDEN))
        if not isinstance(self.inputs_to_outputs, bool | None):
            raise SettingError(
                argument="inputs_to_outputs",
                got=self.inputs_to_outputs,
                expected="True, False or None",
            )
        for name, value in (given | {"inputs_to_outputs": self.inputs_to_outputs}).items():
            if value is not None and not isinstance(self.cell, Cell):
                raise SettingError(
                    argument=name, got=value, expected="None for simple units", fix="set {wiring}"
                )
        if self.feedback_into is not None and not (self.recurrent and self._receivers):
            raise SettingError(
                f"feedback_into is {self.feedback_into!r}, but "
                + ("no unit is fed back" if self._receivers else "units are fed back"),
                argument="feedback_into",
                got=self.feedback_into,
                fix="leave it None and set {feedback}, 'none' for no feedback",
            )

    def _check_groups(self, name: str, text: str, groups: tuple[Group, ...]) -> None:
        """Raise if a set names, by itself, a group that the cells do not have."""
        missing = [
            each
            for each in text.split("+")
            if each not in UNIT_SETS and each != "outputs" and each not in self.cell.groups
        ]
        if missing:
            raise SettingError(
                f"{name} is {text!r}, but the cells have no {missing[0].replace('_', ' ')}",
                argument=name,
                got=text,
                fix=f"leave {missing[0]!r} out",
            )

    def _check_init(self) -> None:
        cell, init = self.cell, self.init
        blocks = cell.blocks if isinstance(cell, Cell) else 0
        starts = {
            "input_gate_bias": ("input_gates", init.input_gate_bias, blocks),
            "output_gate_bias": ("output_gates", init.output_gate_bias, blocks),
            "forget_gate_bias": ("forget_gates", init.forget_gate_bias, blocks),
            "cell_bias": ("cells" if blocks else "", init.cell_bias, None),
            "output_bias": ("" if self.united else "outputs", init.output_bias, None),
        }
        for name, (group, start, number) in starts.items():
            self._check_start(name, group, start, number)
        if init.input_gate_weights and not blocks:
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
        if init.recurrent_range is not None and not self.recurrent:
            raise SettingError(
                argument="recurrent_range",
                got=init.recurrent_range,
                expected="None, since no hidden unit is fed back",
            )

    def _check_start(self, name: str, group: str, start: object, number: int | None) -> None:
        if start is None or start == ():
            return
        there = group in self.cell.groups or group == "outputs"
        if not there or group not in self._biased:
            empty = None if number is None else ()
            raise SettingError(
                argument=name,
                got=start,
                expected=f"{empty}, since this network has no such bias",
                fix="set {bias} to units that include them" if there else None,
            )
        if number is not None and isinstance(start, tuple) and len(start) != number:
            raise SettingError(
                f"{name} has {len(start)} values, expected one for each of {number} blocks",
                argument=name,
                got=start,
                expected=f"one value for each of {number} blocks",
            )

    @cached_property
    def _biased(self) -> tuple[Group, ...]:
        return parse_units("bias", self.bias)

    @cached_property
    def _fed_back(self) -> tuple[Group, ...]:
        preset = {"layered": "none", "cells": "cells"}.get(self.wiring, "hidden")
        return parse_units("feedback", self.feedback or preset, HIDDEN)

    @cached_property
    def _receivers(self) -> tuple[Group, ...]:
        return parse_units("feedback_into", self.feedback_into or "hidden", HIDDEN)

    def _units(self, groups: tuple[Group, ...]) -> tuple[int, ...]:
        return tuple(u for group in groups for u in self.cell.groups.get(group, ()))

    def _count(self, groups: tuple[Group, ...]) -> int:
        return sum(len(self.cell.groups.get(group, ())) for group in groups)

    @property
    def recurrent(self) -> bool:
        """Whether hidden activations feed hidden units one step later."""
        return self._count(self._fed_back) > 0

    @property
    def direct(self) -> bool:
        """Whether inputs feed the outputs."""
        if self.inputs_to_outputs is not None:
            return self.inputs_to_outputs
        return self.wiring in ("layered", "cells", "direct")

    @cached_property
    def fed_back(self) -> tuple[int, ...]:
        """Hidden units whose activations feed hidden units one step later, ascending."""
        return self._units(self._fed_back)

    @cached_property
    def receivers(self) -> tuple[int, ...]:
        """Hidden units that the units fed back feed, ascending; none without feedback."""
        return self._units(self._receivers) if self.recurrent else ()

    @property
    def n_sources(self) -> int:
        """``S``: sources of a hidden unit: inputs, units fed back and the constant 1."""
        return self.n_inputs + self._count(self._fed_back) + 1

    @property
    def united(self) -> bool:
        """Whether the outputs are themselves among the hidden units."""
        return self.wiring in ("united", "sparse")

    @cached_property
    def biased_units(self) -> tuple[int, ...]:
        """Hidden units that have a bias, ascending."""
        return self._units(self._biased)

    @property
    def biased_outputs(self) -> bool:
        """Whether output units that are not hidden units have a bias."""
        return "outputs" in self._biased and not self.united

    @cached_property
    def layout(self) -> Mapping[str, Part]:
        """The named parts of the flat weight vector, in order. A row has the weights INTO a unit.

        - ``hidden_inputs [U, I]``;
        - ``hidden_recurrent [receivers, fed_back]``, where units are fed back;
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
            shape = (self._count(self._receivers), self._count(self._fed_back))
            shapes.append(("hidden_recurrent", shape))
        if biased := self._count(self._biased):
            shapes.append(("hidden_bias", (biased,)))
        if self.direct:
            shapes.append(("output_inputs", (outs, self.n_inputs)))
        if not self.united:
            shapes.append(("output_cells", (outs, len(self.cell.read_units))))
        if self.biased_outputs:
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
