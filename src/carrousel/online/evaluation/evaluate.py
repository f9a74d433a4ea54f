"""The function :func:`evaluate`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, cast

from carrousel.checks import check_int, check_number
from carrousel.files import held
from carrousel.online.clean.cleaner import OnError
from carrousel.online.evaluation.check import (
    check_model,
    check_path,
    check_same,
    check_types,
    creator,
)
from carrousel.online.evaluation.checkpoint import Checkpoint, CheckpointWriter
from carrousel.online.evaluation.iterables import IterableRows
from carrousel.online.evaluation.metrics import EVERY, MetricsWriter
from carrousel.online.evaluation.plan import (
    CHECKPOINT_EVERY,
    WINDOW,
    EvaluationPlan,
    TaskChoice,
    names,
    one_or_several,
)
from carrousel.online.evaluation.predictions import PredictionWriter
from carrousel.online.evaluation.session import Session
from carrousel.online.evaluation.status import Evaluation, StreamStatus
from carrousel.online.model.model import OnlineLSTM
from carrousel.online.sinks.file import Sink
from carrousel.online.sources.types import Column, RowSource


def evaluate(
    model: OnlineLSTM | Callable[[str], OnlineLSTM],
    rows: RowSource | Iterable[Mapping[str, Any]] | Mapping[str, Column],
    *,
    target: str | Sequence[str] | None = None,
    predict_next: str | Sequence[str] | None = None,
    task: TaskChoice = "auto",
    key: str | None = None,
    time: str | None = None,
    ignore: str | Sequence[str] = (),
    categories: str | Sequence[str] = (),
    on_error: OnError = "fail",
    sink: Sink | Callable[[], Sink] | None = None,
    anomaly: bool = False,
    window: int = WINDOW,
    calendar: bool = True,
    level: float | None = None,
    label_time: str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
    settings: Mapping[str, Any] | None = None,
    resume: Checkpoint | None = None,
    on_progress: Callable[[StreamStatus], None] | None = None,
    metrics: Sink | Callable[[], Sink] | None = None,
    metrics_every: int = EVERY,
    on_metrics: Callable[[StreamStatus], None] | None = None,
    stop: Callable[[], bool] = bool,
) -> Evaluation:
    """Predict, score and learn a stream row by row (prequential evaluation).

    Every row is predicted before it is learned, so all errors are errors on unseen rows. They are
    reported next to those of naive rules on the same rows: the last value and the running mean, or
    the last and the commonest class.

    Args:
        model: learns the rows; or a function that creates it for a task (``"regression"``, ...),
            called once the first rows have been read, and not called with ``resume``.
        rows: a source opened by :func:`carrousel.online.open_rows`, an iterable of dicts, or a
            mapping of column names to values.
        target: column to predict from the other columns of its row; a list of several columns of
            numbers.
        predict_next: column whose next value is predicted, from all columns; or several. Exactly
            one of the two is required.
        task: for a function as ``model``: the task, or ``"auto"`` for ``"regression"`` if the first
            value of the column is a number, else ``"multiclass"``, or ``"next"`` for
            ``predict_next`` of an only column.
        key: column that identifies the stream of a row; the model needs ``streams`` above 1.
        time: column of times, which must not decrease within a stream. It is not an input itself.
        ignore: columns to leave out.
        categories: columns of numbers to read as categories.
        on_error: ``"fail"`` ends before a bad row, ``"skip"`` leaves it out, ``"hold"`` replaces a
            bad value by the column's last good one of the same key.
        sink: where predictions are written: a sink of :func:`carrousel.online.open_sink`, or a
            function that opens one, called before the first row is learned. None: nowhere.
        anomaly: add columns to the predictions: ``"anomaly"``, the rank of the row's error among
            the last ones, from 0 to 1; ``"departed"``, the column that departs most from its
            forecast; ``"expected"``, the forecast; for numbers ``"deviations"``, the error over the
            usual size of the column's errors.
        window: number of last rows that recent errors and anomaly scores are computed from.
        calendar: with ``time``, add inputs: the cycles of day, week and year, and the time since
            the row before of the same key (:class:`carrousel.online.Calendar`). Not for task
            ``"next"``. Numbers have cycles only if they are seconds (or milli-, micro-,
            nanoseconds) since 1970.
        level: probability of prediction intervals, one of the model's ``levels``: adds their bounds
            to the predictions, as columns ``"lower"`` and ``"upper"``, and the share of targets
            within them to the status. With ``ahead`` of the model above 1, further columns are
            ``"next_2"`` (or ``"prediction_2"``), ... and their bounds.
        label_time: column of the time at which a row's target becomes known, in the unit of
            ``time``: it is learned before the first later row whose time has reached it. The model
            needs ``delay``, the most rows of a key that wait for their targets; a target that comes
            later is not learned, and counted (``status.lost``). Scores count it at its own row.
        checkpoint: file in which the model, the errors and the positions in source and sink are
            saved, at intervals and at the end. An existing file is replaced, unless it is that of
            the source or the sink.
        checkpoint_every: seconds between two checkpoints.
        settings: further values that JSON can hold, to keep in the checkpoint.
        resume: a checkpoint to continue from, by :func:`carrousel.online.read_checkpoint`; pass its
            ``model``, and open source and sink at its positions. Iterables are given from their
            start.
        on_progress: called at least every 1000 rows, with the status so far.
        metrics: a sink of JSON lines (or a function that opens one): a record each time that
            ``metrics_every`` rows have been learned, with the errors so far and of the last rows.
        metrics_every: number of rows between two records.
        on_metrics: called with the status at each record.
        stop: asked between parts of a batch; returning True ends the evaluation.

    Returns:
        The model, counts, errors, and the :class:`Failure` that ended the evaluation early, if any.

    Raises:
        SettingError, UnknownNameError: an argument is wrong.
        CarrouselError: source, sink or first rows cannot be used; nothing has been learned.

    Prequential error: Dawid 1984; Gama, Sebastião & Rodrigues 2013.

    >>> import numpy as np
    >>> from carrousel import OnlineLSTM
    >>> from carrousel.online import evaluate
    >>> wave = np.sin(np.arange(2000) / 5)
    >>> model = OnlineLSTM(cells=8, random_state=1)
    >>> found = evaluate(model, {"level": wave}, predict_next="level")
    >>> errors = found.status.recent_errors.errors
    >>> found.status.rows, bool(errors["model"]["mae"] < errors["last value"]["mae"] / 2)
    (2000, True)
    """
    columns = {"target": target, "predict_next": predict_next, "key": key, "time": time}
    columns["label_time"] = label_time
    sinks = {"sink": sink, "metrics": metrics}
    check_types(columns, sinks=sinks, settings=settings, resume=resume)
    check_int("metrics_every", metrics_every, minimum=1)
    create = creator(model)
    plan = EvaluationPlan(
        target=one_or_several(target),
        predict_next=one_or_several(predict_next),
        task=cast(TaskChoice, model.task) if isinstance(model, OnlineLSTM) else task,
        key=key,
        time=time,
        ignore=names(ignore, "ignore"),
        categories=names(categories, "categories"),
        on_error=on_error,
        anomaly=anomaly,
        window=window,
        calendar=calendar,
        level=level,
        label_time=label_time,
    )
    check_model(model, task, key, resume, label_time)
    path = check_path(checkpoint, rows)
    every = check_number("checkpoint_every", checkpoint_every, above=0.0)
    recorded = {**plan.recorded(), **(settings or {})}
    if resume is not None:
        check_same(plan, resume)
    start = None if resume is None else resume.position
    source = rows if isinstance(rows, RowSource) else IterableRows(rows, start)
    writer = PredictionWriter(sink, path)
    records = MetricsWriter(metrics, metrics_every, on_metrics, path)
    session = Session(
        plan,
        create,
        source,
        (writer, records),
        CheckpointWriter(path, every, recorded),
        on_progress,
        stop,
    )
    if resume is not None:
        session.resume(resume)
    try:
        with nullcontext() if path is None else held(path):
            failure = session.finish(session.run())
    finally:
        writer.close()
        records.close()
    return Evaluation(session.model, session.status(), failure, failure is None and session.stopped)
