"""LSTMRegressor: values for sequences, with an answer at every step."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from sklearn.base import RegressorMixin

from carrousel.errors import ShapeError
from carrousel.estimators.base import SequenceEstimator, Targets
from carrousel.estimators.data.checks import check_targets
from carrousel.estimators.data.series import Source
from carrousel.estimators.documented import documented
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.fitting.inputs import At
from carrousel.estimators.net.goals import ValueGoal
from carrousel.estimators.targets import Units, quantiles, scales
from carrousel.shapes import Floats


@documented
class LSTMRegressor(RegressorMixin, SequenceEstimator):
    """Predicts one or several values for sequences of unequal length, at their end or at any step.

    The nets are those of :class:`carrousel.LSTMClassifier`. They learn the mean of standardised
    targets by squared errors at every step; the last step has half the weight.

    Attributes:
        target_mean_, target_scale_: ``[K]``, by which the targets are standardised for training.

    Raises:
        SettingError: in ``fit``, if a parameter is out of range.

    Source: as :class:`carrousel.LSTMClassifier`.

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(T, 1)) for T in rng.integers(3, 9, size=60)]
    >>> y = [x.mean() for x in X]
    >>> model = LSTMRegressor(hidden_size=8, members=1, max_steps=60, random_state=0).fit(X, y)
    >>> model.predict(X).shape, model.predict(X, at="every step")[0].shape == (len(X[0]),)
    ((60,), True)
    >>> model.score(X, y) > 0.5
    True
    """

    target_mean_: Annotated[Floats, "K"]
    target_scale_: Annotated[Floats, "K"]
    _flat: bool
    _saved = ("target_mean_", "target_scale_", "_flat")

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
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self._keep(locals())

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None
    ) -> LSTMRegressor:
        """Train on series with known targets.

        Args:
            X: ``N`` series, of at least one step each, or a ``TableDataset``.
            y: ``[N]``, or ``[N, K]`` for ``K`` targets. None: the target column of a
                ``TableDataset``.
            sample_weight: ``[N]``, weights of the squared errors, at least 0; None: 1.
            groups: ``[N]``, what must not be divided between learned and held-out series.
                None: the column of a ``TableDataset``, or none.

        Raises:
            DataError: a target is missing or infinite, or there are fewer than two series.
            ShapeError: lengths differ.
            SettingError: a parameter is out of range.
        """
        again = self.warm_start and hasattr(self, "ensemble_")
        self._fit(X, y, sample_weight, groups, again=again)
        return self

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> LSTMRegressor:
        """Continue to train on further series; the first call is a ``fit``.

        A further call makes a tenth of the updates of a fit, or ``max_steps``. Scales stay those of
        the first call. Arguments and exceptions are those of :meth:`fit`.
        """
        self._fit(X, y, sample_weight, groups, again=hasattr(self, "ensemble_"))
        return self

    def _read_targets(
        self, y: Any, series: Source, weights: Annotated[Floats, "N"], *, again: bool
    ) -> Targets:
        table = check_targets(y, series)
        flat = np.asarray(y).ndim == 1
        if again and (table.shape[1] != len(self.target_mean_) or self._flat != flat):
            raise ShapeError(
                f"y has shape {np.asarray(y).shape}, but the model was fitted to "
                f"{len(self.target_mean_)} targets",
                argument="y",
            )
        self._flat = flat
        return Targets(table, np.zeros(len(table), np.int64), weights, ValueGoal(table.shape[1]))

    def _prepared(self, examples: Examples, *, again: bool) -> Examples:
        table = examples.targets
        if not again:
            self.target_mean_, self.target_scale_ = scales(table, examples.weights)
        scaled = ((table - self.target_mean_) / self.target_scale_).astype(np.float32)
        return replace(examples, targets=scaled, strata=quantiles(table[:, 0]))

    def _units(self) -> Units:
        return Units(self.target_mean_, self.target_scale_, self._flat)

    def predict(self, X: Any, at: At = "end") -> Any:
        """Return values at the end of each series, or earlier.

        Args:
            X: series with the channels of training.
            at: ``"end"``; ``"every step"``; a whole number, steps of each series that are used; or
                a float up to 1.0, the share of the steps of each series that is used.

        Returns:
            float64 ``[N]``, or ``[N, K]`` if ``y`` was a table. For ``"every step"``, a list of
            ``N`` arrays ``[T_n]`` or ``[T_n, K]``.

        Raises:
            ShapeError: channels differ from those of training.
            NotFittedError: the model is not fitted.
        """
        series, outputs = self._outputs(X, at)
        found = self._units().values(outputs)
        return np.split(found, series.offsets[1:-1]) if at == "every step" else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
