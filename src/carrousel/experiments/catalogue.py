"""All experiments by name, and the tour through their headline rows."""

from __future__ import annotations

from collections.abc import Mapping

from carrousel.contracts import Experiment
from carrousel.experiments.beyond.far import FAR_ROWS
from carrousel.experiments.beyond.gradients import GRADIENT_ROWS
from carrousel.experiments.beyond.vowels import VOWELS
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.paper.rivals import RIVAL_ROWS

EXPERIMENTS: Mapping[str, Experiment] = {
    **LSTM_ROWS,
    **RIVAL_ROWS,
    **GRADIENT_ROWS,
    **FAR_ROWS,
    VOWELS.name: VOWELS,
}
"""Every experiment by its name: the paper's LSTM rows in its order, its rivals, every gradient
on one task, lags beyond the paper, then real data."""

TOUR: tuple[tuple[str, int], ...] = (
    ("3a-1", 10),
    ("4-1", 10),
    ("6a", 20),
    ("2c-1", 10),
    ("vowels", 10),
)
"""Names and numbers of trials that show the system at work within two minutes on two cores."""
