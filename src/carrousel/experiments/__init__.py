"""Experiments: the rows of the paper, what runs them, where their trials are kept."""

from __future__ import annotations

from carrousel.experiments.catalogue import EXPERIMENTS as EXPERIMENTS
from carrousel.experiments.catalogue import TOUR as TOUR

__all__ = ["EXPERIMENTS", "TOUR"]
