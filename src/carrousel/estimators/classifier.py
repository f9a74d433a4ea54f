"""LSTMClassifier: classes of sequences, with an answer at every step."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d

from carrousel.estimators.anytime.calibrate import calibrate, probabilities
from carrousel.estimators.base import At, SequenceEstimator, Targets
from carrousel.estimators.data.checks import check_labels, check_two_classes
from carrousel.estimators.data.series import Series
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.labels import ClassWeight, encode, weights_of_classes
from carrousel.estimators.net.goals import ClassGoal
from carrousel.shapes import Array, Floats


class LSTMClassifier(ClassifierMixin, SequenceEstimator):
    """Classifies sequences of unequal length, with gaps, at their end or at every step."""

    classes_: Annotated[Array, "K"]
    _saved = ("classes_",)

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        num_layers: int = 1,
        window: int = 8,
        bidirectional: bool = False,
        members: int = 3,
        max_steps: int | None = None,
        max_seconds: float | None = None,
        learning_rate: float = 3e-3,
        batch_size: int = 32,
        weight_decay: float = 1e-2,
        dropout: float = 0.2,
        gaps: float = 0.6,
        noise: float = 0.5,
        warp: float = 0.1,
        validation_fraction: float = 0.15,
        class_weight: ClassWeight = None,
        calibrate: bool = True,
        early: Any = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self._keep(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> LSTMClassifier:
        """Train on labelled series."""
        self._fit(X, y, sample_weight, groups, again=self.warm_start and hasattr(self, "ensemble_"))
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
    ) -> LSTMClassifier:
        """Continue to train on further series."""
        again = hasattr(self, "ensemble_")
        if not again and classes is not None:
            self.classes_ = np.unique(classes)
        self._fit(X, y, sample_weight, groups, again=again)
        return self

    def _read_targets(
        self, y: Any, series: Series, weights: Annotated[Floats, "N"], *, again: bool
    ) -> Targets:
        if np.asarray(y).shape[1:] == (1,):
            column_or_1d(y, warn=True)
        labels = check_labels(y, series, one_class=True)
        classes, codes = encode(labels, self.classes_ if again else None)
        present = np.unique(codes[weights > 0])
        if len(present) < 2 and not again:
            check_two_classes(classes[present].tolist())
        self.classes_ = classes
        factors = weights_of_classes(self.class_weight, classes, codes, weights)
        return Targets(codes, codes, weights * factors[codes], ClassGoal(len(classes)))

    def _finish(self, examples: Examples) -> None:
        if self.calibrate:
            calibrate(self.ensemble_, examples.series, examples.targets)

    def predict_proba(self, X: Any, at: At = "end") -> Any:
        """Return the probability of each class."""
        series, outputs = self._outputs(X, at)
        found = probabilities(outputs, self.ensemble_.temperature)
        return np.split(found, series.offsets[1:-1]) if at == "every step" else found

    def predict(self, X: Any, at: At = "end") -> Any:
        """Return the most probable class."""
        found = self.predict_proba(X, at)
        if isinstance(found, list):
            return [self.classes_[each.argmax(1)] for each in found]
        return self.classes_[found.argmax(1)]

    def decision_function(self, X: Any) -> Annotated[Floats, "N"] | Annotated[Floats, "N K"]:
        """Return log probabilities ``[N, K]``; for two classes their difference ``[N]``."""
        logs = np.log(np.maximum(self.predict_proba(X), np.finfo(np.float64).tiny))
        return logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs
