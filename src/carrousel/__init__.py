"""Long short-term memory: the system of 1997, its rivals and experiments, and its uses today.

=========================  ====================================================================
:class:`LSTMClassifier`    classifies sequences with gaps, at their end or at every step; also
                           :class:`LSTMRegressor`, :class:`LSTMTagger` (scikit-learn estimators)
:class:`LSTMForecaster`    forecasts the next steps of many series, with quantiles
:mod:`carrousel.estimators`  readers of tables and files, live series and reports for them
:class:`OnlineLSTM`        learns an endless stream, one row at a time, in constant memory
:mod:`carrousel.nn`        torch modules: LSTM, GRU and RNN with variants (extra ``torch``)
:mod:`carrousel.online`    sources of rows, evaluation and checkpoints for streams
:class:`Sequences`         ragged batches of sequences: the container of data
:class:`Network`           a network: :class:`Cell` or :class:`Simple` units, wiring, biases
:class:`Training`          settings of a learner, such as its learning rate
:class:`Gradient`          a gradient algorithm: truncated, BPTT, RTRL, SnAp, UORO
:mod:`carrousel.learners`  how weights change: gradient descent and the paper's rivals
:mod:`carrousel.tasks`     what is to be learned: the tasks of the paper and others
:mod:`carrousel.experiments`  every row of the paper's tables, and what runs them
:mod:`carrousel.inspection`   how much of the error arrives how many steps earlier
=========================  ====================================================================

Exceptions derive from :class:`CarrouselError`. All names are imported when they are first used, so
``import carrousel`` costs little and needs no optional package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carrousel import estimators as estimators
    from carrousel import experiments as experiments
    from carrousel import inspection as inspection
    from carrousel import learners as learners
    from carrousel import nn as nn
    from carrousel import online as online
    from carrousel import tasks as tasks
    from carrousel.contracts import Cell as Cell
    from carrousel.contracts import Gradient as Gradient
    from carrousel.contracts import Network as Network
    from carrousel.contracts import Simple as Simple
    from carrousel.contracts import Training as Training
    from carrousel.errors import CarrouselError as CarrouselError
    from carrousel.errors import CheckpointError as CheckpointError
    from carrousel.errors import ClusterError as ClusterError
    from carrousel.errors import ClusterFailedError as ClusterFailedError
    from carrousel.errors import DataError as DataError
    from carrousel.errors import DataTypeError as DataTypeError
    from carrousel.errors import DivergedError as DivergedError
    from carrousel.errors import InputError as InputError
    from carrousel.errors import MissingExtraError as MissingExtraError
    from carrousel.errors import OptionNameError as OptionNameError
    from carrousel.errors import OptionTypeError as OptionTypeError
    from carrousel.errors import RowError as RowError
    from carrousel.errors import SettingError as SettingError
    from carrousel.errors import ShapeError as ShapeError
    from carrousel.errors import StoreError as StoreError
    from carrousel.errors import UnknownNameError as UnknownNameError
    from carrousel.errors import UnwritableError as UnwritableError
    from carrousel.estimators.classifier import LSTMClassifier as LSTMClassifier
    from carrousel.estimators.forecaster import LSTMForecaster as LSTMForecaster
    from carrousel.estimators.regressor import LSTMRegressor as LSTMRegressor
    from carrousel.estimators.tagger import LSTMTagger as LSTMTagger
    from carrousel.online import OnlineLSTM as OnlineLSTM
    from carrousel.sequences import Sequences as Sequences

    __version__: str

__all__ = [
    "CarrouselError",
    "Cell",
    "CheckpointError",
    "ClusterError",
    "ClusterFailedError",
    "DataError",
    "DataTypeError",
    "DivergedError",
    "Gradient",
    "InputError",
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMRegressor",
    "LSTMTagger",
    "MissingExtraError",
    "Network",
    "OnlineLSTM",
    "OptionNameError",
    "OptionTypeError",
    "RowError",
    "Sequences",
    "SettingError",
    "ShapeError",
    "Simple",
    "StoreError",
    "Training",
    "UnknownNameError",
    "UnwritableError",
    "__version__",
    "estimators",
    "experiments",
    "inspection",
    "learners",
    "nn",
    "online",
    "tasks",
]

_HOMES = {
    "LSTMClassifier": "carrousel.estimators.classifier",
    "LSTMForecaster": "carrousel.estimators.forecaster",
    "LSTMRegressor": "carrousel.estimators.regressor",
    "LSTMTagger": "carrousel.estimators.tagger",
    "Sequences": "carrousel.sequences",
    "OnlineLSTM": "carrousel.online.model.model",
    **dict.fromkeys(("Cell", "Gradient", "Network", "Simple", "Training"), "carrousel.contracts"),
}
_PACKAGES = ("estimators", "experiments", "inspection", "learners", "nn", "online", "tasks")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'carrousel' has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("carrousel")
    else:
        home = f"carrousel.{name}" if name in _PACKAGES else _HOMES.get(name, "carrousel.errors")
        try:
            module = importlib.import_module(home)
        except ImportError as error:  # hasattr() and help() expect an AttributeError
            raise AttributeError(str(error)) from error
        value = module if name in _PACKAGES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
