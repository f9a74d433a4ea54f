"""Files of models of streams, inspected on rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carrousel.checks import check_choice
from carrousel.cli.flags.option import listed
from carrousel.cli.inspect.config import InspectConfig
from carrousel.cli.inspect.inspected import Inspected
from carrousel.cli.inspect.series import data_of
from carrousel.cli.screen import say
from carrousel.errors import CheckpointError, DataError, SettingError
from carrousel.words import count

if TYPE_CHECKING:
    from carrousel.online import OnlineLSTM
    from carrousel.online.clean.rows import RowProblem
    from carrousel.online.evaluation.plan import EvaluationPlan

MOST_ROWS = 10_000
"""Rows of a file that are read at most, roughly."""


def inspect_model(config: InspectConfig) -> Inspected:
    """Inspect the model in a checkpoint of a stream, or in a file of ``OnlineLSTM.save``."""
    config.refuse(
        "a model of streams", "recipe", "trial", "sequences", "id", "channels", "clip", "truncation"
    )
    from carrousel.online import OnlineLSTM
    from carrousel.online.inspection import STEPS, WINDOWS, inspect_stream

    path = data_of(config, "a model of streams")
    model = OnlineLSTM.load(config.what)
    settings = _settings(config)
    plan = _plan(config, settings, model)
    x, y, keys = _rows(path, settings, plan, model)
    key, chosen = _stream_of(config, keys, len(y), model)
    steps = config.steps or (STEPS if config.lag is None else 2 * config.lag + 2)
    chosen = chosen[: WINDOWS * steps]
    x = {n: _taken(v, chosen) for n, v in x.items()} if isinstance(x, dict) else _taken(x, chosen)
    report = inspect_stream(
        model,
        x,
        None if model.task == "next" else _taken(y, chosen),
        key=key,
        lag=config.lag,
        late=plan.late and model.task != "next",
        steps=config.steps,
        gradient=config.gradient,
    )
    of = "" if key is None else f", stream {key}"
    rows = f"{count(len(chosen), 'row')} of {path.name}{of}"
    subject = f"The OnlineLSTM of {Path(config.what).name} on {rows}"
    what = f"the next {plan.column}" if plan.late else ", ".join(plan.columns)
    return Inspected(report, subject, f"{_error(model)} {what} at the last row of a window")


def _error(model: OnlineLSTM) -> str:
    """Return what the loss of a row is."""
    if model.task != "regression":
        return "cross-entropy of"
    if model.experts is None or not model.standardise:
        return "squared error of"
    return "squared error of what the net adds to the forecasts of the expert rules, for"


def _settings(config: InspectConfig) -> Mapping[str, Any]:
    """Return the options with which a checkpoint was written; none for a model alone."""
    from carrousel.online import read_checkpoint

    try:
        return read_checkpoint(config.what).settings
    except CheckpointError as error:
        if error.reason == "foreign":
            return {}
        raise


def _plan(config: InspectConfig, settings: Mapping[str, Any], model: OnlineLSTM) -> EvaluationPlan:
    """Return the roles of the columns: those of the checkpoint, and those given instead."""
    from carrousel.online.evaluation.plan import EvaluationPlan, names, one_or_several

    known = dict(settings)
    if config.target or config.predict_next:
        known |= {"target": listed(config.target), "predict_next": listed(config.predict_next)}
    known |= {n: v for n in ("key", "time") if (v := getattr(config, n)) is not None}
    target, later = (one_or_several(known.get(n)) for n in ("target", "predict_next"))
    if target is None and later is None:
        raise SettingError(
            f"{Path(config.what).name} holds a model without the names of columns",
            fix="give --target COLUMN or --predict-next COLUMN",
        )
    if model.streams > 1 and known.get("key") is None:
        raise SettingError("the model has a stream for each key", fix="give --key COLUMN")
    return EvaluationPlan(
        target=target,
        predict_next=later,
        task=model.task,  # type: ignore[arg-type]
        key=known.get("key"),
        time=known.get("time"),
        ignore=names(known.get("ignore")),
        categories=names(known.get("categories")),
        calendar=known.get("calendar", True),
    )


def _stream_of(
    config: InspectConfig, keys: Sequence[str | None] | None, n: int, model: OnlineLSTM
) -> tuple[str | None, np.ndarray]:
    """Return the key that is inspected, and its rows: by default that with most rows.

    Raises:
        UnknownNameError: there is no such stream.
        DataError: the model knows no key of the rows.
    """
    if keys is None:
        if config.stream is not None:
            raise SettingError("--stream needs the rows to have a key", fix="give --key COLUMN")
        return None, np.arange(n)
    known = Counter(key for key in keys if key in set(model.keys))
    if not known:
        raise DataError(f"the model has a state for none of the {count(len(set(keys)), 'key')}")
    chosen = known.most_common(1)[0][0]
    if config.stream is not None:
        chosen = check_choice("stream", config.stream, [str(key) for key in known])
    return chosen, np.array([row for row, key in enumerate(keys) if key == chosen])


def _taken(values: Any, rows: np.ndarray) -> Any:
    """Return some rows of an array or list."""
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


def _rows(
    path: Path, settings: Mapping[str, Any], plan: EvaluationPlan, model: OnlineLSTM
) -> tuple[Any, Any, list[str | None] | None]:
    """Return inputs, targets and keys of the first rows of a file, as the model takes them.

    Raises:
        DataError: no row can be used.
    """
    from carrousel.online import open_rows
    from carrousel.online.clean.cleaner import Cleaner

    fields, missing = settings.get("fields"), "error" if model.task == "next" else model.missing
    parts: list[Any] = []
    problems: list[RowProblem] = []
    cleaner, skipped = None, 0
    with open_rows(
        path, fields=listed(fields) if fields else None, delimiter=settings.get("delimiter")
    ) as rows:
        for batch in rows:
            cleaner = cleaner or Cleaner(plan.schema(batch)[0], missing=missing)
            clean = cleaner.clean(batch, "skip")
            problems += clean.problems[:1]
            skipped += clean.counts["skipped"]
            if len(clean):
                parts.append(plan.arguments(clean, model.task, slice(None))[:3])
            if sum(len(y) for _, y, _ in parts) >= MOST_ROWS:
                break
    if not parts:
        none = DataError("there are no rows", source=path.name)
        raise problems[0].error(path.name) if problems else none
    if skipped:
        are = "is" if skipped == 1 else "are"
        say(f"{count(skipped, 'row')} that cannot be used {are} left out.")
    x, y, keys = map(_joined, zip(*parts, strict=True))
    return x, y, keys


def _joined(parts: Sequence[Any]) -> Any:
    """Join the rows of batches: arrays, lists, or mappings of them."""
    first = parts[0]
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in parts]) for name in first}
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    return None if first is None else [value for part in parts for value in part]
