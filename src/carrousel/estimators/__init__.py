"""scikit-learn estimators for sequences of unequal length, with an answer at every step.

The estimators themselves are names of :mod:`carrousel` too. The others read data for them, save a
report, or load a file of any estimator.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if absent := [name for name in ("torch", "sklearn") if find_spec(name) is None]:
    from carrousel.errors import MissingExtraError

    raise MissingExtraError(
        f"estimators need {' and '.join(absent)}, not installed",
        fix=f"pip install 'carrousel[{','.join(absent)}]'",
    )

if TYPE_CHECKING:
    from carrousel.estimators.anytime.stream import LiveSeries as LiveSeries
    from carrousel.estimators.catalogue import load_model as load_model
    from carrousel.estimators.classifier import LSTMClassifier as LSTMClassifier
    from carrousel.estimators.data.containers import read_series as read_series
    from carrousel.estimators.data.files import read_file as read_file
    from carrousel.estimators.data.larger import TableDataset as TableDataset
    from carrousel.estimators.data.series import Series as Series
    from carrousel.estimators.data.table import read_table as read_table
    from carrousel.estimators.forecaster import LSTMForecaster as LSTMForecaster
    from carrousel.estimators.regressor import LSTMRegressor as LSTMRegressor
    from carrousel.estimators.report.write import write_report as write_report
    from carrousel.estimators.tagger import LSTMTagger as LSTMTagger

_HOMES = {
    "LSTMClassifier": "classifier",
    "LSTMForecaster": "forecaster",
    "LSTMRegressor": "regressor",
    "LSTMTagger": "tagger",
    "LiveSeries": "anytime.stream",
    "Series": "data.series",
    "TableDataset": "data.larger",
    "load_model": "catalogue",
    "read_file": "data.files",
    "read_series": "data.containers",
    "read_table": "data.table",
    "write_report": "report.write",
}
__all__ = [
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMRegressor",
    "LSTMTagger",
    "LiveSeries",
    "Series",
    "TableDataset",
    "load_model",
    "read_file",
    "read_series",
    "read_table",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'carrousel.estimators' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"carrousel.estimators.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
