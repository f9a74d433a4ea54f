"""Learning from endless streams: the model, sources of rows, sinks of predictions, evaluation."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carrousel.online.clean.calendar import Calendar as Calendar
    from carrousel.online.evaluation.checkpoint import Checkpoint as Checkpoint
    from carrousel.online.evaluation.checkpoint import read_checkpoint as read_checkpoint
    from carrousel.online.evaluation.evaluate import evaluate as evaluate
    from carrousel.online.evaluation.status import Evaluation as Evaluation
    from carrousel.online.evaluation.status import Failure as Failure
    from carrousel.online.evaluation.status import StreamStatus as StreamStatus
    from carrousel.online.model.model import OnlineLSTM as OnlineLSTM
    from carrousel.online.sinks.open import open_sink as open_sink
    from carrousel.online.sources.open import open_rows as open_rows

_MODULES = {
    "Calendar": "clean.calendar",
    "Checkpoint": "evaluation.checkpoint",
    "Evaluation": "evaluation.status",
    "Failure": "evaluation.status",
    "OnlineLSTM": "model.model",
    "StreamStatus": "evaluation.status",
    "evaluate": "evaluation.evaluate",
    "open_rows": "sources.open",
    "open_sink": "sinks.open",
    "read_checkpoint": "evaluation.checkpoint",
}

__all__ = [
    "Calendar",
    "Checkpoint",
    "Evaluation",
    "Failure",
    "OnlineLSTM",
    "StreamStatus",
    "evaluate",
    "open_rows",
    "open_sink",
    "read_checkpoint",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
