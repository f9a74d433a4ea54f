"""Reports written to files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from carrousel.estimators.fitting.inputs import read_inputs
from carrousel.estimators.report.build import Setting, build
from carrousel.estimators.report.evaluate import evaluate
from carrousel.estimators.report.html import html
from carrousel.files import write_whole
from carrousel.words import count


def write_report(
    path: str | os.PathLike[str],
    model: Any,
    X: Any,
    y: Any = None,
    *,
    title: str = "Report",
    targets: Sequence[str] = (),
) -> None:
    """Evaluate a model on series, and write the result as an HTML page that loads nothing.

    The page shows measures, errors, answers over time, calibration, the hardest series, learning
    curves, the data and the model. It can be made for any of the estimators.

    Args:
        path: the file, which is replaced if it exists.
        model: a fitted estimator.
        X: series that it has not learned. A forecaster forecasts their last steps.
        y: as in ``model.score``; ignored by a forecaster.
        title: heading.
        targets: names of the values in ``y``.

    Raises:
        MissingExtraError: jinja2 or plotly is not installed.
        DataError: no label is a class of the model, or a series is too short to forecast.
        ShapeError: channels differ from those of training.
        UnwritableError: the file cannot be written.

    >>> write_report("report.html", model, X_test, y_test, title="Gait")  # doctest: +SKIP
    """
    series = read_inputs(model, X, reset=False)
    model.schema_.check(series)
    found = evaluate(model, series, y, targets)
    subject = (
        f"{type(model).__name__}, evaluated on {len(series):,} series, "
        f"{count(series.n_steps, 'step')}, {count(series.n_channels, 'channel')}."
    )
    setting = Setting(title, subject, footer=f"carrousel {version('carrousel')}.")
    write_whole(Path(path), html(build(found, found.series, model, setting)).encode())
