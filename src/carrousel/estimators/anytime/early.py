"""Early decisions: stop a series when an error costs less than the steps that would prevent it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from carrousel.checks import check_number
from carrousel.errors import DataError, ShapeError
from carrousel.shapes import Array, Bools, Floats, Ints

NEVER = 2**62
"""A step that no series reaches."""


@dataclass(frozen=True)
class StopRule:
    """When to decide for the likeliest class instead of waiting for more steps.

    A series stops at the first step, not before ``earliest``, at which the likeliest class has at
    least the probability ``level`` and has been the likeliest for ``agreement`` steps. It stops
    after ``latest`` steps in any case, and at its end.

    Args:
        level: probability; above 1: never reached.
        agreement: steps, the present one included.
        earliest, latest: steps since the series began; the first is 1.
        error_cost, step_cost: the costs for which the rule was chosen.
        cost: mean cost of a series among those by which the rule was chosen.
    """

    level: float
    agreement: int = 1
    earliest: int = 1
    latest: int = NEVER
    error_cost: float = 1.0
    step_cost: float = 0.0
    cost: float = float("nan")

    def steps(self, p: Annotated[Floats, "T K"]) -> int:
        """Return after how many steps a series stops, given its probabilities at every step.

        >>> StopRule(0.8).steps(np.array([[0.6, 0.4], [0.9, 0.1], [1.0, 0.0]]))
        2
        """
        return int(self.all_steps([p])[0])

    def all_steps(self, probabilities: Sequence[Annotated[Floats, "T K"]]) -> Annotated[Ints, "N"]:
        """Return after how many steps each series stops, ``[N]``."""
        table = _Table.of(probabilities)
        return table.stops(table.qualified(self.level, self.agreement), self.earliest, self.latest)

    def watch(self, labels: Annotated[Array, "K"] | None = None) -> Watch:
        """Return an observer of one series that arrives step by step."""
        return Watch(self, labels)


class Watch:
    """Observes one series and decides once, by a rule.

    Args:
        rule: when to decide.
        labels: ``[K]``, labels of the classes; None: their numbers.

    Attributes:
        label: label of the class decided for; None until then.
        n_steps: steps seen until the decision.

    >>> watch = StopRule(0.8).watch()
    >>> [watch.push(p) for p in ([0.6, 0.4], [0.9, 0.1], [0.3, 0.7])]
    [False, True, True]
    >>> watch.label, watch.n_steps
    (0, 2)
    """

    def __init__(self, rule: StopRule, labels: Annotated[Array, "K"] | None = None) -> None:
        self.rule, self._labels = rule, labels
        self.reset()

    def reset(self) -> None:
        """Begin a new series."""
        self.label: Any = None
        self.n_steps = 0
        self._candidate, self._agreed = -1, 0

    def push(self, p: Annotated[Floats, "K"] | Sequence[float]) -> bool:
        """Take the class probabilities of the next step; return whether the series has stopped."""
        if self.label is not None:
            return True
        best = int(np.argmax(p))
        self._agreed = self._agreed + 1 if best == self._candidate else 1
        self._candidate = best
        self.n_steps += 1
        rule, n = self.rule, self.n_steps
        certain = p[best] >= rule.level and self._agreed >= rule.agreement
        if n >= rule.latest or (certain and n >= rule.earliest):
            self.label = best if self._labels is None else self._labels[best]
        return self.label is not None


@dataclass(frozen=True, eq=False)
class _Table:
    """Padded predictions at every step of ``N`` series: classes, their probability, agreement."""

    best: Annotated[Ints, "N T"]
    confidence: Annotated[Floats, "N T"]
    agreed: Annotated[Ints, "N T"]
    lengths: Annotated[Ints, "N"]

    @staticmethod
    def of(probabilities: Sequence[Annotated[Floats, "T K"]]) -> _Table:
        lengths = np.array([len(p) for p in probabilities], np.int64)
        if len(lengths) and lengths.min() < 1:
            raise DataError("a series has no steps", argument="probabilities")
        shape = (len(lengths), int(lengths.max(initial=1)))
        best, confidence = np.full(shape, -1), np.full(shape, -1.0)
        for n, p in enumerate(probabilities):
            best[n, : len(p)] = np.argmax(p, axis=1)
            confidence[n, : len(p)] = np.max(p, axis=1)
        number = np.arange(shape[1])
        changed = np.ones(shape, bool)
        changed[:, 1:] = best[:, 1:] != best[:, :-1]
        since = np.maximum.accumulate(np.where(changed, number, 0), axis=1)
        return _Table(best, confidence, number - since + 1, lengths)

    def qualified(self, level: float, agreement: int) -> Annotated[Bools, "N T"]:
        return (self.confidence >= level) & (self.agreed >= agreement)

    def stops(
        self, qualified: Annotated[Bools, "N T"], earliest: int, latest: int
    ) -> Annotated[Ints, "N"]:
        """Return the number of steps after which each series stops."""
        later = qualified[:, earliest - 1 :]
        if not later.size:
            return np.minimum(latest, self.lengths)
        first = np.where(later.any(axis=1), later.argmax(axis=1) + earliest, NEVER)
        return np.minimum(np.minimum(first, latest), self.lengths)

    def right(self, labels: Annotated[Ints, "N"], steps: Annotated[Ints, "N"]) -> np.ndarray:
        return self.best[np.arange(len(steps)), steps - 1] == labels


def choose_rule(
    probabilities: Sequence[Annotated[Floats, "T K"]],
    labels: Annotated[Ints, "N"],
    *,
    step_cost: float,
    error_cost: float = 1.0,
    weights: Annotated[Floats, "N"] | None = None,
) -> StopRule:
    """Return the rule with the smallest mean cost on predictions of series not learned.

    The cost of a series is ``error_cost`` if the decision is wrong, plus ``step_cost`` for each
    step before it. Among the candidates are to wait for the end, to decide after a fixed number of
    steps, and to decide at a level of confidence; of equal ones the simplest is taken.

    Args:
        probabilities: at every step of each held-out series, as
            :meth:`carrousel.estimators.anytime.calibrate.HeldOut.probabilities` returns them.
        labels: true classes ``[N]``.
        step_cost: cost of one step, in the unit of ``error_cost``.
        error_cost: cost of a wrong decision.
        weights: of the series; None: 1.

    Raises:
        DataError: there are no series, or one without steps.
        ShapeError: there are more or fewer labels or weights than series.
        SettingError: a cost is negative.

    Source: the costs are those of Dachraoui, Bondu & Cornuejols 2015; agreement is from Schaefer &
    Leser 2020 (TEASER).

    >>> sure = np.array([[0.6, 0.4], [0.9, 0.1], [0.95, 0.05]])
    >>> rule = choose_rule([sure, sure[:, ::-1]], np.array([0, 1]), step_cost=0.01)
    >>> rule.steps(sure)
    1
    """
    rules = choose_rules(probabilities, labels, [step_cost], error_cost=error_cost, weights=weights)
    return rules[0]


def choose_rules(
    probabilities: Sequence[Annotated[Floats, "T K"]],
    labels: Annotated[Ints, "N"],
    step_costs: Sequence[float],
    *,
    error_cost: float = 1.0,
    weights: Annotated[Floats, "N"] | None = None,
) -> list[StopRule]:
    """Return the best rule for each of several costs of a step; see :func:`choose_rule`."""
    error_cost = check_number("error_cost", error_cost, least=0.0)
    costs = [check_number("step_cost", cost, least=0.0) for cost in step_costs]
    table, labels, weights = _checked(probabilities, labels, weights)
    best: list[StopRule | None] = [None] * len(costs)
    for rule, qualified in _candidates(table):
        stops = table.stops(qualified, rule.earliest, rule.latest)
        error = float(weights @ ~table.right(labels, stops))
        steps = float(weights @ stops)
        for k, step_cost in enumerate(costs):
            cost, present = error_cost * error + step_cost * steps, best[k]
            if present is None or cost < present.cost - 1e-12 * abs(present.cost):
                best[k] = replace(rule, error_cost=error_cost, step_cost=step_cost, cost=cost)
    return [rule for rule in best if rule is not None]


def _candidates(table: _Table) -> Iterator[tuple[StopRule, Annotated[Bools, "N T"]]]:
    """Yield rules, the simplest first, with the steps that qualify by level and agreement."""
    T = int(np.median(table.lengths))
    fixed = sorted({max(1, round(T * k / 20)) for k in range(1, 20)})
    never = np.zeros(table.best.shape, bool)
    yield StopRule(2.0), never
    for latest in fixed:
        yield StopRule(2.0, latest=latest), never
    seen = table.confidence[table.confidence >= 0.0]
    levels = np.unique(np.quantile(seen, np.linspace(0.0, 1.0, 33)).round(6))
    coarse = [NEVER, *sorted({max(1, round(T * share)) for share in (0.25, 0.5, 0.75)})]
    for agreement in (1, 2, 4):
        for level in levels[::-1]:
            qualified = table.qualified(level, agreement)
            for earliest in sorted({1, *(max(1, round(T * share)) for share in (0.1, 0.2, 0.4))}):
                for latest in coarse:
                    if earliest < latest and earliest <= qualified.shape[1]:
                        yield StopRule(float(level), agreement, earliest, latest), qualified


def _checked(
    probabilities: Sequence[Annotated[Floats, "T K"]],
    labels: Annotated[Ints, "N"],
    weights: Annotated[Floats, "N"] | None,
) -> tuple[_Table, Annotated[Ints, "N"], Annotated[Floats, "N"]]:
    """Return a table, labels, and weights that sum to 1."""
    labels = np.asarray(labels)
    if not len(probabilities):
        raise DataError(
            "there are no series", argument="probabilities", fix="hold some series out of training"
        )
    given = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    if labels.shape != (len(probabilities),) or given.shape != labels.shape:
        raise ShapeError(
            f"there are {len(probabilities)} series, but labels have shape {labels.shape} and "
            f"weights {given.shape}",
            argument="labels",
        )
    if not (np.isfinite(given).all() and given.min() >= 0 and given.sum() > 0):
        raise DataError("weights are negative, not finite or all zero", argument="weights")
    return _Table.of(probabilities), labels, given / given.sum()


@dataclass(frozen=True)
class EarlyPoint:
    """Result of one rule.

    Args:
        rule: the rule.
        accuracy: share of right decisions.
        steps: mean number of steps before the decision.
        share: mean share of a series before the decision, called earliness.
        cost: mean cost of a series, by the costs of the rule.
    """

    rule: StopRule
    accuracy: float
    steps: float
    share: float
    cost: float


def early_curve(
    rules: Sequence[StopRule],
    probabilities: Sequence[Annotated[Floats, "T K"]],
    labels: Annotated[Ints, "N"],
) -> list[EarlyPoint]:
    """Evaluate rules on series that neither the nets nor the rules have learned.

    Returns:
        A point for each rule, in order of ``share``.

    Raises:
        DataError, ShapeError: as in :func:`choose_rule`.

    >>> sure = np.array([[0.6, 0.4], [0.9, 0.1], [0.95, 0.05]])
    >>> points = early_curve([StopRule(0.9), StopRule(0.5)], [sure], np.array([0]))
    >>> [(point.accuracy, round(point.share, 2)) for point in points]
    [(1.0, 0.33), (1.0, 0.67)]
    """
    table, labels, weights = _checked(probabilities, labels, None)
    points = []
    for rule in rules:
        stops = table.stops(table.qualified(rule.level, rule.agreement), rule.earliest, rule.latest)
        accuracy, steps = float(weights @ table.right(labels, stops)), float(weights @ stops)
        cost = rule.error_cost * (1.0 - accuracy) + rule.step_cost * steps
        share = float(weights @ (stops / table.lengths))
        points.append(EarlyPoint(rule, accuracy, steps, share, cost))
    return sorted(points, key=lambda point: (point.share, point.accuracy))


def usual_step_costs(lengths: Annotated[Ints, "N"], error_cost: float = 1.0) -> list[float]:
    """Return costs of a step for a curve: a whole series costs from 0.3 % to 300 % of an error."""
    T = max(float(np.median(lengths)), 1.0)
    return [float(error_cost * share / T) for share in np.geomspace(0.003, 3.0, 13)]


def accuracy_by_share(
    probabilities: Sequence[Annotated[Floats, "T K"]],
    labels: Annotated[Ints, "N"],
    shares: Sequence[float] = tuple(k / 20 for k in range(1, 21)),
) -> Annotated[Floats, "shares"]:
    """Return the accuracy after a share of each series (at least one step), the any-time curve.

    >>> sure = np.array([[0.4, 0.6], [0.9, 0.1]])
    >>> accuracy_by_share([sure], np.array([0]), (0.5, 1.0)).tolist()
    [0.0, 1.0]
    """
    table, labels, weights = _checked(probabilities, labels, None)
    found = []
    for share in shares:
        steps = np.clip(np.ceil(share * table.lengths - 1e-9), 1, table.lengths).astype(np.int64)
        found.append(float(weights @ table.right(labels, steps)))
    return np.array(found)
