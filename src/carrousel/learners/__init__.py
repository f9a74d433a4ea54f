"""Learning algorithms by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from carrousel.checks import suggestion
from carrousel.contracts import Batches, Gradient, Init, LearnerFactory, Network, Training
from carrousel.errors import SettingError, UnknownNameError
from carrousel.learners.cascade.learner import CascadeLearner as CascadeLearner
from carrousel.learners.chunker.compressor import CompressorLearner as CompressorLearner
from carrousel.learners.chunker.learner import ChunkerLearner as ChunkerLearner
from carrousel.learners.chunker.learner import ChunkerTraining
from carrousel.learners.gradient.elman import elman as elman
from carrousel.learners.gradient.learner import GradientLearner as GradientLearner
from carrousel.learners.gradient.schedule import without_schedule
from carrousel.learners.guess.learner import GuessLearner as GuessLearner
from carrousel.learners.guess.learner import GuessTraining

LEARNERS: Mapping[str, LearnerFactory] = {
    "truncated": partial(GradientLearner, gradient="truncated"),
    "immediate": partial(GradientLearner, gradient="immediate"),
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
"""Gradients and rival algorithms by name; ``bptt:h``, ``bptt:h:k``, ``sparse:k`` and ``snap:n`` are
names too.

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
        names = [*LEARNERS, "bptt:h", "bptt:h:k", "sparse:k", "snap:n"]
        raise UnknownNameError(f"learner {name!r} is unknown; {suggestion(name, names)}") from None


def _of_batches(network: Network, training: Batches, n_lanes: int = 1) -> GradientLearner:
    """Create a learner whose settings state its gradient and its update rule."""
    if not isinstance(training, Batches):
        raise SettingError(
            argument="training", got=training, expected="a carrousel.contracts.Batches",
            fix="or take the learner of a gradient, such as 'bptt'",
        )  # fmt: skip
    return GradientLearner(network, training, n_lanes)


def shared_settings(name: str, network: Network, training: Any) -> tuple[Network, Any] | None:
    """Return the settings that lanes of one learner must share, or None if they share all.

    Learners by gradient are a :class:`carrousel.contracts.MixedLearner`: their lanes may differ in
    initial weights, rate and schedule. Created with the settings returned here, such a learner
    accepts every network and training with the same shared settings.

    >>> from carrousel.contracts import Cell, Init
    >>> one, other = (Network(2, 1, Cell(2, 2), init=Init(reach)) for reach in (0.1, 0.2))
    >>> shared = shared_settings("truncated", one, Training(rate=0.5))
    >>> shared == shared_settings("truncated", other, Training(rate=0.1, cells_added_after=9))
    True
    >>> shared_settings("guess", one, GuessTraining(tolerance=0.1)) is None
    True
    """
    if name in ("cascade", "chunker", "compressor", "guess"):
        return None
    try:
        learner_named(name)
    except UnknownNameError:
        return None
    if not isinstance(training, Training | Batches):
        return None
    return replace(network, init=Init()), without_schedule(training)


def may_cut(training: Any) -> bool:
    """Return whether data may be cut anywhere into calls of ``learn`` without changing results.

    It is not so for updates once a call (``"epoch"``), and not assumed of unknown settings.

    >>> may_cut(Training(rate=0.5)), may_cut(Training(rate=0.5, update="epoch"))
    (True, False)
    """
    if isinstance(training, Training):
        return training.update != "epoch"
    return isinstance(training, Batches | ChunkerTraining | GuessTraining)


__all__ = [
    "LEARNERS",
    "CascadeLearner",
    "ChunkerLearner",
    "CompressorLearner",
    "GradientLearner",
    "GuessLearner",
    "elman",
    "learner_named",
    "may_cut",
    "shared_settings",
]
