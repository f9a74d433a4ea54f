"""Choice among readings of an experiment by a fixed rule, so that taste does not enter it.

Where the paper leaves something open, several readings of an experiment are run. They are ranked by
these figures in this order:

1. the largest number of rows that meet the aim (:attr:`Verdict.met`);
2. the fewest settings that depart from the print;
3. the fewest weights more or fewer than printed, over all rows;
4. the smallest mean distance from the printed counts, ``|log ratio|`` of the means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from carrousel import words
from carrousel.checks import check_int
from carrousel.errors import SettingError
from carrousel.experiments.judge.verdict import Verdict

HEADS = ("reading", "rows met", "departs in", "weights off", "distance", "")
"""Heads of the columns of :attr:`Choice.cells`."""


@dataclass(frozen=True)
class Candidate:
    """One reading of an experiment.

    Args:
        verdicts: verdict on each row, by its name.
        departing: number of settings in which it departs from the print.
        weights: number of weights that it has more or fewer than printed, by row; rows that are
            left out have the printed number.

    Raises:
        SettingError: there is no row, a number is negative, or weights name an unknown row.
    """

    verdicts: Mapping[str, Verdict]
    departing: int = 0
    weights: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.verdicts:
            raise SettingError("verdicts is empty, expected a verdict on each row")
        check_int("departing", self.departing, minimum=0)
        for row, number in self.weights.items():
            check_int(f"weights[{row!r}]", number, minimum=0)
            if row not in self.verdicts:
                raise SettingError(argument="weights", got=row, expected="rows with a verdict")

    @property
    def pending(self) -> tuple[str, ...]:
        """Rows of which too few trials have ended."""
        return tuple(row for row, one in self.verdicts.items() if one.kind == "pending")

    @property
    def met(self) -> int:
        """Number of rows that meet the aim."""
        return sum(one.met for one in self.verdicts.values())

    @property
    def weights_off(self) -> int:
        """Number of weights more or fewer than printed, over all rows."""
        return sum(self.weights.values())

    @property
    def distance(self) -> float:
        """Mean ``|log ratio|`` over the rows with a printed count; infinite if one has no mean."""
        figures = [one.figures for one in self.verdicts.values()]
        ratios = [each.ratio for each in figures if each.count_printed]
        if any(not ratio for ratio in ratios):
            return math.inf
        return sum(abs(math.log(ratio)) for ratio in ratios if ratio) / max(len(ratios), 1)

    @property
    def rank(self) -> tuple[float, ...]:
        """The four figures, each the less the better."""
        return -self.met, self.departing, self.weights_off, self.distance


@dataclass(frozen=True)
class Ranked:
    """A candidate in a choice.

    Args:
        name: its name.
        candidate: the candidate.
        why: why it was chosen or not, as a clause.
    """

    name: str
    candidate: Candidate
    why: str


@dataclass(frozen=True)
class Choice:
    """All candidates, the best first.

    Args:
        ranked: the candidates in their order.
        pending: whether a candidate has a pending row, so that the order may change.
    """

    ranked: tuple[Ranked, ...]
    pending: bool

    @property
    def chosen(self) -> str | None:
        """Name of the chosen candidate; None while the choice is pending."""
        return None if self.pending else self.ranked[0].name

    @property
    def cells(self) -> list[list[str]]:
        """A row of a table for each candidate, with the columns :data:`HEADS`."""
        return [
            [
                each.name,
                f"{each.candidate.met} of {len(each.candidate.verdicts)}",
                words.number(each.candidate.departing),
                words.number(each.candidate.weights_off),
                _distance(each.candidate),
                each.why,
            ]
            for each in self.ranked
        ]


def choose(candidates: Mapping[str, Candidate]) -> Choice:
    """Rank readings of one experiment by the rule of this module.

    Candidates that are equal in all four figures keep their order.

    Args:
        candidates: the readings by name; all have verdicts on the same rows.

    Raises:
        SettingError: there is no candidate, or two have verdicts on different rows.

    >>> from carrousel.experiments.judge.verdict import VerdictFigures
    >>> def judged(kind, ratio):
    ...     return Verdict(kind, "", VerdictFigures(9, 9, 9, count_printed=100.0, ratio=ratio))
    >>> text = Candidate({"4-1": judged("slower", 1.5), "4-2": judged("reproduced", 1.1)})
    >>> caption = Candidate({"4-1": judged("faster", 0.8), "4-2": judged("reproduced", 1.0)}, 1)
    >>> choice = choose({"text": text, "caption": caption})
    >>> choice.chosen
    'caption'
    >>> for cells in choice.cells:
    ...     print(" | ".join(cells))
    caption | 2 of 2 | 1 | 0 | 0.11 | chosen
    text | 1 of 2 | 0 | 0 | 0.25 | fewer rows met: 1 instead of 2
    """
    if not candidates:
        raise SettingError("candidates is empty, expected at least one reading")
    rows = {name: frozenset(each.verdicts) for name, each in candidates.items()}
    first = next(iter(candidates))
    for name, each in rows.items():
        if each != rows[first]:
            raise SettingError(
                f"{name!r} and {first!r} have verdicts on different rows",
                argument="candidates",
                fix="give verdicts on the same rows; those without trials are pending",
            )
    order = sorted(candidates, key=lambda name: candidates[name].rank)
    best, pending = candidates[order[0]], any(each.pending for each in candidates.values())
    ranked = []
    for place, name in enumerate(order):
        each = candidates[name]
        why = _lost(each, best) if place else "first so far" if pending else "chosen"
        if each.pending:
            why += f"; pending: {words.listed(each.pending)}"
        ranked.append(Ranked(name, each, why))
    return Choice(tuple(ranked), pending)


def _lost(one: Candidate, best: Candidate) -> str:
    """The first figure in which a candidate is worse than the best."""
    compared = (
        ("fewer rows met", str(one.met), str(best.met)),
        ("more departing settings", str(one.departing), str(best.departing)),
        ("more weights off", words.number(one.weights_off), words.number(best.weights_off)),
        ("farther from the printed counts", _distance(one), _distance(best)),
    )
    for (what, ours, theirs), own, least in zip(compared, one.rank, best.rank, strict=True):
        if own != least:
            return f"{what}: {ours} instead of {theirs}"
    return "equal in all figures, but named later"


def _distance(one: Candidate) -> str:
    return words.ABSENT if math.isinf(one.distance) else f"{one.distance:.2f}"
