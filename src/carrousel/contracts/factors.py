"""Learning rates that differ between groups of weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np

from carrousel.checks import check_number
from carrousel.contracts.cells import later
from carrousel.contracts.network import RECURRENT_PARTS, Network
from carrousel.errors import SettingError
from carrousel.shapes import Floats


@dataclass(frozen=True)
class RateFactors:
    """Factors of the learning rate by group of weights; every weight belongs to one group.

    Args:
        inputs: weights from inputs into hidden units.
        recurrent: weights between hidden units.
        gate_biases: biases of gates.
        cell_biases: biases of cells, or of simple units.
        outputs: weights into output units, from cells and from inputs.
        output_biases: biases of output units.

    A factor of 0 keeps its weights as they were drawn.

    Raises:
        SettingError: a factor is negative or not finite.

    >>> from carrousel.contracts import Cell
    >>> network = Network(1, 1, Cell(1, 1), bias="all")
    >>> RateFactors(recurrent=0.1, output_biases=0.0).by_weight(network).tolist()
    [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 1.0, 1.0, 0.0]
    """

    inputs: float = later(1.0)
    recurrent: float = later(1.0)
    gate_biases: float = later(1.0)
    cell_biases: float = later(1.0)
    outputs: float = later(1.0)
    output_biases: float = later(1.0)

    def __post_init__(self) -> None:
        for each in fields(self):
            check_number(f"factors.{each.name}", getattr(self, each.name), least=0.0)

    @property
    def differ(self) -> bool:
        """Whether any factor is not 1."""
        return any(getattr(self, each.name) != 1.0 for each in fields(self))

    def by_weight(self, network: Network) -> Annotated[Floats, "W"]:
        """Return the factor of each weight in the order of ``network.layout``."""
        flat = np.ones(network.n_weights)
        for name, part in network.views(flat).items():
            part[...] = self._of(name, network)
        return flat

    def check(self, network: Network) -> None:
        """Raise :class:`SettingError` if a factor is not 1, but the network has no such weights."""
        for each in fields(self):
            factor, alone = getattr(self, each.name), RateFactors(**{each.name: 0.0})
            if factor != 1.0 and alone.by_weight(network).all():
                raise SettingError(
                    argument=f"factors.{each.name}",
                    got=factor,
                    expected="1.0, since the network has no such weights",
                )

    def _of(self, name: str, network: Network) -> float | np.ndarray:
        if name == "hidden_inputs":
            return self.inputs
        if name in RECURRENT_PARTS:
            return self.recurrent
        if name == "hidden_bias":
            cells = np.isin(network.biased_units, network.cell.read_units)
            return np.where(cells, self.cell_biases, self.gate_biases)
        return self.output_biases if name == "output_bias" else self.outputs


EQUAL_RATES = RateFactors()
"""All weights learn at the same rate."""
