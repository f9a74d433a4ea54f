"""Inspection of a trial of a row: train it, or take its kept weights, and report on its net."""

from __future__ import annotations

from carrousel.experiments.inspection.lags import lag_of as lag_of
from carrousel.experiments.inspection.rows import TrainedRow as TrainedRow
from carrousel.experiments.inspection.rows import inspect_row as inspect_row
from carrousel.experiments.inspection.rows import train_row as train_row
from carrousel.experiments.inspection.training import TrainingProgress as TrainingProgress

__all__ = ["TrainedRow", "TrainingProgress", "inspect_row", "lag_of", "train_row"]
