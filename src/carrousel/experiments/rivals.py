"""Rival rows by name: every algorithm that the paper sets beside LSTM, and random guessing."""

from __future__ import annotations

from collections.abc import Mapping

from carrousel.contracts import Experiment
from carrousel.experiments.paper1997_guessing import GUESSING
from carrousel.experiments.paper1997_rivals import TABLE_1, TABLE_2

RIVAL_ROWS: Mapping[str, Experiment] = {row.name: row for row in (*TABLE_1, *TABLE_2, *GUESSING)}
"""The rows by name: ``GROUP/ALGORITHM``, where a group is the experiment of the LSTM rows."""
