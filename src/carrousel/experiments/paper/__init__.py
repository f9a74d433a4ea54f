"""The rows of the paper's tables: LSTM, its rivals, and random weight guessing."""

from __future__ import annotations
