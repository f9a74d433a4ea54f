"""Experiments: descriptions, the runner, the store of trials, statistics and reports.

``paper/`` holds the rows of the paper's tables, ``beyond/`` further experiments and ``recipes/``
the rows under other settings. ``run/`` runs trials, ``store/`` keeps them, ``judge/`` computes
statistics and verdicts. ``report/`` shows the contents of a store, ``study/`` one experiment under
several settings. ``stopping.py`` holds the stop rules, ``catalogue.py`` all experiments by name.
"""

from __future__ import annotations

from carrousel.experiments.catalogue import EXPERIMENTS as EXPERIMENTS
from carrousel.experiments.catalogue import TOUR as TOUR

__all__ = ["EXPERIMENTS", "TOUR"]
