"""Recognition of a watch wearer's activity, learned from nine people and tested on the tenth.

Within a series the label never changes. If each row's label is shown immediately, "the same as
before" is nearly always right. A net that keeps its state through a series then learns to recognise
the series by its state instead of the activity by its movements. With one label every two seconds,
at the end of a window that starts with an empty state, only the movements remain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from benchmarks.streams.data import Watch, fingerprint

WINDOW = 100
"""Rows of two seconds."""
PEOPLE = range(1, 11)
SPARSE = 10
"""River's models learn every tenth row, since neighbouring rows are similar."""
NETS: Mapping[str, dict[str, bool]] = {
    "values; a label every 2 s": {"windows": True},
    "values and means; a label every 2 s": {"windows": True, "rolling": True},
    "values; a label a row": {},
    "values; a label a row, series after series": {"together": False},
}
RIVER: Mapping[str, bool] = {"values": False, "values and means": True}


class Rows(NamedTuple):
    """Rows in order of arrival: series, position in it, values ``[N, I]``, activity."""

    series: np.ndarray
    moment: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def window(self) -> np.ndarray:
        """A unique number of each row's window of two seconds."""
        return self.series * 10_000 + self.moment // WINDOW

    @property
    def sparse_labels(self) -> np.ndarray:
        """The activity at the last row of each window, NaN elsewhere."""
        return np.where(self.moment % WINDOW == WINDOW - 1, self.y, np.nan)


def rows(watch: Watch, chosen: np.ndarray, *, together: bool = True, rolling: bool = False) -> Rows:
    """Collect rows of some series, one of each in turn if ``together``, or series after series."""
    lengths = np.array([len(watch.series[s]) for s in chosen])
    series = np.repeat(chosen, lengths)
    moment = np.concatenate([np.arange(n) for n in lengths])
    values = [watch.series[s] for s in chosen]
    x = np.concatenate([with_rolling(one) for one in values] if rolling else values)
    order = np.argsort(moment, kind="stable") if together else np.arange(len(series))
    series, moment = series[order], moment[order]
    return Rows(series, moment, x[order], watch.activity[series])


def with_rolling(x: np.ndarray) -> np.ndarray:
    """Append the mean and the deviation of each value over the last two seconds."""
    sums = np.cumsum(np.concatenate([np.zeros((1, x.shape[1])), x]), axis=0)
    squares = np.cumsum(np.concatenate([np.zeros((1, x.shape[1])), x * x]), axis=0)
    stop = np.arange(1, len(x) + 1)
    start = np.maximum(stop - WINDOW, 0)
    n = (stop - start)[:, None]
    mean = (sums[stop] - sums[start]) / n
    variance = (squares[stop] - squares[start]) / n - mean**2
    return np.concatenate([x, mean, np.sqrt(np.maximum(variance, 0.0))], axis=1)


def split(watch: Watch, person: int) -> tuple[np.ndarray, np.ndarray]:
    """Split into series to learn from, person after person, and those of the person left out."""
    order = np.argsort(watch.person, kind="stable")
    left_out = watch.person[order] == person
    return order[~left_out], order[left_out]


def scores(watch: Watch, data: Rows, shares: np.ndarray) -> dict[str, float]:
    """Compute the shares of rows, windows and series that are classified correctly.

    Windows and series are classified by the mean log probability of their rows.
    """
    logs = np.log(np.maximum(shares, 1e-9))
    correct: dict[str, list[bool]] = {"windows": [], "series": []}
    for one in np.unique(data.series):
        mine, truth = logs[data.series == one], watch.activity[one]
        cuts = range(WINDOW, len(mine), WINDOW)
        parts = [part for part in np.split(mine, cuts) if len(part) == WINDOW]
        correct["windows"] += [part.mean(axis=0).argmax() == truth for part in parts]
        correct["series"].append(mine.mean(axis=0).argmax() == truth)
    right = {"rows": float((shares.argmax(axis=1) == data.y).mean())}
    return right | {name: float(np.mean(found)) for name, found in correct.items()}


# --- ours ----------------------------------------------------------------------------------------


def net(
    watch: Watch,
    person: int,
    seed: int,
    *,
    together: bool = True,
    rolling: bool = False,
    windows: bool = False,
) -> dict[str, float]:
    """Run ``carrousel.OnlineLSTM`` with defaults in one pass; each key starts without a state."""
    learned, left_out = split(watch, person)
    data, unseen = (
        rows(watch, part, together=together, rolling=rolling) for part in (learned, left_out)
    )
    model = _model(watch, seed)
    targets = data.sparse_labels if windows else data.y
    model.run(data.x, targets, keys=data.window if windows else data.series)
    shares = model.predict_proba(unseen.x, keys=unseen.window if windows else unseen.series)
    return scores(watch, unseen, np.asarray(shares))


def _model(watch: Watch, seed: int) -> Any:
    from carrousel import OnlineLSTM

    return OnlineLSTM(
        "multiclass",
        classes=range(len(watch.activities)),
        streams=len(watch.series),
        random_state=seed,
    )


def with_every_label(watch: Watch, seed: int) -> dict[str, float]:
    """Score our model and the rule "same as before", with each label right after its row."""
    data = rows(watch, np.argsort(watch.person, kind="stable"), together=False)
    predicted = np.asarray(_model(watch, seed).run(data.x, data.y, keys=data.series))
    right = float((predicted == data.y).mean())
    return {"carrousel": right, "the label before": last_label(data.y)}


def last_label(y: np.ndarray) -> float:
    """Compute the share of rows with the same label as the previous row."""
    return float(np.concatenate([[False], y[1:] == y[:-1]]).mean())


# --- river ---------------------------------------------------------------------------------------


def models(seed: int) -> Mapping[str, Callable[[], Any]]:
    """Make river's classifiers with their default settings."""
    from river import forest, linear_model, naive_bayes, preprocessing, tree

    scaled = preprocessing.StandardScaler
    return {
        "river: softmax regression": lambda: scaled() | linear_model.SoftmaxRegression(),
        "river: naive Bayes": naive_bayes.GaussianNB,
        "river: Hoeffding tree": tree.HoeffdingTreeClassifier,
        "river: adaptive random forest": lambda: forest.ARFClassifier(seed=seed),
    }


def river(watch: Watch, person: int, make: Callable[[], Any], rolling: bool) -> dict[str, float]:
    """Train one of river's models on every tenth row with its label, and score it."""
    learned, left_out = split(watch, person)
    data, unseen = (rows(watch, part, rolling=rolling) for part in (learned, left_out))
    model = make()
    for x, y in _dicts(Rows(*(part[data.moment % SPARSE == 0] for part in data))):
        model.learn_one(x, y)
    shares = np.zeros((len(unseen.y), len(watch.activities)))
    for n, (x, _) in enumerate(_dicts(unseen)):
        for name, share in model.predict_proba_one(x).items():
            shares[n, name] = share
    return scores(watch, unseen, shares)


def _dicts(data: Rows) -> Iterator[tuple[dict[int, float], int]]:
    for row, label in zip(data.x.tolist(), data.y.tolist(), strict=True):
        yield dict(enumerate(row)), label


def described(watch: Watch) -> dict[str, Any]:
    """Describe the size of the data."""
    return {
        "series": len(watch.series),
        "rows": sum(map(len, watch.series)),
        "activities": len(watch.activities),
        "fingerprint": fingerprint(*watch.series, watch.activity, watch.person),
    }
