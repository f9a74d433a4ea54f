"""River's models, with the settings of their documentation or their defaults.

Linear models get numbers standardised and texts encoded one-hot. Trees and forests get the same for
regression, since their leaves contain linear models, except that the hour and the weekday are
numbers; for classification they get all values as they are. ``TargetStandardScaler`` standardises
the target, without which a linear model of large numbers takes thousands of rows to reach their
level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from benchmarks.streams.real.features import Features, features, filled
from benchmarks.streams.real.stream import Predict, Stream

SEASONED = 24
"""The longest season that is given to SNARIMAX and Holt-Winters."""
READY = 50
"""Values that SNARIMAX and Holt-Winters learn before their forecasts count."""
SLOW = 0.001
"""A learning rate ten times lower than the default, which diverges on some streams."""
NO_TEXTS = (
    *("naive Bayes", "Hoeffding tree regressor", "Hoeffding adaptive tree regressor"),
    "adaptive random forest regressor",
)
"""Models that refuse texts."""


def models(stream: Stream) -> dict[str, Predict]:
    """Return river's models for the task of a stream, by name."""
    if stream.task == "next":
        return {}
    if stream.task == "anomaly":
        return {f"river: {name}": _scored(make) for name, make in _detectors().items()}
    number = stream.task in ("forecast", "regression")
    made = _regressors() if number else _classifiers(stream.task)
    found = {f"river: {name}": _predicted(make, name in NO_TEXTS) for name, make in made.items()}
    if stream.task == "forecast":
        found |= {f"river: {name}": _forecast(f) for name, f in _forecasters(stream).items()}
    return found


def _linear(model: Any) -> Any:
    from river import compose, preprocessing

    numbers = compose.SelectType(float) | preprocessing.StandardScaler()
    texts = compose.SelectType(str) | preprocessing.OneHotEncoder()
    return (numbers + texts) | model


def _regressors() -> dict[str, Callable[[int], Any]]:
    from river import forest, linear_model, optim, preprocessing, tree

    scaled = preprocessing.TargetStandardScaler

    def whole(model: Any) -> Any:  # leaves contain linear models
        return scaled(preprocessing.StandardScaler() | model)

    return {
        "linear regression": lambda seed: _linear(linear_model.LinearRegression()),
        "linear regression, target standardised": lambda seed: scaled(
            _linear(linear_model.LinearRegression())
        ),
        "linear regression, target standardised, rate 0.001": lambda seed: scaled(
            _linear(linear_model.LinearRegression(optimizer=optim.SGD(SLOW)))
        ),
        "Hoeffding tree regressor": lambda seed: whole(tree.HoeffdingTreeRegressor()),
        "Hoeffding adaptive tree regressor": lambda seed: whole(
            tree.HoeffdingAdaptiveTreeRegressor(seed=seed)
        ),
        "adaptive random forest regressor": lambda seed: whole(forest.ARFRegressor(seed=seed)),
    }


def _classifiers(task: str) -> dict[str, Callable[[int], Any]]:
    from river import forest, linear_model, naive_bayes, tree

    if task == "binary":
        linear: Any = {"logistic regression": linear_model.LogisticRegression}
    else:
        linear = {}
    linear["softmax regression"] = linear_model.SoftmaxRegression
    return {
        **{name: lambda seed, make=make: _linear(make()) for name, make in linear.items()},
        "naive Bayes": lambda seed: naive_bayes.GaussianNB(),
        "Hoeffding tree": lambda seed: tree.HoeffdingTreeClassifier(),
        "Hoeffding adaptive tree": lambda seed: tree.HoeffdingAdaptiveTreeClassifier(seed=seed),
        "adaptive random forest": lambda seed: forest.ARFClassifier(seed=seed),
    }


def _detectors() -> dict[str, Callable[[int], Any]]:
    from river import anomaly, preprocessing

    return {
        "half-space trees": lambda seed: (
            preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=seed)
        ),
        "LODA": lambda seed: preprocessing.MinMaxScaler() | anomaly.LODA(seed=seed),
        "one-class SVM": lambda seed: preprocessing.StandardScaler() | anomaly.OneClassSVM(),
    }


def _forecasters(stream: Stream) -> dict[str, Callable[[], Any]]:
    from river import linear_model, preprocessing, time_series

    def regressor() -> Any:
        return preprocessing.StandardScaler() | linear_model.LinearRegression()

    def plain() -> Any:
        return time_series.SNARIMAX(p=1, d=1, q=0, regressor=regressor())

    found = {
        "SNARIMAX(1, 1, 0)": plain,
        "Holt's trend": lambda: time_series.HoltWinters(alpha=0.3, beta=0.1),
        "Holt's trend, fast": lambda: time_series.HoltWinters(alpha=0.99, beta=0.01),
    }
    short = [season for season in stream.seasons if season <= SEASONED]
    if short:
        m = max(short)
        found |= {
            f"SNARIMAX(1, 0, 0)(1, 1, 0, {m})": lambda: time_series.SNARIMAX(
                p=1, d=0, q=0, m=m, sp=1, sd=1, sq=0, regressor=regressor()
            ),
            f"Holt-Winters, {m} rows": lambda: time_series.HoltWinters(
                alpha=0.3, beta=0.1, gamma=0.6, seasonality=m
            ),
            f"Holt-Winters, fast, {m} rows": lambda: time_series.HoltWinters(
                alpha=0.9, beta=0.01, gamma=0.3, seasonality=m
            ),
        }
    return found


def _predicted(make: Callable[[int], Any], ordinal: bool) -> Predict:
    """Predict each row from its features, then learn its target."""

    def predict(stream: Stream, seed: int = 0) -> np.ndarray:
        read = features(stream)
        return learned(make(seed), stream, read.ordinal() if ordinal else read)

    return predict


def learned(model: Any, stream: Stream, read: Features) -> np.ndarray:
    """Run a model of river's kind over a stream; return its predictions ``[N]``."""
    number = stream.task in ("forecast", "regression")
    found: list[Any] = []
    last = 0.0 if number else ("" if stream.y.dtype.kind == "U" else 0)
    known = ~np.isnan(stream.y) if number else np.ones(len(stream), bool)
    rows = zip(read.rows(), stream.y.tolist(), read.usable, known, strict=True)
    for x, y, usable, target in rows:
        if not usable:
            found.append(np.nan)
            continue
        guess = model.predict_one(x)
        if guess is None or (number and not np.isfinite(guess)):
            guess = last  # a model that has seen nothing, or has diverged
        found.append(guess)
        if target:
            model.learn_one(x, y)
            last = y
    return np.array(found, stream.y.dtype if not number else np.float64)


def _scored(make: Callable[[int], Any]) -> Predict:
    """Score each row, then learn it without its label."""

    def score(stream: Stream, seed: int = 0) -> np.ndarray:
        model, found = make(seed), np.zeros(len(stream))
        names = tuple(stream.columns)
        for n, row in enumerate(np.column_stack([*stream.columns.values()]).tolist()):
            x = dict(zip(names, row, strict=True))
            found[n] = model.score_one(x)
            model.learn_one(x)
        return found

    return score


def _forecast(make: Callable[[], Any]) -> Predict:
    """Forecast the next value of each series by a model of its own.

    A model starts at the first value that is not 0, since Holt-Winters divides by it. Until it has
    learned ``READY`` values, and where it has diverged, the last value is the forecast.
    """

    def predict(stream: Stream, seed: int = 0) -> np.ndarray:
        found, y = np.full(len(stream), np.nan), filled(stream, stream.y)
        for rows in stream.places:
            model, n = make(), 0
            found[rows[1:]] = y[rows[:-1]]
            for row in rows.tolist():
                if n >= READY:
                    guess = model.forecast(horizon=1)[0]
                    found[row] = guess if np.isfinite(guess) else found[row]
                if n or y[row]:
                    model.learn_one(float(y[row]))
                    n += 1
        return found

    return predict
