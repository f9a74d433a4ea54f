"""Ranking of the candidate readings of an experiment by the fixed rule, for all pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from carrousel.contracts import Experiment
from carrousel.experiments.judge import choice
from carrousel.experiments.judge.verdict import Verdict
from carrousel.experiments.recipes.candidates import Candidate


def ranked(
    candidates: Mapping[str, Candidate],
    judged: Callable[[str, str], tuple[Experiment, Verdict]],
) -> choice.Choice:
    """Rank candidates.

    Args:
        candidates: those of one experiment, by name.
        judged: returns a row under a candidate and the verdict on it, by the names of both.
    """
    found = {}
    for name, one in candidates.items():
        rows = {row: judged(row, name) for row in one.rows}
        found[name] = choice.Candidate(
            {row: verdict for row, (_, verdict) in rows.items()},
            len(one.departs),
            {row: _weights_off(experiment) for row, (experiment, _) in rows.items()},
        )
    return choice.choose(found)


def _weights_off(experiment: Experiment) -> int:
    printed = experiment.published.weights
    return abs(experiment.network.n_weights - printed) if printed else 0
