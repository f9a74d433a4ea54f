"""Streams of numbers: predict the next flow of water, and find unusual rows of the shuttle.

Our model has its default settings. River's models have theirs on the shuttle, and are tuned on the
water.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from benchmarks.streams.data import Table, fingerprint

DAY = 24
RANDOM = ("river: half-space trees", "river: LODA", "river: adaptive random forest")
"""River's models that draw random numbers; only these run with several seeds."""
Scores = np.ndarray


def area(labels: np.ndarray, scores: Scores) -> float:
    """Compute ROC AUC: the probability that an unusual row scores higher than a usual one.

    Ties count half.

    >>> area(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    from scipy.stats import rankdata

    unusual = labels == 1
    n = int(unusual.sum())
    ranks = rankdata(scores)[unusual].sum()
    return float((ranks - n * (n + 1) / 2) / (n * (len(labels) - n)))


def judged(labels: np.ndarray, scores: Scores) -> dict[str, float]:
    """Compute ROC AUC over all rows and over the second half, and average precision."""
    from sklearn.metrics import average_precision_score

    half = len(labels) // 2
    return {
        "auc": area(labels, scores),
        "auc_later": area(labels[half:], scores[half:]),
        "precision": float(average_precision_score(labels, scores)),
    }


def errors(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Compute mean absolute errors, over the second row onwards and over the later half.

    ``worse`` is the mean difference from the error of repeating the last value. ``margin`` is half
    the width of its 95 % interval, computed from means of 24 rows each.
    """
    from scipy.stats import t

    off = np.abs(predicted - y)[1:]
    more = off - np.abs(np.diff(y))
    blocks = more[: len(more) // DAY * DAY].reshape(-1, DAY).mean(axis=1)
    margin = t.ppf(0.975, len(blocks) - 1) * blocks.std(ddof=1) / np.sqrt(len(blocks))
    return {
        "mae": float(off.mean()),
        "mae_later": float(off[len(off) // 2 :].mean()),
        "worse": float(blocks.mean()),
        "margin": float(margin),
    }


# --- water: the next flow ------------------------------------------------------------------------


def water_net(table: Table, seed: int, differences: bool = False) -> np.ndarray:
    """Predict the flow from the previous flow and the hour, in one pass.

    With ``differences``, the model predicts the change and has the previous change as another
    input, like ARIMA models with ``d=1``.
    """
    from carrousel import OnlineLSTM

    model = OnlineLSTM("regression", random_state=seed)
    y, hour = table.y, table.x[:, 0]
    last = y[:-1]
    if not differences:
        predicted = np.asarray(model.run(np.column_stack([last, hour[1:]]), y[1:])).ravel()
        return np.concatenate([[0.0], predicted])
    changes = np.diff(y, prepend=y[0])
    x = np.column_stack([changes[:-1], last, hour[1:]])
    return np.concatenate([[0.0], last + np.asarray(model.run(x, changes[1:])).ravel()])


def water_baselines(table: Table) -> dict[str, np.ndarray]:
    """Predict with simple rules and with river's models.

    Nearly all of river's models do worse here than repeating the last value, with their defaults or
    the settings of their documentation. Linear models on many values diverge. These are the best of
    each kind among about two dozen settings tried on these very data.
    """
    from river import forest, linear_model, optim, preprocessing, time_series

    y = table.y
    last = np.concatenate([[0.0], y[:-1]])
    season = last.copy()
    season[DAY:] = y[:-DAY]
    means = np.concatenate([[0.0], np.cumsum(y)[:-1] / np.arange(1, len(y))])
    line = linear_model.LinearRegression(optimizer=optim.SGD(0.001))
    snarimax = time_series.SNARIMAX(p=1, d=1, q=0, regressor=preprocessing.StandardScaler() | line)
    return {
        "last value": last,
        "value 24 rows before": season,
        "running mean": means,
        "river: SNARIMAX(1, 1, 0)": forecast(snarimax, y),
        "river: Holt's trend": forecast(time_series.HoltWinters(alpha=0.99, beta=0.01), y),
        "river: Bayesian regression, last change": on_changes(
            linear_model.BayesianLinearRegression(), y, 1
        ),
        "river: adaptive random forest, 24 changes": on_changes(
            forest.ARFRegressor(seed=0), y, DAY
        ),
    }


def forecast(model: Any, y: np.ndarray) -> np.ndarray:
    """Forecast one step, then learn; predict the last value until the model is ready."""
    found = np.concatenate([[0.0], y[:-1]])
    for n, value in enumerate(y.tolist()):
        if n > DAY:
            found[n] = model.forecast(horizon=1)[0]
        model.learn_one(value)
    return found


def on_changes(model: Any, y: np.ndarray, rows: int) -> np.ndarray:
    """Predict the previous value plus a change, from the last ``rows`` changes."""
    changes = np.diff(y, prepend=y[0])
    found = np.zeros(len(y))
    for n in range(1, len(y)):
        x = {f"{back} before": changes[max(n - back, 0)] for back in range(1, rows + 1)}
        found[n] = y[n - 1] + model.predict_one(x)
        model.learn_one(x, changes[n])
    return found


# --- shuttle: unusual rows -----------------------------------------------------------------------


def shuttle_net_labels(table: Table, seed: int) -> Scores:
    """Predict the probability that a row is unusual, then learn its label."""
    from carrousel import OnlineLSTM

    model = OnlineLSTM("binary", random_state=seed)
    shares = np.asarray(model.run(table.x, table.y, proba=True))
    return shares[:, 1] if shares.ndim == 2 else shares


def shuttle_net_alone(table: Table, seed: int) -> Scores:
    """Score each row by its squared prediction error in running deviations, without labels."""
    from carrousel import OnlineLSTM

    model = OnlineLSTM("regression", random_state=seed)
    predicted = np.asarray(model.run(table.x[:-1], table.x[1:]))
    return squares(table.x, np.concatenate([table.x[:1], predicted]))


def squares(x: np.ndarray, predicted: np.ndarray) -> Scores:
    """Mean square of ``(x - predicted) / deviation``, with the deviation of the previous rows."""
    n = np.arange(1, len(x))[:, None]
    mean = np.cumsum(x, axis=0)[:-1] / n
    variance = np.cumsum(x * x, axis=0)[:-1] / n - mean**2
    variance = np.concatenate([np.ones((1, x.shape[1])), variance])
    deviation = np.where(variance > 1e-9, np.sqrt(np.maximum(variance, 1e-9)), 1.0)
    return (((x - predicted) / deviation) ** 2).mean(axis=1)


def running_means(x: np.ndarray) -> np.ndarray:
    """Compute the mean of all previous rows; for the first row, the row itself."""
    n = np.arange(1, len(x))[:, None]
    return np.concatenate([x[:1], np.cumsum(x, axis=0)[:-1] / n])


def detectors(seed: int) -> Mapping[str, Any]:
    """Make river's detectors of unusual rows."""
    from river import anomaly, preprocessing

    return {
        "river: half-space trees": preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=seed),
        "river: LODA": preprocessing.MinMaxScaler() | anomaly.LODA(seed=seed),
        "river: one-class SVM": preprocessing.StandardScaler() | anomaly.OneClassSVM(),
    }


def classifiers(seed: int) -> Mapping[str, Any]:
    """Make river's classifiers, which learn from labels."""
    from river import forest, linear_model, naive_bayes, preprocessing, tree

    scaled = preprocessing.StandardScaler
    return {
        "river: logistic regression": scaled() | linear_model.LogisticRegression(),
        "river: naive Bayes": naive_bayes.GaussianNB(),
        "river: Hoeffding tree": tree.HoeffdingTreeClassifier(),
        "river: adaptive random forest": forest.ARFClassifier(seed=seed),
    }


def detect(model: Any, table: Table) -> Scores:
    """Score each row, then learn it without its label."""
    return _pass(table, model.score_one, lambda x, y: model.learn_one(x))


def classify(model: Any, table: Table) -> Scores:
    """Predict the probability of an unusual row, then learn its label."""
    return _pass(table, lambda x: model.predict_proba_one(x).get(1, 0.0), model.learn_one)


def _pass(table: Table, score: Callable[[Any], float], learn: Callable[[Any, int], Any]) -> Scores:
    found = np.zeros(len(table.x))
    for n, (row, label) in enumerate(zip(table.x.tolist(), table.y.tolist(), strict=True)):
        x = dict(zip(table.names, row, strict=True))
        found[n] = score(x)
        learn(x, int(label))
    return found


def described(table: Table) -> dict[str, Any]:
    """Describe a table, including the autocorrelation of its rows."""
    z = (table.x - table.x.mean(axis=0)) / np.maximum(table.x.std(axis=0), 1e-9)
    likeness = [float(np.mean(a[1:] * a[:-1])) for a in z.T]
    return {
        "rows_read": len(table.x),
        "fingerprint": fingerprint(table.x, table.y),
        "autocorrelation": max(map(abs, likeness)),
    }
