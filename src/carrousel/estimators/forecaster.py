"""LSTMForecaster: the next steps of series, with quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from carrousel.checks import check_choice
from carrousel.errors import ShapeError
from carrousel.estimators.data.checks import check_groups, check_series, check_weights
from carrousel.estimators.data.schema import Schema
from carrousel.estimators.data.series import Series
from carrousel.estimators.documented import documented
from carrousel.estimators.fitting.examples import Examples, numbered
from carrousel.estimators.fitting.inputs import At, first_steps, read_inputs
from carrousel.estimators.forecast.fit import fit_model
from carrousel.estimators.forecast.inputs import Layout
from carrousel.estimators.forecast.model import ForecastModel
from carrousel.estimators.forecast.reading import Channel, read_future, read_layout, split
from carrousel.estimators.forecast.training import Settings
from carrousel.estimators.net.augment import Augmentation
from carrousel.estimators.net.net import NetConfig
from carrousel.estimators.net.quantiles import check_quantiles
from carrousel.estimators.settings import NetEstimator
from carrousel.shapes import Floats


@documented
class LSTMForecaster(NetEstimator):
    """Forecasts the next steps of series, with quantiles that do not cross.

    One model learns from all series, and forecasts these and others. It needs no common level or
    scale: it sees each series relative to its last value, in units of its mean absolute change so
    far. At each step, a net mixes simple forecasts (last value, drift, smoothing, the last season
    with and without growth), and learns weights, corrections and quantiles for all steps ahead.

    Quantiles are corrected on values that the nets did not learn: on other series if there are at
    least 20. Fewer series are soon learned by heart. Then the nets compete with one mixture of
    simple forecasts for all steps ahead, in forecasts from later steps of each series, and get a
    share only if they are better by more than chance. The same forecasts correct the quantiles. A
    `validation_fraction` of 0 turns both off; other values have no meaning for fewer than 20
    series.

    Args:
        horizon: steps ahead.
        target: channels to forecast, by name or position; None: all that are not in `known`.
            Other channels are inputs.
        known: channels whose future values are known, such as holidays; their future is an input.
        quantiles: probabilities, increasing.
        season: steps after which a pattern repeats, such as 12 for months; None: no season.

    Attributes:
        layout_: roles of the channels.
        stretches_: ``[quantiles, 0.5 included]``, the correction: factors of the distances between
            quantiles and median.

    Raises:
        SettingError: in ``fit``, if a parameter is out of range, or a channel is unknown or has two
            roles.

    Source: the nets are those of :class:`carrousel.LSTMClassifier`. For nets that correct simple
    forecasts compare Smyl 2020, and for the correction Romano, Patterson & Candès 2019.

    >>> waves = np.sin(np.arange(60) / 3.0 + np.arange(4)[:, None])
    >>> model = LSTMForecaster(horizon=5, members=1, max_steps=5, random_state=0).fit(waves)
    >>> model.predict(waves).shape, model.predict_quantiles(waves).shape
    ((4, 5), (4, 5, 3))
    """

    horizon: int
    target: Channel | Sequence[Channel] | None
    known: Channel | Sequence[Channel]
    quantiles: Sequence[float]
    season: int | None
    layout_: Layout
    stretches_: Annotated[Floats, "quantiles"]
    _saved = ("layout_", "stretches_")

    def __init__(
        self,
        *,
        horizon: int = 1,
        target: Channel | Sequence[Channel] | None = None,
        known: Channel | Sequence[Channel] = (),
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        season: int | None = None,
        hidden_size: int = 64,
        num_layers: int = 1,
        window: int = 8,
        members: int = 3,
        max_steps: int | None = None,
        max_seconds: float | None = None,
        learning_rate: float = 3e-3,
        batch_size: int = 32,
        weight_decay: float = 1e-2,
        dropout: float = 0.2,
        gaps: float = 0.0,
        noise: float = 0.0,
        validation_fraction: float = 0.15,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self._keep(locals())

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None
    ) -> LSTMForecaster:
        """Learn to forecast each step of the series from the steps before it.

        Args:
            X: ``N`` series, as in :class:`LSTMClassifier`. They may differ in length.
            y: ignored; what follows each step in ``X`` is the target.
            sample_weight: ``[N]``, weights of the series.
            groups: ``[N]``, series of one group are held out together.

        Raises:
            DataError: no target value follows any step.
            SettingError: a setting is out of range.
        """
        self._check_settings()
        quantiles = check_quantiles(self.quantiles)
        series = self._read(X, reset=True)
        check_series(series)
        layout = read_layout(
            series, horizon=self.horizon, target=self.target, known=self.known, season=self.season
        )
        none = np.zeros(len(series), np.int64)
        weights = check_weights(sample_weight, series)
        parts = numbered(check_groups(groups, series))
        users = Examples(series, none, weights, none, parts).distinct()
        model = fit_model(
            users,
            layout,
            Settings(
                tuple(sorted({*quantiles, 0.5})),
                self.members,
                self.validation_fraction,
                NetConfig(
                    1, 1, self.hidden_size, self.num_layers, self.window, dropout=self.dropout
                ),
                self._train_config(self.max_steps, Augmentation(self.gaps, 0.0, self.noise, 0.0)),
                self.n_jobs,
                self.verbose,
            ),
            self._rng(),
        )
        self.layout_, self.stretches_ = layout, model.factors
        self._keep_ensemble(model.ensemble)
        self.schema_ = Schema.of(series)
        return self

    def predict(self, X: Any, future: Any = None, at: At = "end") -> Any:
        """Return the medians of the next steps.

        Args:
            X: ``N`` series of any length and level, with the channels of those in ``fit``.
            future: ``[N, horizon, known]``, values of the known channels after the end of each
                series.
            at: ``"end"``, ``"every step"``, or the number or share of the steps to use.

        Returns:
            ``[N, horizon]``, or ``[N, horizon, targets]`` if there are several. At every step: a
            list of one such array per series, its first axis the steps. NaN where a target has not
            been seen yet.
        """
        found = self._forecast(X, future, at, (0.5,))
        return [each[:, :, 0] for each in found] if isinstance(found, list) else found[:, :, 0]

    def predict_quantiles(self, X: Any, future: Any = None, at: At = "end") -> Any:
        """Return the quantiles of the next steps, which increase with the probability.

        Returns:
            ``[N, horizon, quantiles]``, or ``[N, horizon, quantiles, targets]``; at every step a
            list, as in :meth:`predict`.
        """
        return self._forecast(X, future, at, self.quantiles)

    def score(self, X: Any, y: Any = None, future: Any = None) -> float:
        """Return the skill of the medians: 1 is perfect, 0 as good as the naive forecast.

        The skill is 1 less the ratio of two sums of absolute errors, in units of the scale of each
        series: those of the medians, and those of the last season (without a season, of the last
        value).

        Args:
            X: the series.
            y: true values, of the shape that :meth:`predict` returns, NaN where missing. None: the
                last ``horizon`` steps of ``X`` are cut off and forecast.
            future: as in :meth:`predict`, together with ``y``.
        """
        check_is_fitted(self, "ensemble_")
        series, layout = self._read(X, reset=False), self.layout_
        J = len(layout.targets)
        if y is None:
            series, ends = split(series, layout)
            truth = np.array([end[:, list(layout.targets)] for end in ends])
            future = [end[:, list(layout.known)] for end in ends] if layout.known else None
        else:
            truth = np.asarray(y, np.float64)
            wanted = (len(series), layout.horizon, *((J,) if J > 1 else ()))
            if truth.shape[:1] != wanted[:1] or truth.size != np.prod(wanted):  # [N] for one step
                raise ShapeError(
                    argument="y",
                    got=truth.shape,
                    expected=f"values of the shape of what predict returns, {wanted}",
                )
            truth = truth.reshape(len(series), layout.horizon, J)
        return self._model().skill(series, truth, read_future(future, series, layout))

    def _forecast(self, X: Any, future: Any, at: At, quantiles: Sequence[float]) -> Any:
        model, series = self._model(), self._read(X, reset=False)
        if isinstance(at, str):
            check_choice("at", at, ("end", "every step"))
        else:
            series, at = first_steps(series, at), "end"
        found = model.quantiles(series, read_future(future, series, model.layout), at)
        wanted = [model.goal.quantiles.index(each) for each in quantiles]
        found = found[..., wanted].swapaxes(2, 3)
        found = found[..., 0] if len(model.layout.targets) == 1 else found
        return np.split(found, series.offsets[1:-1]) if at == "every step" else found

    def _model(self) -> ForecastModel:
        check_is_fitted(self, "ensemble_")
        return ForecastModel(self.layout_, self.ensemble_, self.stretches_)

    def _read(self, X: Any, *, reset: bool) -> Series:
        """Read series; a table may have another number of columns than in ``fit``.

        Columns are steps, and a series grows after the fit.
        """
        series = read_inputs(self, X, reset=reset)
        self._from_table = False
        if not reset:
            self.schema_.check(series)
        return series

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags
