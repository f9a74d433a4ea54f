"""Forecasts of real series: ours next to simple methods and gradient boosting on lags.

``python -m benchmarks.estimators.forecasts`` prints one line per data set and method: mean pinball
loss and mean absolute error, both divided by the error of the (seasonal) naive forecast in the
training part (MASE), the share of values between the quantiles 0.1 and 0.9, and seconds of
processor time for fit and forecasts.

The last steps of each series are the test part, forecast from every step there without a new fit.
``--development`` cuts the test part off and does the same with what is left. All settings and
defaults were chosen that way. ``--save benchmarks/results/forecasts.json`` keeps the figures of
``docs/forecasts.md``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.common import machine
from sklearn.ensemble import HistGradientBoostingRegressor

from carrousel.estimators.forecaster import LSTMForecaster

LEVELS = (0.1, 0.5, 0.9)
Arrays = list[np.ndarray]


@dataclass(frozen=True)
class DataSet:
    """Series ``[T]`` with the length of a forecast, of a season, and of the test part.

    ``others`` are what methods learn instead of the first parts of ``series``.
    """

    name: str
    series: Arrays
    horizon: int
    season: int | None
    test: int
    others: Arrays | None = None

    @property
    def learned(self) -> Arrays:
        """The series that methods learn."""
        return [x[: -self.test] for x in self.series] if self.others is None else self.others


def data_sets() -> list[DataSet]:
    """Read the series that aeon contains."""
    found = importlib.util.find_spec("aeon")
    if found is None or found.origin is None:
        raise SystemExit("aeon is not installed; it contains the data")
    folder = Path(found.origin).parent / "datasets" / "data"

    def column(path: str) -> Arrays:
        return [np.genfromtxt(folder / path, delimiter=",", skip_header=1, usecols=1)]

    lines = (folder / "m1_yearly_dataset/m1_yearly_dataset.tsf").read_text("latin1").splitlines()
    yearly = [
        np.array(line.rsplit(":", 1)[1].split(","), float)
        for line in lines
        if line.startswith("T") and ":" in line
    ]
    days: dict[str, Arrays] = {}
    for part in ("TRAIN", "TEST"):
        text = (folder / f"ItalyPowerDemand/ItalyPowerDemand_{part}.ts").read_text()
        rows = text.lower().split("@data", 1)[1].split()
        days[part] = [np.array(row.split(":")[0].split(","), float) for row in rows]
    return [
        DataSet("Airline", column("Airline/Airline.csv"), 12, 12, 36),
        DataSet("ShampooSales", column("ShampooSales/ShampooSales.csv"), 6, None, 9),
        DataSet("PBS", column("PBS_dataset/PBS_dataset.csv"), 12, 12, 48),
        DataSet("Lynx", column("Lynx/Lynx.csv"), 10, None, 30),
        DataSet("solar", column("solar/solar.csv"), 48, 48, 96),
        DataSet("m1_yearly", yearly, 6, None, 6),
        DataSet("ItalyPower", days["TEST"], 6, None, 6, days["TRAIN"]),
    ]


class Naive:
    """The last season, or the last value, with the quantiles of its errors in the training part."""

    def fit(self, series: Arrays, horizon: int, season: int | None) -> None:
        self.horizon, self.season = horizon, season
        errors: list[list[float]] = [[] for _ in range(horizon)]
        for x in series:
            unit = np.abs(np.diff(x)).mean() or 1.0
            for t in range(max(2, season or 0), len(x) - 1):
                point = self.point(x[: t + 1])
                for h, truth in enumerate(x[t + 1 : t + 1 + horizon]):
                    errors[h].append((truth - point[h]) / unit)
        pooled = [each or errors[0] for each in errors]
        self.quantiles = np.array([np.quantile(each, LEVELS) for each in pooled])
        self.quantiles[:, 1] = 0.0

    def point(self, x: np.ndarray) -> np.ndarray:
        m = self.season or 1
        return x[len(x) - m + np.arange(self.horizon) % m]

    def predict(self, series: Arrays) -> np.ndarray:
        unit = [np.abs(np.diff(x)).mean() or 1.0 for x in series]
        return np.array(
            [self.point(x)[:, None] + u * self.quantiles for x, u in zip(series, unit, strict=True)]
        )


class Drift(Naive):
    """The straight line from the first value to the last."""

    def point(self, x: np.ndarray) -> np.ndarray:
        return x[-1] + (x[-1] - x[0]) / (len(x) - 1) * np.arange(1, self.horizon + 1)


class Boosting:
    """Gradient boosting on lags relative to the last value; the step ahead is an input."""

    def fit(self, series: Arrays, horizon: int, season: int | None) -> None:
        self.horizon, self.lags = horizon, max(8, 0 if season is None else season + 1)
        self.lags = min(self.lags, min(len(x) for x in series) - 2)
        rows, goals = [], []
        for x in series:
            for t in range(self.lags, len(x) - 1):
                inputs, unit = self.inputs(x[: t + 1])
                truth = x[t + 1 : t + 1 + horizon]
                rows.append(inputs[: len(truth)])
                goals.append((truth - x[t]) / unit)
        X, y = np.concatenate(rows), np.concatenate(goals)
        self.models = [
            HistGradientBoostingRegressor(loss="quantile", quantile=q, random_state=0).fit(X, y)
            for q in LEVELS
        ]

    def inputs(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        past = x[-self.lags - 1 :]
        unit = float(np.abs(np.diff(past)).mean()) or 1.0
        lags = np.tile((past[:-1] - past[-1]) / unit, (self.horizon, 1))
        return np.column_stack([lags, np.arange(self.horizon)]), unit

    def predict(self, series: Arrays) -> np.ndarray:
        inputs, units = zip(*(self.inputs(x) for x in series), strict=True)
        last = np.array([x[-1] for x in series])[:, None]
        found = [model.predict(np.concatenate(inputs)) for model in self.models]
        shape, unit = (len(series), self.horizon), np.array(units)[:, None]
        return np.sort(np.stack([last + unit * f.reshape(shape) for f in found], -1), -1)


class Ours:
    """``LSTMForecaster`` with the settings of the command line."""

    def __init__(self, **settings: object) -> None:
        self.settings = settings

    def fit(self, series: Arrays, horizon: int, season: int | None) -> None:
        self.model = LSTMForecaster(
            horizon=horizon, season=season, quantiles=LEVELS, random_state=0, **self.settings
        )
        self.model.fit(series)

    def predict(self, series: Arrays) -> np.ndarray:
        return self.model.predict_quantiles(series)


def measure(data: DataSet, method: Naive | Boosting | Ours) -> dict[str, object]:
    """Fit one method, forecast from every step of the test part, and compare."""
    began = time.process_time()
    method.fit(data.learned, data.horizon, data.season)
    fitted = time.process_time()
    pasts, truths, units = [], [], []
    m = data.season or 1
    for x in data.series:
        train = x[: -data.test]
        unit = np.abs(train[m:] - train[:-m]).mean() or 1.0
        for t in range(len(x) - data.test, len(x) - data.horizon + 1):
            pasts.append(x[:t])
            truths.append(x[t : t + data.horizon])
            units.append(unit)
    found, truth = method.predict(pasts), np.array(truths)
    error = (truth[..., None] - found) / np.array(units)[:, None, None]
    levels = np.array(LEVELS)
    return {
        "set": data.name,
        "series": len(data.learned),
        "steps": int(np.median([len(x) for x in data.learned])),
        "horizon": data.horizon,
        "season": data.season,
        "forecasts": len(truth),
        "method": type(method).__name__,
        "pinball": float(np.maximum(levels * error, (levels - 1) * error).mean()),
        "mase": float(np.abs(error[..., 1]).mean()),
        "coverage": float(((error[..., 0] >= 0) & (error[..., 2] <= 0)).mean()),
        "fit_s": fitted - began,
        "forecast_s": time.process_time() - fitted,
    }


def developed(data: DataSet) -> DataSet:
    """Return the training part alone, divided into a learned part and a test part."""
    series = data.learned
    if data.others is not None:
        third = len(series) // 3
        return DataSet(
            data.name, series[:third], data.horizon, data.season, data.test, series[third:]
        )
    series = [x for x in series if len(x) >= 2 * data.horizon]
    test = max(data.horizon, min(len(x) for x in series) // 4)
    return DataSet(data.name, series, data.horizon, data.season, test)


METHODS: dict[str, Callable[..., Naive | Boosting | Ours]] = {
    "naive": Naive,
    "drift": Drift,
    "boosting": Boosting,
    "ours": Ours,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of data sets")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--settings", type=json.loads, default={}, help="of ours, as JSON")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    rows = []
    print(f"{'data set':14}{'method':10}{'pinball':>9}{'MASE':>8}{'80 %':>7}{'fit s':>8}{'s':>7}")
    for data in data_sets():
        if args.only and data.name not in args.only:
            continue
        data = developed(data) if args.development else data
        for name in args.methods:
            method = METHODS[name](**args.settings) if name == "ours" else METHODS[name]()
            row = measure(data, method)
            rows.append(row)
            print(
                f"{data.name:14}{row['method']:10}{row['pinball']:9.3f}{row['mase']:8.3f}"
                f"{row['coverage']:7.2f}{row['fit_s']:8.1f}{row['forecast_s']:7.2f}",
                flush=True,
            )
            if args.save:  # after every row, so that an interrupted run loses one row at most
                found = {"rows": rows, "machine": machine.describe()}
                args.save.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
