"""Description of a network's initial weights; ``initial.py`` draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from carrousel.checks import check_choice, check_number
from carrousel.contracts.cells import later

GateBias = Literal["set", "added"]


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
        recurrent_range: range of the weights between hidden units, if it differs from
            :attr:`range`. The other weights do not depend on it.
        cell_bias: initial bias of every cell; None leaves it random.
        output_bias: initial bias of every output; None leaves it random.

    Raises:
        SettingError: a number is not finite, or a range is negative.
        UnknownNameError: ``gate_bias`` is none of these.
    """

    range: float = 0.1
    input_gate_bias: tuple[float, ...] = ()
    output_gate_bias: tuple[float, ...] = ()
    gate_bias: GateBias = "set"
    forget_gate_bias: tuple[float, ...] = later(())
    input_gate_weights: float = later(0.0)
    output_range: float | None = later(None)
    recurrent_range: float | None = later(None)
    cell_bias: float | None = later(None)
    output_bias: float | None = later(None)

    def __post_init__(self) -> None:
        check_number("init range", self.range, least=0.0)
        check_number("input_gate_weights", self.input_gate_weights)
        ranges = {"output_range": self.output_range, "recurrent_range": self.recurrent_range}
        for name, given in ranges.items():
            if given is not None:
                check_number(name, given, least=0.0)
        for name, given in {"cell_bias": self.cell_bias, "output_bias": self.output_bias}.items():
            if given is not None:
                check_number(name, given)
        check_choice("gate_bias", self.gate_bias, get_args(GateBias))
        for bias in (*self.input_gate_bias, *self.output_gate_bias, *self.forget_gate_bias):
            check_number("gate bias", bias)
