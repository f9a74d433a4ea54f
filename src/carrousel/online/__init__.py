"""Learning on streams without end: the model, rows that come in, predictions that go out."""

from __future__ import annotations

from carrousel.online.model.model import OnlineLSTM as OnlineLSTM

__all__ = ["OnlineLSTM"]
