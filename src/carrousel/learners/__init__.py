"""Learning algorithms by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from carrousel.checks import suggestion
from carrousel.contracts import Batches, Gradient, LearnerFactory, Network
from carrousel.errors import SettingError, UnknownNameError
from carrousel.learners.cascade.learner import CascadeLearner as CascadeLearner
from carrousel.learners.chunker.compressor import CompressorLearner as CompressorLearner
from carrousel.learners.chunker.learner import ChunkerLearner as ChunkerLearner
from carrousel.learners.gradient.elman import elman as elman
from carrousel.learners.gradient.learner import GradientLearner as GradientLearner
from carrousel.learners.guess.learner import GuessLearner as GuessLearner

LEARNERS: Mapping[str, LearnerFactory] = {
    "truncated": partial(GradientLearner, gradient="truncated"),
    "bptt": partial(GradientLearner, gradient="bptt"),
    "rtrl": partial(GradientLearner, gradient="rtrl"),
    "snap:1": partial(GradientLearner, gradient="snap:1"),
    "uoro": partial(GradientLearner, gradient="uoro"),
    "elman": elman,
    "cascade": CascadeLearner,
    "chunker": ChunkerLearner,
    "compressor": CompressorLearner,
    "guess": GuessLearner,
}
"""Gradients and rival algorithms by name; ``bptt:h``, ``bptt:h:k`` and ``snap:n`` are names too.

The update rule is not part of the name: a row with ``training=Batches(...)`` states rule and
gradient there.
"""


def learner_named(name: str) -> LearnerFactory:
    """Return the factory of the learner with this name, as an ``Experiment`` states it.

    ``"adam"`` is kept for stored trials. It takes gradient and rule from ``training``, which must
    be a :class:`Batches`.

    Raises:
        UnknownNameError: there is no such learner.

    >>> from carrousel.contracts import Cell, Network, Training
    >>> learner_named("bptt:20")(Network(2, 1, Cell(2, 2)), Training(rate=0.5), 4).n_lanes
    4
    """
    if name in LEARNERS:
        return LEARNERS[name]
    if name == "adam":
        return _of_batches
    try:
        return partial(GradientLearner, gradient=Gradient.named(name))
    except UnknownNameError:
        names = [*LEARNERS, "bptt:h", "bptt:h:k", "snap:n"]
        raise UnknownNameError(f"learner {name!r} is unknown; {suggestion(name, names)}") from None


def _of_batches(network: Network, training: Batches, n_lanes: int = 1) -> GradientLearner:
    """Create a learner whose settings state its gradient and its update rule."""
    if not isinstance(training, Batches):
        raise SettingError(
            argument="training", got=training, expected="a carrousel.contracts.Batches",
            fix="or take the learner of a gradient, such as 'bptt'",
        )  # fmt: skip
    return GradientLearner(network, training, n_lanes)


__all__ = [
    "LEARNERS",
    "CascadeLearner",
    "ChunkerLearner",
    "CompressorLearner",
    "GradientLearner",
    "GuessLearner",
    "elman",
    "learner_named",
]
