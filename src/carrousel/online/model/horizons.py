"""Forecasts of several rows ahead, with prediction intervals."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from carrousel.checks import check_int
from carrousel.errors import SettingError
from carrousel.online.model.encoding.heads import RegressionHead, by_name
from carrousel.online.model.engine import Engine
from carrousel.online.model.settings import Settings


@dataclass(frozen=True, eq=False)
class Interval:
    """Forecasts with intervals that contain the target with some probability.

    Attributes:
        forecast: of each lead ``[H]``; ``[H, n]`` where targets are vectors; a mapping where they
            have names. Of ``N`` rows, each is ``[N, ...]``.
        lower, upper: bounds in the same form.
        level: the probability.
    """

    forecast: Any
    lower: Any
    upper: Any
    level: float


class Horizons:
    """The part of :class:`OnlineLSTM` that forecasts several rows and intervals."""

    _engine: Engine | None
    _settings: Callable[[], Settings]
    _run_rows: Callable[..., Any]

    def forecast(
        self, key: Hashable = None, *, horizon: int | None = None, level: float | None = None
    ) -> Any:
        """Return the forecasts made at the last row of a key, without changing the model.

        Args:
            key: the stream.
            horizon: number of leads, at most ``ahead``; None: all.
            level: one of ``levels``: returns an :class:`Interval`; None: returns the forecasts.

        Returns:
            Forecasts ``[horizon]`` of the row's own target and those of the rows after it. If the
            model was run with ``late=True``, that are the next ``horizon`` values.

        Raises:
            SettingError: the model has no expert rules, or the level or horizon is not tracked.

        >>> import numpy as np
        >>> from carrousel import OnlineLSTM
        >>> wave = np.sin(np.arange(3000) / 5) + np.random.default_rng(0).normal(0, 0.1, 3000)
        >>> model = OnlineLSTM(ahead=6, random_state=1)
        >>> model.run(wave[:2990, None], wave[:2990], late=True).shape
        (2990, 6)
        >>> found = model.forecast(level=0.9)
        >>> inside = (found.lower < wave[2990:2996]) & (wave[2990:2996] < found.upper)
        >>> int(inside.sum()) >= 4
        True
        """
        engine = self._engine
        settings = self._settings() if engine is None else engine.settings
        h, which = _asked(settings, horizon, level)
        place = None if engine is None else engine.keys.find(key, engine.n_rows)
        last = None if engine is None or place is None else engine.kernel.recall(place)
        if engine is None or last is None:
            raise SettingError(
                f"key {key!r} has no rows yet",
                argument="key",
                got=key,
                expected="a key that has had a row",
            )
        outputs, bounds = last
        found = _formed(engine, outputs[None], bounds[None], h, which, settings)
        return _first(found)

    def predict(
        self,
        X: Any = None,
        keys: Any = None,
        *,
        horizon: int | None = None,
        level: float | None = None,
    ) -> Any:
        """Return predictions (see :meth:`run`) for the next rows, without changing the model.

        A copy of the model advances through the rows, which it does not learn. With ``delay``, it
        learns the targets that are on their way when they are due.

        Args:
            X: rows; None: :meth:`forecast` of the key ``keys``.
            keys: the stream of each row.
            horizon: number of leads to return, at most ``ahead``.
            level: one of ``levels``: returns an :class:`Interval`.
        """
        if X is None:
            return self.forecast(keys, horizon=horizon, level=level)
        engine, outputs, error = self._run_rows(
            X, None, keys, False, False, bounds=level is not None
        )
        if error is not None:
            error.outputs = by_name(engine.head, outputs.predictions(engine.head))
            raise error
        if horizon is None and level is None:
            return by_name(engine.head, outputs.predictions(engine.head))
        h, which = _asked(engine.settings, horizon, level)
        return _formed(engine, outputs.raw(), outputs.bounds(), h, which, engine.settings)


def check_level(model: Any, level: float | None) -> None:
    """Raise SettingError unless a model tracks intervals of this level."""
    if level is not None:
        _asked(model._settings(), None, level)


def _asked(
    settings: Settings, horizon: int | None, level: float | None
) -> tuple[int | None, int | None]:
    """Return the number of leads and the index of the level."""
    if not settings.forecasts:
        raise SettingError(
            "this model forecasts without expert rules, so it tracks no intervals",
            argument="experts",
            got=settings.experts,
            fix="use {task=regression}, and do not turn the rules off by {experts} or "
            "{standardise}",
        )
    if horizon is not None:
        horizon = check_int("horizon", horizon, minimum=1, maximum=settings.ahead)
    if level is None:
        return horizon, None
    if level not in settings.levels:
        expected = f"one of {list(settings.levels)}"
        raise SettingError(
            argument="level", got=level, expected=expected, fix=f"add {level} to {{levels}}"
        )
    return horizon, settings.levels.index(level)


def _formed(
    engine: Engine,
    outputs: np.ndarray,
    bounds: np.ndarray | None,
    horizon: int | None,
    which: int | None,
    settings: Settings,
) -> Any:
    """Return forecasts of rows, with bounds if a level is given, in the form of the targets."""
    head = engine.head
    assert isinstance(head, RegressionHead)

    def form(values: np.ndarray) -> Any:
        found = head.leads(values)
        found = found if horizon is None else found[:, :horizon]
        if head.names is not None:
            return {name: found[..., k] for k, name in enumerate(head.names)}
        return found[..., 0] if head.n is None else found

    if which is None or bounds is None:
        return form(outputs)
    lower, upper = (form(np.ascontiguousarray(bounds[:, :, side, which])) for side in (0, 1))
    return Interval(form(outputs), lower, upper, settings.levels[which])


def _first(found: Any) -> Any:
    """Return the first row of forecasts."""
    if isinstance(found, Interval):
        forecast, lower, upper = map(_first, (found.forecast, found.lower, found.upper))
        return Interval(forecast, lower, upper, found.level)
    if isinstance(found, dict):
        return {name: values[0] for name, values in found.items()}
    return found[0]
