"""What the wearer of a wrist watch does: labels for nine people, none for the tenth, each in turn.

Within a series the label never changes. Where each row's label is shown at once, "the same as
before" is right nearly always; and a net whose state is carried through a series learns to know the
series by its state, not the activity by its movements. Labels that come once in two seconds, at
their end, with an empty state at their beginning, leave it the movements alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from benchmarks.streams.data import Watch, fingerprint

WINDOW = 100  # rows: two seconds
PEOPLE = range(1, 11)
SPARSE = 10  # river's models learn every tenth row: neighbours are alike
NETS: Mapping[str, dict[str, bool]] = {
    "values; a label every 2 s": {"windows": True},
    "values and means; a label every 2 s": {"windows": True, "rolling": True},
    "values; a label a row": {},
    "values; a label a row, series after series": {"together": False},
}
RIVER: Mapping[str, bool] = {"values": False, "values and means": True}


class Rows(NamedTuple):
    """Rows in the order in which they come: series, place in it, values ``[N, I]``, activity."""

    series: np.ndarray
    moment: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def window(self) -> np.ndarray:
        """The two seconds that each row is in, told apart from all others."""
        return self.series * 10_000 + self.moment // WINDOW

    @property
    def sparse_labels(self) -> np.ndarray:
        """The activity at the last row of each two seconds, NaN elsewhere."""
        return np.where(self.moment % WINDOW == WINDOW - 1, self.y, np.nan)


def rows(watch: Watch, chosen: np.ndarray, *, together: bool = True, rolling: bool = False) -> Rows:
    """Rows of some series: of all ``together``, one of each in turn, or series after series."""
    lengths = np.array([len(watch.series[s]) for s in chosen])
    series = np.repeat(chosen, lengths)
    moment = np.concatenate([np.arange(n) for n in lengths])
    values = [watch.series[s] for s in chosen]
    x = np.concatenate([with_rolling(one) for one in values] if rolling else values)
    order = np.argsort(moment, kind="stable") if together else np.arange(len(series))
    series, moment = series[order], moment[order]
    return Rows(series, moment, x[order], watch.activity[series])


def with_rolling(x: np.ndarray) -> np.ndarray:
    """Values, and mean and deviation of each over the last two seconds: what a window sees."""
    sums = np.cumsum(np.concatenate([np.zeros((1, x.shape[1])), x]), axis=0)
    squares = np.cumsum(np.concatenate([np.zeros((1, x.shape[1])), x * x]), axis=0)
    stop = np.arange(1, len(x) + 1)
    start = np.maximum(stop - WINDOW, 0)
    n = (stop - start)[:, None]
    mean = (sums[stop] - sums[start]) / n
    variance = (squares[stop] - squares[start]) / n - mean**2
    return np.concatenate([x, mean, np.sqrt(np.maximum(variance, 0.0))], axis=1)


def split(watch: Watch, person: int) -> tuple[np.ndarray, np.ndarray]:
    """Series to learn from, person after person, and those of the one left out."""
    order = np.argsort(watch.person, kind="stable")
    left_out = watch.person[order] == person
    return order[~left_out], order[left_out]


def scores(watch: Watch, data: Rows, shares: np.ndarray) -> dict[str, float]:
    """Share of rows, windows of two seconds, and series whose activity was told.

    Windows and series go by the mean logarithm of the probabilities of their rows.
    """
    logs = np.log(np.maximum(shares, 1e-9))
    told: dict[str, list[bool]] = {"windows": [], "series": []}
    for one in np.unique(data.series):
        mine, truth = logs[data.series == one], watch.activity[one]
        cuts = range(WINDOW, len(mine), WINDOW)
        parts = [part for part in np.split(mine, cuts) if len(part) == WINDOW]
        told["windows"] += [part.mean(axis=0).argmax() == truth for part in parts]
        told["series"].append(mine.mean(axis=0).argmax() == truth)
    right = {"rows": float((shares.argmax(axis=1) == data.y).mean())}
    return right | {name: float(np.mean(found)) for name, found in told.items()}


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
    """``carrousel.OnlineLSTM`` as it comes, one pass; what becomes a key begins with no state."""
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
    """Share of rows told where each label is learned right after its row: ours, and the rule."""
    data = rows(watch, np.argsort(watch.person, kind="stable"), together=False)
    said = np.asarray(_model(watch, seed).run(data.x, data.y, keys=data.series))
    return {"carrousel": float((said == data.y).mean()), "the label before": last_label(data.y)}


def last_label(y: np.ndarray) -> float:
    """Share of rows whose label is that of the row before."""
    return float(np.concatenate([[False], y[1:] == y[:-1]]).mean())


# --- river ---------------------------------------------------------------------------------------


def models(seed: int) -> Mapping[str, Callable[[], Any]]:
    """River's classifiers, with their own settings."""
    from river import forest, linear_model, naive_bayes, preprocessing, tree

    scaled = preprocessing.StandardScaler
    return {
        "river: softmax regression": lambda: scaled() | linear_model.SoftmaxRegression(),
        "river: naive Bayes": naive_bayes.GaussianNB,
        "river: Hoeffding tree": tree.HoeffdingTreeClassifier,
        "river: adaptive random forest": lambda: forest.ARFClassifier(seed=seed),
    }


def river(watch: Watch, person: int, make: Callable[[], Any], rolling: bool) -> dict[str, float]:
    """One of river's models on every tenth of these rows, each with its label."""
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
    """How much there is."""
    return {
        "series": len(watch.series),
        "rows": sum(map(len, watch.series)),
        "activities": len(watch.activities),
        "fingerprint": fingerprint(*watch.series, watch.activity, watch.person),
    }
