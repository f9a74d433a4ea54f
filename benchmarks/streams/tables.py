"""Rows of numbers: what the next flow is, and which row of a shuttle is unusual.

Ours takes its own defaults. So do river's on the shuttle; on the water they were tuned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from benchmarks.streams.data import Table, fingerprint

DAY = 24
RANDOM = ("river: half-space trees", "river: LODA", "river: adaptive random forest")
"""Models of river that draw random numbers: only they get more than one seed."""
Scores = np.ndarray


def area(labels: np.ndarray, scores: Scores) -> float:
    """ROC AUC: the chance that an unusual row scores above a usual one, ties counted half.

    >>> area(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    from scipy.stats import rankdata

    unusual = labels == 1
    n = int(unusual.sum())
    ranks = rankdata(scores)[unusual].sum()
    return float((ranks - n * (n + 1) / 2) / (n * (len(labels) - n)))


def judged(labels: np.ndarray, scores: Scores) -> dict[str, float]:
    """ROC AUC over all rows and over the second half, and average precision."""
    from sklearn.metrics import average_precision_score

    half = len(labels) // 2
    return {
        "auc": area(labels, scores),
        "auc_later": area(labels[half:], scores[half:]),
        "precision": float(average_precision_score(labels, scores)),
    }


def errors(y: np.ndarray, said: np.ndarray) -> dict[str, float]:
    """Mean absolute error from the second row on, of the later half, and beside the last value.

    ``worse`` is the mean of how much larger the error is than that of the last value, ``margin``
    half the width of its 95 % interval, from means of 24 rows each.
    """
    from scipy.stats import t

    off = np.abs(said - y)[1:]
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
    """Flows as predicted from the flow one row before and the hour, in one pass.

    With ``differences``, changes are predicted and the change before is one more input, as the
    ``d=1`` of ARIMA models does.
    """
    from carrousel import OnlineLSTM

    model = OnlineLSTM("regression", random_state=seed)
    y, hour = table.y, table.x[:, 0]
    last = y[:-1]
    if not differences:
        said = np.asarray(model.run(np.column_stack([last, hour[1:]]), y[1:])).ravel()
        return np.concatenate([[0.0], said])
    changes = np.diff(y, prepend=y[0])
    x = np.column_stack([changes[:-1], last, hour[1:]])
    return np.concatenate([[0.0], last + np.asarray(model.run(x, changes[1:])).ravel()])


def water_baselines(table: Table) -> dict[str, np.ndarray]:
    """Predictions of simple rules and of river's models.

    With its defaults, or the settings of its documentation, nearly every model of river does worse
    than the last value here, and linear ones on many values diverge. Shown are the best of each
    kind among some two dozen settings tried on these very data: an advantage that ours has not.
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
    """One step ahead, then learn; until a model of river can tell, the value before."""
    found = np.concatenate([[0.0], y[:-1]])
    for n, value in enumerate(y.tolist()):
        if n > DAY:
            found[n] = model.forecast(horizon=1)[0]
        model.learn_one(value)
    return found


def on_changes(model: Any, y: np.ndarray, rows: int) -> np.ndarray:
    """The value before plus a change that is predicted from the last ``rows`` changes."""
    changes = np.diff(y, prepend=y[0])
    found = np.zeros(len(y))
    for n in range(1, len(y)):
        x = {f"{back} before": changes[max(n - back, 0)] for back in range(1, rows + 1)}
        found[n] = y[n - 1] + model.predict_one(x)
        model.learn_one(x, changes[n])
    return found


# --- shuttle: unusual rows -----------------------------------------------------------------------


def shuttle_net_labels(table: Table, seed: int) -> Scores:
    """Probability that a row is unusual; its label is learned after each."""
    from carrousel import OnlineLSTM

    model = OnlineLSTM("binary", random_state=seed)
    shares = np.asarray(model.run(table.x, table.y, proba=True))
    return shares[:, 1] if shares.ndim == 2 else shares


def shuttle_net_alone(table: Table, seed: int) -> Scores:
    """Squared error of each row as predicted from those before, in running deviations; no label."""
    from carrousel import OnlineLSTM

    model = OnlineLSTM("regression", random_state=seed)
    said = np.asarray(model.run(table.x[:-1], table.x[1:]))
    return squares(table.x, np.concatenate([table.x[:1], said]))


def squares(x: np.ndarray, said: np.ndarray) -> Scores:
    """Mean of squares of ``(x - said) / deviation``, the deviation that of the rows before."""
    n = np.arange(1, len(x))[:, None]
    mean = np.cumsum(x, axis=0)[:-1] / n
    variance = np.cumsum(x * x, axis=0)[:-1] / n - mean**2
    variance = np.concatenate([np.ones((1, x.shape[1])), variance])
    deviation = np.where(variance > 1e-9, np.sqrt(np.maximum(variance, 1e-9)), 1.0)
    return (((x - said) / deviation) ** 2).mean(axis=1)


def running_means(x: np.ndarray) -> np.ndarray:
    """The mean of all rows before; the first row for itself."""
    n = np.arange(1, len(x))[:, None]
    return np.concatenate([x[:1], np.cumsum(x, axis=0)[:-1] / n])


def detectors(seed: int) -> Mapping[str, Any]:
    """River's detectors of unusual rows."""
    from river import anomaly, preprocessing

    return {
        "river: half-space trees": preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=seed),
        "river: LODA": preprocessing.MinMaxScaler() | anomaly.LODA(seed=seed),
        "river: one-class SVM": preprocessing.StandardScaler() | anomaly.OneClassSVM(),
    }


def classifiers(seed: int) -> Mapping[str, Any]:
    """River's classifiers that learn from labels."""
    from river import forest, linear_model, naive_bayes, preprocessing, tree

    scaled = preprocessing.StandardScaler
    return {
        "river: logistic regression": scaled() | linear_model.LogisticRegression(),
        "river: naive Bayes": naive_bayes.GaussianNB(),
        "river: Hoeffding tree": tree.HoeffdingTreeClassifier(),
        "river: adaptive random forest": forest.ARFClassifier(seed=seed),
    }


def detect(model: Any, table: Table) -> Scores:
    """Score each row, then learn it; labels are not shown."""
    return _pass(table, model.score_one, lambda x, y: model.learn_one(x))


def classify(model: Any, table: Table) -> Scores:
    """The probability of an unusual row, then learn the label."""
    return _pass(table, lambda x: model.predict_proba_one(x).get(1, 0.0), model.learn_one)


def _pass(table: Table, score: Callable[[Any], float], learn: Callable[[Any, int], Any]) -> Scores:
    found = np.zeros(len(table.x))
    for n, (row, label) in enumerate(zip(table.x.tolist(), table.y.tolist(), strict=True)):
        x = dict(zip(table.names, row, strict=True))
        found[n] = score(x)
        learn(x, int(label))
    return found


def described(table: Table) -> dict[str, Any]:
    """What kind of table it is: also how much a row says of the next."""
    z = (table.x - table.x.mean(axis=0)) / np.maximum(table.x.std(axis=0), 1e-9)
    likeness = [float(np.mean(a[1:] * a[:-1])) for a in z.T]
    return {
        "rows_read": len(table.x),
        "fingerprint": fingerprint(table.x, table.y),
        "autocorrelation": max(map(abs, likeness)),
    }
