"""Candidate readings of the paper: complete settings of an experiment, one of which its rows have.

The paper is silent or contradicts itself in places, and its printed settings alone do not give its
figures. The candidates are readings that were found to help, with the printed counts in view, and
the print itself as far as it goes. Each runs under its own name, so its trials are others than
those of the row.

The reading of an experiment is chosen from its candidates by a rule that was fixed before their
trials were drawn (:mod:`carrousel.experiments.judge.choice`). A row is *met* if it is reproduced,
faster, or at most 25 % slower. The candidate that meets most rows is chosen; among those, the one
that contradicts the print in the fewest settings; then the one whose number of weights differs
least from the printed one; then the one with the smallest mean absolute logarithm of the ratios of
our counts to the printed ones. The rows then have its settings, and are judged by trials of their
own, which did not take part in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A candidate reading of one experiment.

    Args:
        idea: the candidate in a few words.
        changes: all settings in which the candidates of the experiment differ, by path.
        departs: those of them that contradict the print.
        rows: names of the experiment's rows.
        by_row: settings of single rows, in addition.
    """

    idea: str
    changes: Changes
    departs: tuple[str, ...]
    rows: tuple[str, ...]
    by_row: Mapping[str, Changes]

    def of(self, row: str) -> Changes:
        """All changes of a row."""
        return {**self.changes, **self.by_row.get(row, {})}


@dataclass(frozen=True)
class _Idea:
    """What a candidate changes in the print.

    Args:
        words: the idea in a few words.
        changes: settings that contradict the print, by path.
        silent: settings about which the paper says nothing, or contradicts itself.
        by_row: the same for single rows.
    """

    words: str
    changes: Changes
    silent: Changes = field(default_factory=dict)
    by_row: Mapping[str, Changes] = field(default_factory=dict)


def _candidates(
    rows: tuple[str, ...],
    printed: Changes,
    budgets: Mapping[str, int] | None = None,
    **ideas: _Idea,
) -> Mapping[str, Candidate]:
    """The print, as far as it can be stated, and candidates that change it, by name.

    Args:
        rows: the experiment's rows.
        printed: printed settings of everything that a candidate changes.
        budgets: budgets of the print by row, where they differ from the row's.
        ideas: the other candidates.
    """
    shorter = {row: {"budget": budget} for row, budget in (budgets or {}).items()}
    found = {"printed": Candidate("the print", printed, (), rows, shorter)}
    for name, idea in ideas.items():
        changes = {**printed, **idea.silent, **idea.changes}
        found[name.replace("_", "-")] = Candidate(
            idea.words, changes, tuple(idea.changes), rows, idea.by_row
        )
    return MappingProxyType(found)


_TEXT = {"network.cell.g": "[-2,2]", "network.cell.h": "[-1,1]"}
_CAPTION = {"network.cell.g": "[-1,1]", "network.cell.h": "[-2,2]"}

_DIRECT: Changes = {"network.inputs_to_outputs": True, "network.bias": "gates+outputs"}
_REBER = _candidates(
    tuple(f"1-{row}" for row in range(1, 6)),
    {
        **_TEXT,
        "network.inputs_to_outputs": None,
        "network.bias": "gates",
        "training.derivative_floor": 0.0,
        "training.derivative_offset": 0.0,
        "training.error_tolerance": 0.0,
        "task.margin": 0.0,
    },
    direct=_Idea("inputs and a bias feed the outputs", _DIRECT),
    floor=_Idea(
        "inputs and a bias feed the outputs; f' of the output error is at least 0.02",
        {**_DIRECT, "training.derivative_floor": 0.02},
    ),
    offset=_Idea(
        "inputs and a bias feed the outputs; 0.01 is added to f' of the output error",
        {**_DIRECT, "training.derivative_offset": 0.01},
    ),
    tolerance=_Idea(
        "inputs and a bias feed the outputs; errors below 0.3 are not learned",
        {**_DIRECT, "training.error_tolerance": 0.3},
    ),
    margin=_Idea(
        "inputs and a bias feed the outputs; targets are 0.1 and 0.9",
        {**_DIRECT, "task.margin": 0.1},
    ),
)

_PLAIN: Changes = {"training.output_derivative": False}
_FROM_THE_START: Changes = {**_PLAIN, "training.cells_added_after": 0}
_LAG: Changes = {
    "training.output_derivative": True,
    "training.cells_added_after": 1000,
    "network.init.input_gate_weights": 0.0,
}
_NOISE_FREE = _candidates(
    ("2a",),
    _LAG,
    start=_Idea("no f', and the cell learns from the start", _FROM_THE_START),
    late=_Idea(
        "no f', and a gate that starts nearly closed; the cell joins after 2000 sequences",
        {**_PLAIN, "network.init.input_gate_weights": -3.0},
        silent={"training.cells_added_after": 2000},
    ),
)
_LAST: Changes = {**_FROM_THE_START, "task.targets": "last"}
_RANDOM = _candidates(
    ("2b",),
    {**_LAG, "task.targets": "every", "stop.every": 100},
    start=_Idea(
        "no f', the cell learns from the start, the last target alone; a test every 10 sequences",
        _LAST,
        silent={"stop.every": 10},
    ),
    seldom=_Idea("the same with a test every 100 sequences", _LAST),
)

_SMALL: Changes = {"network.init.range": 0.1}
_LONG_LAGS = _candidates(
    tuple(f"2c-{row}" for row in range(1, 10)),
    {
        **_TEXT,
        "network.feedback": None,
        "network.feedback_into": None,
        "network.init.range": 0.2,
    },
    budgets={  # no trial was solved in earlier runs of five times the printed count
        **{"2c-4": 190_000, "2c-5": 245_000, "2c-6": 245_000, "2c-7": 375_000},
        **{"2c-8": 675_000},
    },
    inputs_only=_Idea(
        "hidden units are fed by inputs alone; weights start in [-0.1, 0.1]",
        {"network.feedback": "none", **_SMALL},
    ),
    inputs_only_caption=_Idea(
        "hidden units are fed by inputs alone; g and h have the ranges of Table 10's caption",
        {"network.feedback": "none"},
        silent=_CAPTION,
    ),
    gates_only=_Idea(
        "hidden units feed gates, not cell inputs; weights start in [-0.1, 0.1]",
        {"network.feedback_into": "gates", **_SMALL},
    ),
)

_SLIP = _candidates(
    ("3b-3",),
    {"task.informative": 1},
    three=_Idea("N = 3, as in the same row of Table 4", {"task.informative": 3}),
)


def _arithmetic(*rows: str) -> Mapping[str, Candidate]:
    return _candidates(
        rows,
        {**_TEXT, "network.bias": "all", "training.output_derivative": True},
        bias_all=_Idea("no f'; all units have biases", _PLAIN),
        bias_gates=_Idea("no f'; gates have biases", {**_PLAIN, "network.bias": "gates"}),
        bias_gates_outputs=_Idea(
            "no f'; gates and outputs have biases", {**_PLAIN, "network.bias": "gates+outputs"}
        ),
    )


_GATES_START_CLOSED: Mapping[str, Changes] = {
    "6a": {"network.init.output_gate_bias": (-2.0, -4.0)},
    "6b": {"network.init.output_gate_bias": (-2.0, -4.0, -6.0)},
}
_ORDER = _candidates(
    ("6a", "6b"),
    {
        "network.bias": "all",
        "network.feedback": None,
        "network.init.output_gate_bias": (),
        "training.derivative_offset": 0.0,
    },
    cells_fed_back=_Idea(
        "cells alone are fed back; gates and outputs have biases; output gates start nearly closed",
        {"network.bias": "gates+outputs", "network.feedback": "cells"},
        by_row=_GATES_START_CLOSED,
    ),
    offset=_Idea(
        "cells alone are fed back; 0.1 is added to f' of the output error",
        {"network.feedback": "cells", "training.derivative_offset": 0.1},
    ),
)

CANDIDATES: Mapping[str, Mapping[str, Candidate]] = MappingProxyType(
    {
        "1": _REBER,
        "2a": _NOISE_FREE,
        "2b": _RANDOM,
        "2c": _LONG_LAGS,
        "3b-3": _SLIP,
        "4": _arithmetic("4-1", "4-2", "4-3"),
        "5": _arithmetic("5-1", "5-2"),
        "6": _ORDER,
    }
)
"""Candidates by experiment and name. The other rows of Experiment 3 have the printed settings."""
