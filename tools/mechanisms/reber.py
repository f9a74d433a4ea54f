"""What fails in Experiment 1: cells that act as bias units, and outputs that are dead.

With the printed wiring, cells take the place of the biases that outputs do not have. With inputs
and a bias into the outputs, nets that stay unsolved remember the second symbol, but are wrong at
one place of the grammar, where no output is active and ``y (1 - y)`` is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from tools.mechanisms.nets import Nets
from tools.mechanisms.parts import Parts, rounded
from tools.mechanisms.walk import slopes, walk

from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.principle import FLOOR
from carrousel.sequences import Sequences
from carrousel.shapes import Bools, Floats, Ints
from carrousel.tasks import EmbeddedReber
from carrousel.tasks.reber import EMBEDDED, GRAMMAR, SYMBOLS

NETS = 32
EVERY = 100
"""Strings between two tests, as in the rows."""
LEARNED = {"printed": 20_000, "direct": 40_000}
"""Strings that nets learn at first; those that are unsolved then learn as many again."""
FOLLOWED = 64
"""Strings of each set along which states are followed."""
ROWS = ("1-1", "1-4")

INNER = len(GRAMMAR)
"""The context in which the inner string has ended, and the outer symbol must follow."""


def contexts(data: Sequences) -> Annotated[Ints, "M"]:
    """Return the state of the inner grammar at each target; -1 outside the inner string.

    >>> from carrousel.tasks import EmbeddedReber
    >>> one = EmbeddedReber().draw(np.random.default_rng(0)).sample(np.random.default_rng(2), 1)
    >>> "".join(SYMBOLS[symbol] for symbol in one.inputs), contexts(one).tolist()
    ('BTBPVVETE', [-1, 0, 1, 3, 5, 6, 7, -1])
    """
    state = _embedded(data)[data.target_steps]
    inside = (state >= 2) & (state < 2 * INNER + 4)
    return np.where(inside, (state - 2) % (INNER + 1), -1)


def context_name(context: int) -> str:
    """Name a context by what may follow.

    >>> context_name(1), context_name(7), context_name(-1)
    ('state 1: T or P', 'end of the inner string: the outer T or P', 'outside')
    """
    if context < 0:
        return "outside"
    if context == INNER:
        return "end of the inner string: the outer T or P"
    return f"state {context}: {' or '.join(symbol for symbol, _ in GRAMMAR[context])}"


def wrong_steps(outputs: Annotated[Floats, "M O"], legal: Annotated[Bools, "M O"]) -> np.ndarray:
    """Return whether some illegal output is at least as active as some legal one, ``[M]``."""
    least = np.where(legal, outputs, np.inf).min(axis=1)
    return np.where(legal, -np.inf, outputs).max(axis=1) >= least


def measure(row: str, name: str, learned: int | None = None, count: int = NETS) -> dict[str, Any]:
    """Learn nets under a reading, look at those that are unsolved, and continue these.

    They continue as they are, and with a floor of the outputs' derivative.
    """
    learned = LEARNED[name] if learned is None else learned
    nets = Nets(by_recipe(EXPERIMENTS[row], name), count, row)
    stuck = unsolved(nets.solved_at(learned, EVERY))
    worst = {lane: worst_context(*each) for lane, each in _judged(nets, stuck).items()}
    dead = [lane for lane in stuck if worst[lane]["slope"] < FLOOR]
    found: dict[str, Any] = {"nets": count, "strings": learned, "stuck": len(stuck)}
    found["dead"] = len(dead)
    if stuck:
        found |= {"cells": cells(nets, stuck), "contexts": by_context(list(worst.values()))}
    for way, floor in (("as before", 0.0), ("floor", FLOOR)):
        at = nets.continued(derivative_floor=floor).solved_at(learned, EVERY, stuck)
        freed = {lane: each for lane, each in enumerate(at) if each is not None}
        found[way] = {
            "dead": sorted(each for lane, each in freed.items() if lane in dead),
            "others": sorted(each for lane, each in freed.items() if lane not in dead),
        }
    return rounded(found)


def unsolved(at: Sequence[int | None]) -> list[int]:
    """Return the numbers of the nets that passed no test."""
    return [lane for lane, each in enumerate(at) if each is None]


def cells(nets: Nets, lanes: Sequence[int]) -> dict[str, float]:
    """Measure the cells of some nets at the end of inner strings, where the outer symbol is due.

    Returns:
        means over nets: ``state``, the size of states; ``slope``, ``h'`` there; ``outer``, the
        share of strings whose outer symbol the outputs predict; ``seen`` and ``held``, the share
        that a linear reader finds in the cells' outputs and in their states, fitted to training
        strings and applied to test strings.
    """
    network, training, rows = nets.experiment.network, nets.experiment.training, []
    for lane in lanes:
        task, flat = nets.tasks[lane], nets.weights[lane]
        assert isinstance(task, EmbeddedReber)
        samples = [[], []]
        for half, judged in enumerate(("training", "test")):
            data = replace(task, judged=judged).test(np.random.default_rng(0), 1)[:FOLLOWED]
            for one in data:
                due = int(np.flatnonzero(contexts(one) == INNER)[0])
                for step, state in enumerate(walk(network, training, flat, one)):
                    if step == due:
                        outer = 1.0 if one.targets[due] == SYMBOLS.index("T") else -1.0
                        steep = slopes(network, state)
                        samples[half].append((state.y_cell, state.s.copy(), steep, outer))
        fit, check = ([np.array(column) for column in zip(*each, strict=True)] for each in samples)
        rows.append(
            [
                np.abs(check[1]).mean(),
                check[2].mean(),
                predicted(nets, lane),
                *(read(fit[k], fit[3], check[k], check[3]) for k in (0, 1)),
            ]
        )
    means = np.mean(rows, axis=0).tolist()
    return dict(zip(("state", "slope", "outer", "seen", "held"), means, strict=True))


def read(
    fitted: Annotated[Floats, "N C"],
    known: Annotated[Floats, "N"],
    tried: Annotated[Floats, "M C"],
    truth: Annotated[Floats, "M"],
) -> float:
    """Return the share of signs that a linear reader, fitted by least squares, gets right."""
    with_one = [np.column_stack([values, np.ones(len(values))]) for values in (fitted, tried)]
    weights = np.linalg.lstsq(with_one[0], known, rcond=None)[0]
    return float((np.sign(with_one[1] @ weights) == truth).mean())


def predicted(nets: Nets, lane: int) -> float:
    """Return the share of strings whose outer symbol has a greater output than the other one."""
    data, outputs = _judged(nets, [lane])[lane]
    due = contexts(data) == INNER
    t, p = (outputs[due, SYMBOLS.index(symbol)] for symbol in "TP")
    return float(((t > p) == (data.targets[due] == SYMBOLS.index("T"))).mean())


def worst_context(data: Sequences, outputs: Annotated[Floats, "M O"]) -> dict[str, float]:
    """Find the context in which a net is wrong most often.

    Returns:
        its number, ``context``; ``wrong``, the share of its predictions; ``others``, the largest
        share in any other context; and means over wrong predictions there: ``active``, the largest
        legal output; ``slope``, ``y (1 - y)`` of the least active legal output, and ``error``, that
        output's distance from its mean target. NaN if nothing is wrong.
    """
    legal = _legal(data)
    wrong, where = wrong_steps(outputs, legal), contexts(data)
    shares = {
        context: float(wrong[where == context].mean()) for context in np.unique(where).tolist()
    }
    worst = max(shares, key=lambda context: shares[context])
    found = {"context": worst, "wrong": shares.pop(worst), "others": max(shares.values())}
    here = wrong & (where == worst)
    least = np.where(legal, outputs, np.inf)[here].min(axis=1)
    distance = 1 / legal[here].sum(axis=1) - least
    most = np.where(legal, outputs, -np.inf)[here].max(axis=1)
    for name, values in (("active", most), ("slope", least * (1 - least)), ("error", distance)):
        found[name] = float(values.mean()) if len(values) else float("nan")
    return found


def by_context(found: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Count nets by their worst context, the most frequent first, with medians over its nets."""
    groups: dict[int, list[Mapping[str, float]]] = {}
    for each in found:
        groups.setdefault(int(each["context"]), []).append(each)
    return [
        {
            "name": context_name(context),
            "nets": len(group),
            **{
                key: float(np.median([each[key] for each in group]))
                for key in ("wrong", "others", "active", "slope", "error")
            },
        }
        for context, group in sorted(groups.items(), key=lambda each: -len(each[1]))
    ]


def _judged(nets: Nets, lanes: Sequence[int]) -> dict[int, tuple[Sequences, np.ndarray]]:
    """Return all strings of each net's two sets, and its outputs for them in float64."""
    found: dict[int, tuple[Sequences, np.ndarray]] = {}
    data = [task.test(np.random.default_rng(0), 1) for task in nets.tasks]
    outputs = nets.learner.predict(data)
    for lane in lanes:
        ours = outputs[lane]
        assert ours is not None
        found[lane] = data[lane], ours.astype(np.float64)
    return found


def _legal(data: Sequences) -> Annotated[Bools, "M O"]:
    """Return which symbols may follow, at each target."""
    table = np.zeros((len(EMBEDDED), len(SYMBOLS)), bool)
    for state, choices in enumerate(EMBEDDED):
        table[state, [SYMBOLS.index(symbol) for symbol, _ in choices]] = True
    return table[_embedded(data)[data.target_steps]]


def _embedded(data: Sequences) -> Annotated[Ints, "steps"]:
    """Return the state of the embedded grammar after each step."""
    found = np.empty(data.n_steps, np.int64)
    for first, last in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        state = 0
        for step in range(first, last):
            found[step] = state = dict(EMBEDDED[state])[SYMBOLS[int(data.inputs[step])]]
    return found


REBER: Mapping[str, Parts] = {
    "experiment-1": {
        f"{row} {name}": partial(measure, row, name) for row in ROWS for name in LEARNED
    }
}
"""Measurements by the page that shows them."""
