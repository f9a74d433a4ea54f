"""Elman's procedure: a copy of the hidden layer is treated as an ordinary input."""

from __future__ import annotations

from carrousel.contracts import Kernel, Network, Simple, Training
from carrousel.errors import SettingError
from carrousel.learners.gradient.learner import GradientLearner


def elman(
    network: Network, training: Training, n_lanes: int = 1, kernel: Kernel | None = None
) -> GradientLearner:
    """Create a simple recurrent net that learns by Elman's procedure.

        h(t) = f(W_in x(t) + W_context h(t-1)),     y(t) = f(W_out h(t))

    The context ``h(t-1)`` is constant during back-propagation, and all weights change after each
    symbol. This is truncated BPTT with a horizon of one step, ``bptt:1``, which this function uses.

    Args:
        network: simple units in ``"full"`` or ``"direct"`` wiring.
        training: settings, with ``update="step"``.
        n_lanes: independent copies.
        kernel: runs the network; native lanes by default.

    Raises:
        SettingError: the network has memory cells, its outputs are hidden units, or
            ``training.update`` is not ``"step"``.

    Source: Elman 1990; Cleeremans, Servan-Schreiber & McClelland 1989; Hochreiter & Schmidhuber
    1997, Table 1.

    >>> elman(Network(7, 7, Simple(15)), Training(rate=0.1, update="step")).network.n_weights
    435
    """
    if not isinstance(network.cell, Simple) or network.wiring not in ("full", "direct"):
        raise SettingError(
            f"elman drives simple units in full or direct wiring, not {network.cell!r} in "
            f"{network.wiring!r}",
            argument="network",
            fix="memory cells learn by 'truncated', 'bptt' or 'rtrl'",
        )
    if not isinstance(training, Training):
        raise SettingError(
            argument="training", got=training, expected="a carrousel.contracts.Training"
        )
    if training.update != "step":
        raise SettingError(
            f"update is {training.update!r}, but Elman's procedure changes weights after each "
            "symbol",
            argument="update",
            got=training.update,
            expected="'step'",
            fix="use 'step', or take the learner 'bptt:1'",
        )
    return GradientLearner(network, training, n_lanes, kernel, "bptt:1")
