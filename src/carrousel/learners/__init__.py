"""How weights change: learning algorithms by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from carrousel.checks import suggestion
from carrousel.contracts import Gradient, LearnerFactory
from carrousel.errors import UnknownNameError
from carrousel.learners.cascade.learner import CascadeLearner as CascadeLearner
from carrousel.learners.chunker.compressor import CompressorLearner as CompressorLearner
from carrousel.learners.chunker.learner import ChunkerLearner as ChunkerLearner
from carrousel.learners.gradient.batch import BatchLearner as BatchLearner
from carrousel.learners.gradient.elman import elman as elman
from carrousel.learners.gradient.learner import GradientLearner as GradientLearner
from carrousel.learners.guess.learner import GuessLearner as GuessLearner

LEARNERS: Mapping[str, LearnerFactory] = {
    "truncated": partial(GradientLearner, gradient="truncated"),
    "bptt": partial(GradientLearner, gradient="bptt"),
    "rtrl": partial(GradientLearner, gradient="rtrl"),
    "snap:1": partial(GradientLearner, gradient="snap:1"),
    "uoro": partial(GradientLearner, gradient="uoro"),
    "adam": BatchLearner,
    "elman": elman,
    "cascade": CascadeLearner,
    "chunker": ChunkerLearner,
    "compressor": CompressorLearner,
    "guess": GuessLearner,
}
"""Every learner by name; ``bptt:h``, ``bptt:h:k`` and ``snap:n`` are names as well."""


def learner_named(name: str) -> LearnerFactory:
    """Return what makes learners of this name; an experiment names one of these.

    Raises:
        UnknownNameError: no learner is called so.

    >>> from carrousel.contracts import Cell, Network, Training
    >>> learner_named("bptt:20")(Network(2, 1, Cell(2, 2)), Training(rate=0.5), 4).n_lanes
    4
    """
    if name in LEARNERS:
        return LEARNERS[name]
    try:
        return partial(GradientLearner, gradient=Gradient.named(name))
    except UnknownNameError:
        names = [*LEARNERS, "bptt:h", "bptt:h:k", "snap:n"]
        raise UnknownNameError(f"learner {name!r} is unknown; {suggestion(name, names)}") from None


__all__ = [
    "LEARNERS",
    "BatchLearner",
    "CascadeLearner",
    "ChunkerLearner",
    "CompressorLearner",
    "GradientLearner",
    "GuessLearner",
    "elman",
    "learner_named",
]
