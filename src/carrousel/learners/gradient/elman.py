"""Elman's procedure: the context is a copy of the hidden layer, treated as an ordinary input."""

from __future__ import annotations

from carrousel.contracts import Kernel, Network, Simple, Training
from carrousel.errors import SettingError
from carrousel.learners.gradient.learner import GradientLearner


def elman(
    network: Network, training: Training, n_lanes: int = 1, kernel: Kernel | None = None
) -> GradientLearner:
    """Make a simple recurrent net that learns by Elman's procedure.

        h(t) = f(W_in x(t) + W_context h(t-1)),     y(t) = f(W_out h(t))

    The context ``h(t-1)`` is a constant while error is sent back: one step of back-propagation
    through the feedforward net of this moment, and a change of all weights after each symbol. That
    is truncated BPTT with a horizon of one step, ``bptt:1``, which is what runs.

    Args:
        network: simple units in ``"full"`` or ``"direct"`` wiring.
        training: with ``update="step"``, which is part of the procedure.
        n_lanes: independent copies.
        kernel: where the arithmetic is done; native lanes by default.

    Raises:
        SettingError: the network has memory cells or no outputs of its own, or weights are not to
            change at each step.

    Source: Elman 1990; Cleeremans, Servan-Schreiber & McClelland 1989; Hochreiter & Schmidhuber
    1997, Table 1.

    >>> elman(Network(7, 7, Simple(15)), Training(rate=0.1, update="step")).network.n_weights
    435
    """
    if not isinstance(network.cell, Simple) or network.wiring not in ("full", "direct"):
        raise SettingError(
            f"elman drives simple units in full or direct wiring, not {network.cell!r} in "
            f"{network.wiring!r}; memory cells learn by 'truncated', 'bptt' or 'rtrl'"
        )
    if training.update != "step":
        raise SettingError(
            f"update is {training.update!r}, but Elman's procedure changes weights after each "
            "symbol; say 'step', or take the learner 'bptt:1'"
        )
    return GradientLearner(network, training, n_lanes, kernel, "bptt:1")
