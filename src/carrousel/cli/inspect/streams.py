"""Files of models of streams, inspected on rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrousel.cli.flags.option import listed
from carrousel.cli.inspect.config import InspectConfig
from carrousel.cli.inspect.inspected import Inspected
from carrousel.cli.inspect.series import data_of
from carrousel.cli.screen import say
from carrousel.errors import CheckpointError, DataError, SettingError
from carrousel.words import count

if TYPE_CHECKING:
    from carrousel.online import OnlineLSTM
    from carrousel.online.clean.rows import CleanRows
    from carrousel.online.evaluation.plan import EvaluationPlan

STEPS = 100
"""Rows of a window without --lag and --steps."""


def inspect_model(config: InspectConfig) -> Inspected:
    """Inspect the model in a checkpoint of a stream, or in a file of ``OnlineLSTM.save``."""
    config.refuse(
        "a model of streams", "recipe", "trial", "sequences", "id", "channels", "clip", "truncation"
    )
    from carrousel.online import OnlineLSTM
    from carrousel.online.inspection import inspect_stream

    path = data_of(config, "a model of streams")
    model = OnlineLSTM.load(config.what)
    settings = _settings(config)
    plan = _plan(config, settings, model)
    clean = _rows(config, path, settings, plan, model)
    x, y, keys, _ = plan.arguments(clean, model.task, slice(None))
    report = inspect_stream(
        model,
        x,
        None if model.task == "next" else y,
        key=keys,
        lag=config.lag,
        late=plan.late and model.task != "next",
        steps=config.steps,
        gradient=config.gradient,
    )
    subject = f"OnlineLSTM of {Path(config.what).name} on {count(len(clean), 'row')} of {path.name}"
    what = f"the next {plan.column}" if plan.late else ", ".join(plan.columns)
    error = "squared error" if model.task == "regression" else "cross-entropy"
    return Inspected(report, subject, f"{error} of {what} at the last row of a window")


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


def _rows(
    config: InspectConfig,
    path: Path,
    settings: Mapping[str, Any],
    plan: EvaluationPlan,
    model: OnlineLSTM,
) -> CleanRows:
    """Return the first rows of a file as the model takes them.

    Raises:
        DataError: no row can be used.
    """
    from carrousel.online import open_rows
    from carrousel.online.clean.cleaner import Cleaner

    fields = settings.get("fields")
    with open_rows(
        path, fields=listed(fields) if fields else None, delimiter=settings.get("delimiter")
    ) as rows:
        batch = next((each for each in rows if len(each)), None)
    if batch is None:
        raise DataError("there are no rows", source=path.name)
    schema, _ = plan.schema(batch)
    cleaner = Cleaner(schema, missing="error" if model.task == "next" else model.missing)
    clean = cleaner.clean(batch, "skip")
    if not len(clean):
        raise (
            clean.problems[0].error(path.name) if clean.problems else DataError("no row is usable")
        )
    if clean.counts["skipped"]:
        say(f"{count(clean.counts['skipped'], 'row')} that cannot be used are left out.")
    return clean
