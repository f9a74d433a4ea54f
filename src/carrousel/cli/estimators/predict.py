"""`carrousel predict`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carrousel.cli.estimators.config import PredictConfig
from carrousel.cli.estimators.reading import (
    columns_for,
    read_data,
    read_model,
    warnings_as_messages,
)
from carrousel.cli.flags.option import with_options
from carrousel.cli.screen import put_json, say
from carrousel.errors import SettingError
from carrousel.files import replaced
from carrousel.words import count

if TYPE_CHECKING:
    from carrousel.estimators.data.series import Series

Rows = dict[str, Any]
"""Column -> values, one for each row of the output."""
CONFIDENCE = 0.9
"""Probability at which early answers stop if the model has no stop rule."""


@with_options(PredictConfig)
def predict(config: PredictConfig) -> None:
    """Predict the series in a file with a saved model.

    One row for each series, for each step with --at every, or for each step ahead of a forecast. A
    forecast with known columns (fit --known) needs their future: rows after the last target.
    """
    config.check()
    model, stored = read_model(config.model)
    with warnings_as_messages():
        from carrousel.estimators.catalogue import task_of

        task = task_of(model)
        columns = columns_for(model, stored, id=config.id, time=config.time)
        targets = columns.target
        if task != "forecast":
            columns = columns_for(model, stored, id=config.id, time=config.time, target=None)
            columns = type(columns)(columns.id, columns.time, None, (), columns.channels)
        series = read_data(config.data, columns, forecast=task == "forecast").series
        rows = _rows(model, task, series, config, targets)
    _write(rows, config)


def _rows(
    model: Any, task: str, series: Series, config: PredictConfig, targets: Sequence[str]
) -> Rows:
    if config.at == "early":
        if task != "class":
            raise SettingError(f"--at early is for classes of series, not for a model of {task}")
        return _early(model, series, config.confidence)
    if task == "forecast":
        if config.at == "every":
            raise SettingError("--at every is not for forecasts")
        return _forecasts(model, series)
    every = config.at == "every" or task == "tags"
    where = _steps(series) if every else {"series": _ids(series)}
    if hasattr(model, "classes_"):
        return where | _classes(model, _answers(model.predict_proba, task, series, every))
    values = _answers(model.predict, task, series, every)
    names = targets or [f"target {k}" for k in range(values.shape[1])]
    return where | {_free(name, where): values[:, k] for k, name in enumerate(names)}


def _answers(predict: Any, task: str, series: Series, every: bool) -> np.ndarray:
    """Return predictions as rows ``[N, O]`` or ``[steps, O]``."""
    found = (
        predict(series) if task == "tags" else predict(series, at="every step" if every else "end")
    )
    rows = np.concatenate([np.asarray(each) for each in found]) if every else np.asarray(found)
    return rows.reshape(len(rows), -1)


def _classes(model: Any, p: np.ndarray) -> Rows:
    """Return the most probable class, its probability, and that of each class."""
    best = p.argmax(axis=1)
    names = model.classes_.tolist()
    return {
        "prediction": [names[k] for k in best],
        "probability": p.max(axis=1),
        **{f"p({name})": p[:, k] for k, name in enumerate(names)},
    }


def _early(model: Any, series: Series, confidence: float | None) -> Rows:
    """Return the answer of each series at the step where it stops."""
    from carrousel.estimators.anytime.early import StopRule

    rule = StopRule(confidence or CONFIDENCE)
    if confidence is None:
        rule = getattr(model, "stop_rule_", rule)
    every = model.predict_proba(series, at="every step")
    steps = rule.all_steps(every)
    p = np.stack([each[n - 1] for each, n in zip(every, steps, strict=True)])
    where = {"series": _ids(series), "steps": steps, "of": series.lengths}
    return where | _classes(model, p)


def _forecasts(model: Any, series: Series) -> Rows:
    """Return the quantiles of each step ahead."""
    from carrousel.estimators.forecast.reading import split_future

    future = None
    if model.layout_.known:
        series, future = split_future(series, model.layout_)
    found = np.asarray(model.predict_quantiles(series, future))
    N, horizon, Q = found.shape[:3]
    found = found.reshape(N * horizon, Q, -1)
    names = [series.channels[k] for k in model.layout_.targets]
    ids = _ids(series)
    rows: Rows = {
        "series": [ids[n] for n in range(N) for _ in range(horizon)],
        "ahead": np.tile(np.arange(1, horizon + 1), N),
    }
    for j, name in enumerate(names):
        for q, level in enumerate(model.quantiles):
            rows[f"{name} q{level:g}"] = found[:, q, j]
    return rows


def _steps(series: Series) -> Rows:
    ids = _ids(series)
    lengths = series.lengths
    rows: Rows = {"series": [ids[n] for n, T in enumerate(lengths) for _ in range(T)]}
    rows["step"] = np.concatenate([np.arange(1, T + 1) for T in lengths])
    return rows if series.times is None else rows | {"time": series.times}


def _ids(series: Series) -> list[Any]:
    return list(range(len(series))) if series.ids is None else list(series.ids)


def _free(name: str, taken: Rows) -> str:
    """Return a name that no other column has.

    >>> _free("step", {"step": []}), _free("load", {"step": []})
    ('predicted step', 'load')
    """
    return f"predicted {name}" if name in taken else name


def _write(rows: Rows, config: PredictConfig) -> None:
    n = len(next(iter(rows.values())))
    listed = {name: _plain(values, _is_probability(name)) for name, values in rows.items()}
    if config.as_json:
        names = list(listed)
        put_json([dict(zip(names, row, strict=True)) for row in zip(*listed.values(), strict=True)])
        return
    from carrousel.online import open_sink

    with _destination(config.out) as destination, open_sink(destination) as sink:
        sink.write(listed)
    if config.out is not None:
        say(f"{count(n, 'row')} written: {config.out}")


def _destination(out: Path | None) -> AbstractContextManager[Path | None]:
    """Return the place to write to: for a file, a temporary one that replaces it at the end."""
    if out is None or str(out) == "-" or (out.exists() and not out.is_file()):
        return nullcontext(out)
    return replaced(out)


def _is_probability(name: str) -> bool:
    return name == "probability" or name.startswith("p(")


def _plain(values: Any, rounded: bool = False) -> list[Any]:
    """Return values as what JSON and CSV hold, if ``rounded`` with six digits.

    Names, times and values in the user's units keep all digits.

    >>> _plain([1733072415.25, 1 / 3]), _plain([1 / 3], rounded=True)
    ([1733072415.25, 0.3333333333333333], [0.333333])
    """
    found = []
    for value in values:
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, float):
            value = (float(f"{value:.6g}") if rounded else value) if np.isfinite(value) else None
        elif not (value is None or isinstance(value, bool | int | str)):
            value = str(value)
        found.append(value)
    return found
