"""All experiments by name, and the default selection of ``carrousel reproduce``."""

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
"""Every experiment by its name.

The order is: the paper's LSTM rows, its rivals, all gradients on one task, longer lags, real data.
"""

TOUR: tuple[tuple[str, int], ...] = (
    ("3a-1", 10),
    ("4-1", 10),
    ("6a", 20),
    ("2c-1", 10),
    ("vowels", 10),
)
"""Names and numbers of trials; they take less than two minutes on two cores."""
