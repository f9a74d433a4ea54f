"""How weights change: learning algorithms by name."""

from __future__ import annotations

from collections.abc import Mapping

from carrousel.contracts import LearnerFactory
from carrousel.learners.truncated import TruncatedLearner as TruncatedLearner

LEARNERS: Mapping[str, LearnerFactory] = {"truncated": TruncatedLearner}
"""Every learner by name; an experiment names one of these."""

__all__ = ["LEARNERS", "TruncatedLearner"]
