"""Samples of the tasks by their definitions, in loops over sequences, from the same words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from carrousel.tasks import (
    Adding,
    Latch,
    LongLag,
    Multiplication,
    NoiseFreeLag,
    Parity,
    RandomLag,
    TemporalOrder,
    TwoSequence,
)
from carrousel.tasks.order import PLACES
from support.tasks.philox import Words


class Drawn(NamedTuple):
    """Arrays of Sequences; values are float64."""

    inputs: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray
    target_steps: np.ndarray


def offsets_of(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


def uniform_lengths(words: Words, n: int, least: int, most: int) -> np.ndarray:
    return offsets_of([least + words.below(most - least + 1, i, 0, "lengths") for i in range(n)])


def at_end(offsets: np.ndarray, inputs: np.ndarray, targets: list[Any]) -> Drawn:
    return Drawn(inputs, offsets, np.array(targets), offsets[1:] - 1)


def pairs(task: Adding | Multiplication, words: Words, n: int) -> Drawn:
    adding = isinstance(task, Adding)
    offsets = uniform_lengths(words, n, task.length, task.length + task.length // 10)
    values = (words.steps(offsets[-1]) >> 8) * 2.0**-24
    inputs = np.zeros((offsets[-1], 2))
    inputs[:, 0] = 2 * values - 1 if adding else values
    targets = []
    for i in range(n):
        one = inputs[offsets[i] : offsets[i + 1]]
        first = words.below(10, i, 0)
        others = [place for place in range(task.length) if place != first]
        nearest = others[: task.length // 2 - 1]
        candidates = [place for place in nearest if place or task.second != "not_first"]
        second = candidates[words.below(len(candidates), i, 1)]
        one[0, 1] = one[-1, 1] = -1.0
        one[[first, second], 1] = 1.0
        factors = {}
        for name, place in (("first", first), ("second", second)):
            excepted = place == 0 and not (name == "second" and task.second == "counts")
            factors[name] = (0.0 if adding else 1.0) if excepted else one[place, 0]
            if excepted and task.first_pair in ("input", "both"):
                one[0, 0] = factors[name]
            if excepted and task.first_pair in ("marker", "both"):
                one[0, 1] = -1.0
        x1, x2 = factors["first"], factors["second"]
        targets.append([0.5 + (x1 + x2) / 4 if adding else x1 * x2])
    return at_end(offsets, inputs, targets)


def two_sequence(task: TwoSequence, words: Words, n: int) -> Drawn:
    longest = task.length + task.length // 10 if task.longest is None else task.longest
    offsets = uniform_lengths(words, n, task.length, longest)
    inputs = np.sqrt(0.2) * words.gaussians(offsets[-1])
    noise = np.sqrt(0.1) * words.gaussians(n, "targets") * (task.variant == "c")
    targets = []
    for i in range(n):
        one = inputs[offsets[i] : offsets[i] + task.informative]
        second_class = words.below(2, i, 0)
        sign = -1.0 if second_class else 1.0
        one[:] = one + sign if task.variant == "b" else sign
        goals = (0.2, 0.8) if task.variant == "c" else (1.0, 0.0)
        targets.append([goals[second_class] + noise[i]])
    return at_end(offsets, inputs[:, None], targets)


def latch(task: Latch, words: Words, n: int) -> Drawn:
    offsets = uniform_lengths(words, n, task.length, task.longest)
    inputs = np.zeros((offsets[-1], task.n_inputs))
    inputs[:, -1] = np.sqrt(0.2) * words.gaussians(offsets[-1])
    targets = []
    for i in range(n):
        second_class = words.below(2, i, 0)
        shown = {"I": ([1, 0, 0], [0, 1, 0]), "II": ([1], [-1])}[task.variant]
        inputs[offsets[i]] = shown[second_class]
        goal = {"I": 0.8, "II": 1.0}[task.variant]
        targets.append([-goal if second_class else goal])
    return at_end(offsets, inputs, targets)


def bits(words: np.ndarray, n: int, width: int) -> np.ndarray:
    """``width`` bits for each of ``n`` steps, from the lowest bits of all words of a panel on."""
    per_word = 32 // width
    shifts = np.arange(per_word, dtype=np.uint32)[:, None] * np.uint32(width)
    parts = [(panel >> shifts) & np.uint32(2**width - 1) for panel in words]
    return np.concatenate(parts).ravel()[:n].astype(np.int64)


def parity(task: Parity, words: Words, n: int) -> Drawn:
    offsets = uniform_lengths(words, n, task.length + task.pause, task.longest + task.pause)
    steps = int(offsets[-1])
    ones = bits(words.panels("steps", -(-steps // 32)), steps, 1)
    uniform = (words.steps(steps, "noise") >> 8) * 2.0**-23 - 1
    inputs = 2.0 * ones - 1 + np.float32(task.noise) * uniform
    targets = []
    for i in range(n):
        end = offsets[i + 1] - task.pause
        targets.append([ones[offsets[i] : end].sum() % 2])
        inputs[end : offsets[i + 1]] = 0.0
    return at_end(offsets, inputs[:, None], targets)


def next_symbols(rows: Sequence[Sequence[int] | np.ndarray], first: int = 0) -> Drawn:
    offsets = offsets_of([len(row) for row in rows])
    return Drawn(
        np.concatenate(rows),
        offsets,
        np.concatenate([row[first + 1 :] for row in rows]),
        np.concatenate([np.arange(a + first, b - 1) for a, b in pairwise(offsets)]),
    )


def noise_free_lag(task: NoiseFreeLag, words: Words, n: int) -> Drawn:
    outer = task.p - 1 + words.steps_below(2, n, "sequences")
    return next_symbols([[int(x), *range(task.p - 1), int(x)] for x in outer])


def random_lag(task: RandomLag, words: Words, n: int) -> Drawn:
    rows = words.steps_below(task.p - 1, n * (task.p + 1)).reshape(n, task.p + 1)
    rows[:, 0] = rows[:, -1] = [task.p - 1 + words.below(2, i, 0) for i in range(n)]
    return next_symbols(list(rows), task.p - 1 if task.targets == "last" else 0)


def long_lag(task: LongLag, words: Words, n: int) -> Drawn:
    lengths = []
    for i in range(n):
        k = here = attempt = 0
        while task.length_law == "geometric":
            word = words.of("lengths", i, 0, attempt) << 32 | words.of("lengths", i, 1, attempt)
            here = 0
            while here < 64 and word < 2**64 * 9 ** (here + 1) // 10 ** (here + 1):
                here += 1
            k += here
            attempt += 1
            if here < 64:
                break
        lengths.append(task.q + 3 + k)
    offsets = offsets_of(lengths)
    inputs = words.steps_below(task.p, int(offsets[-1]))
    targets = [words.below(2, i, 0) for i in range(n)]
    inputs[offsets[:-1]] = task.p + 1
    inputs[offsets[:-1] + 1] = task.p + 2 + np.array(targets)
    inputs[offsets[1:] - 1] = task.p
    return at_end(offsets, inputs, targets)


def order(task: TemporalOrder, words: Words, n: int) -> Drawn:
    offsets = uniform_lengths(words, n, 100, 110)
    steps = int(offsets[-1])
    inputs = 2 + bits(words.panels("steps", -(-steps // 16)), steps, 2)
    targets = []
    for i in range(n):
        digits = words.below(2**task.relevant, i, 0)
        inputs[offsets[i]], inputs[offsets[i + 1] - 1] = 0, 1
        for k, (low, high) in enumerate(PLACES[task.relevant]):
            place = low - task.first_position + words.below(high - low + 1, i, 1 + k)
            inputs[offsets[i] + place] = 6 + (digits >> (task.relevant - 1 - k) & 1)
        targets.append(digits)
    return at_end(offsets, inputs, targets)


DEFINITIONS: dict[type, Callable[[Any, Words, int], Drawn]] = {
    Adding: pairs,
    Multiplication: pairs,
    TwoSequence: two_sequence,
    Latch: latch,
    Parity: parity,
    NoiseFreeLag: noise_free_lag,
    RandomLag: random_lag,
    LongLag: long_lag,
    TemporalOrder: order,
}
"""``definition(task, words, n)`` returns what the task's ``sample`` must return."""
