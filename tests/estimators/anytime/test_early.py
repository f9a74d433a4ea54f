"""Rules that stop a series early, chosen by the costs of errors and steps."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.anytime.calibrate import probabilities
from carrousel.estimators.anytime.early import (
    NEVER,
    StopRule,
    accuracy_by_share,
    choose_rule,
    choose_rules,
    early_curve,
    usual_step_costs,
)
from carrousel.estimators.anytime.stream import LiveSeries
from carrousel.estimators.net.goals import TagGoal, ValueGoal
from support.ensembles import make_ensemble, make_series

RULES = (
    StopRule(0.7),
    StopRule(0.6, agreement=3),
    StopRule(0.5, earliest=4),
    StopRule(2.0, latest=5),
    StopRule(0.9, 2, 3, 9),
    StopRule(2.0),
    StopRule(0.0),
)


def evidence(rng, n, longest=30, strength=0.35):
    """Probabilities of the sequential test of two normal means, which are the true ones."""
    labels = rng.integers(0, 2, n)
    found = []
    for label in labels:
        steps = rng.normal(strength * (1 if label else -1), 1.0, rng.integers(1, longest + 1))
        one = 1.0 / (1.0 + np.exp(-2.0 * strength * steps.cumsum()))
        found.append(np.stack([1.0 - one, one], axis=1))
    return found, labels


def test_a_rule_watches_step_by_step_as_it_looks_back():
    p, _ = evidence(np.random.default_rng(0), 60)
    for rule in RULES:
        stops, watch = rule.all_steps(p), rule.watch()
        for one, expected in zip(p, stops, strict=True):
            watch.reset()
            seen = [watch.push(row) for row in one]
            assert expected == rule.steps(one)
            assert (seen.index(True) + 1 if True in seen else len(one)) == expected
            if watch.label is not None:
                assert watch.label == one[expected - 1].argmax()


def test_no_later_step_changes_a_decision():
    p, _ = evidence(np.random.default_rng(1), 40)
    for rule in RULES:
        for one in p:
            n = rule.steps(one)
            assert rule.steps(one[:n]) == n


def test_the_chosen_rule_costs_no_more_than_any_fixed_step_or_the_end():
    rng = np.random.default_rng(2)
    p, labels = evidence(rng, 300)
    weights = rng.random(300)
    for step_cost in (0.0, 0.001, 0.01, 0.1, 1.0):
        rule = choose_rule(p, labels, step_cost=step_cost, error_cost=2.0, weights=weights)

        def cost(which, step_cost=step_cost):
            stops = which.all_steps(p)
            wrong = [one[n - 1].argmax() != k for one, n, k in zip(p, stops, labels, strict=True)]
            return np.average(2.0 * np.array(wrong) + step_cost * stops, weights=weights)

        np.testing.assert_allclose(rule.cost, cost(rule))
        for other in (
            StopRule(2.0),
            StopRule(0.0),
            StopRule(2.0, latest=8),
            StopRule(2.0, latest=15),
        ):
            assert rule.cost <= cost(other) + 1e-12


def test_costs_decide_between_the_first_step_and_the_last():
    p, labels = evidence(np.random.default_rng(3), 200)
    lengths = np.array([len(one) for one in p])
    free = choose_rule(p, labels, step_cost=0.0, error_cost=0.0)
    assert free == StopRule(2.0, error_cost=0.0, cost=0.0)  # of equal ones the simplest
    dear = choose_rule(p, labels, step_cost=10.0)
    assert (dear.all_steps(p) == 1).all()
    costs = [0.0, 0.003, 0.01, 0.03, 0.1]
    steps = [rule.all_steps(p).mean() for rule in choose_rules(p, labels, costs)]
    assert (np.diff(steps) <= 1e-9).all()  # the mean number of steps falls as they cost more
    assert steps[0] <= lengths.mean()


def test_a_rule_beats_fixed_steps_on_new_series():
    """The sequential test needs fewer steps than a fixed number at equal costs (Wald 1945)."""
    rng = np.random.default_rng(4)
    held, labels = evidence(rng, 1500)
    new, truth = evidence(rng, 4000)
    rule = choose_rule(held, labels, step_cost=0.01)
    fixed = [StopRule(2.0, latest=n, step_cost=0.01) for n in (*range(1, 31), NEVER)]
    ours = early_curve([rule], new, truth)[0]
    assert ours.cost < 0.97 * min(point.cost for point in early_curve(fixed, new, truth))


def test_the_curve_is_in_order_and_covers_whole_series():
    p, labels = evidence(np.random.default_rng(5), 100)
    lengths = np.array([len(one) for one in p])
    points = early_curve(choose_rules(p, labels, usual_step_costs(lengths)), p, labels)
    assert (np.diff([point.share for point in points]) >= 0).all()
    whole = early_curve([StopRule(2.0)], p, labels)[0]
    right = np.mean([one[-1].argmax() == k for one, k in zip(p, labels, strict=True)])
    np.testing.assert_allclose((whole.accuracy, whole.share), (right, 1.0))  # pyright: ignore[reportArgumentType, reportCallIssue]
    np.testing.assert_allclose(whole.steps, lengths.mean())


def test_accuracy_by_share_counts_at_least_one_step():
    p = [np.eye(2)[[0, 1, 1, 0]], np.eye(2)[[1]]]
    found = accuracy_by_share(p, np.array([0, 1]), (0.01, 0.25, 0.5, 0.75, 1.0))
    np.testing.assert_allclose(found, [1.0, 1.0, 0.5, 0.5, 1.0])


def test_a_live_series_decides_as_its_rule():
    rng = np.random.default_rng(6)
    series = make_series(rng)
    ensemble = make_ensemble(series)
    every = probabilities(ensemble.outputs(series, "every step"))
    p = np.split(every, series.offsets[1:-1])
    level = float(np.median([one.max() for one in every]))
    rule = StopRule(level, agreement=2)
    live = LiveSeries(ensemble, rule=rule)
    stops = rule.all_steps(p)
    for one, n, mine in zip(series, stops, p, strict=True):
        live.reset()
        for row in one.values:
            live.push(row)
        assert live.decision.n_steps == n  # pyright: ignore[reportOptionalMemberAccess]
        if n < len(mine):
            assert live.decision.label == mine[n - 1].argmax()  # pyright: ignore[reportOptionalMemberAccess]
    for goal in (TagGoal(3), ValueGoal(1)):
        with pytest.raises(SettingError, match="rule needs class probabilities"):
            LiveSeries(make_ensemble(series, goal), rule=rule)


def test_wrong_arguments_are_refused():
    p, labels = evidence(np.random.default_rng(7), 5)
    for error, given in (
        (DataError, ([], np.zeros(0, int))),
        (ShapeError, (p, labels[:3])),
        (DataError, ([np.zeros((0, 2)), *p[1:]], labels)),
        (DataError, (p, labels, np.zeros(5))),
        (DataError, (p, labels, -np.ones(5))),
    ):
        with pytest.raises(error):
            choose_rule(*given[:2], step_cost=0.1, weights=given[2] if given[2:] else None)  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    with pytest.raises(SettingError, match="step_cost"):
        choose_rule(p, labels, step_cost=-1.0)
