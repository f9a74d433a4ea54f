"""Assembly of a report from evaluated predictions and the model that made them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from carrousel.estimators.catalogue import task_of
from carrousel.estimators.data.series import Series
from carrousel.estimators.report import ahead, classes, values
from carrousel.estimators.report.data import data_section
from carrousel.estimators.report.measures import LABELS, measures
from carrousel.estimators.report.model import (
    learning_section,
    microseconds_live,
    microseconds_whole,
    model_section,
)
from carrousel.estimators.report.parts import Report, Section, figure_of, share_of
from carrousel.estimators.report.predictions import ClassPredictions, Evaluated, ValuePredictions
from carrousel.words import count, number

SHARES_OF_ONE = ("accuracy", "balanced_accuracy", "macro_f1", "calibration_error", "coverage")
"""Measures that are shown in percent."""


@dataclass(frozen=True)
class Setting:
    """What a report says about where its predictions come from.

    Args:
        title: heading.
        subject: a sentence on the model and the evaluated data.
        notes: warnings, as sentences.
        seconds: of training; None: unknown.
        kilobytes: of the model's file; None: not saved.
        footer: provenance.
    """

    title: str
    subject: str
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    kilobytes: float | None = None
    footer: str = ""


def build(found: Evaluated | None, series: Series, model: Any, setting: Setting) -> Report:
    """Return the report on predictions of a model.

    Args:
        found: predictions next to the truth; None: there are no series that it has not learned.
        series: the series that are described.
        model: the fitted estimator.
        setting: where the predictions come from.
    """
    figures = {} if found is None else measures(found)
    ensemble = model.ensemble_
    speeds = {"whole series": microseconds_whole(model, series, time.process_time)}
    live = microseconds_live(ensemble, series, time.process_time) if _steps_alone(model) else None
    speeds |= {} if live is None else {"as it arrives": live}
    histories = [member.history for member in ensemble.members]
    sections: list[Section | None] = [
        *(() if found is None else _on_predictions(found)),
        learning_section(histories),
        _data(found, series),
        model_section(ensemble, setting.seconds, setting.kilobytes, speeds),
    ]
    notes = setting.notes
    if isinstance(found, ClassPredictions) and found.unknown:
        notes += (
            f"{count(found.unknown, 'label')} in these data belong to no class of the model. They "
            "count as errors of the accuracy, and nowhere else.",
        )
    return Report(
        setting.title,
        setting.subject,
        (
            *((shown(name, value), LABELS[name]) for name, value in figures.items()),
            (number(len(series)), "series"),
        ),
        tuple(section for section in sections if section is not None),
        notes,
        setting.footer,
    )


def shown(name: str, value: float | None) -> str:
    """Return a measure as text.

    >>> shown("accuracy", 0.98765), shown("rmse", 1.23456)
    ('98.8 %', '1.235')
    """
    return share_of(value) if name in SHARES_OF_ONE else figure_of(value)


def _steps_alone(model: Any) -> bool:
    """Whether a model may read series step by step; a forecaster prepares its inputs itself."""
    return task_of(model) != "forecast"


def _on_predictions(found: Evaluated) -> Sequence[Section | None]:
    if isinstance(found, ClassPredictions):
        return (
            classes.confusion_section(found),
            None if found.per_step else classes.anytime_section(found),
            classes.calibration_section(found),
            classes.hardest_section(found),
        )
    if isinstance(found, ValuePredictions):
        return (
            *values.residual_sections(found),
            None if found.per_step else values.anytime_section(found),
            values.hardest_section(found),
        )
    return (
        ahead.lead_section(found),
        ahead.coverage_section(found),
        ahead.examples_section(found),
    )


def _data(found: Evaluated | None, series: Series) -> Section:
    if isinstance(found, ClassPredictions):
        return data_section(series, classes.class_counts(found))
    return data_section(series)
