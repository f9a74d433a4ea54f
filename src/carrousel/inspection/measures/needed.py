"""How far back targets depend on inputs, found from data alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from carrousel.errors import DataError
from carrousel.shapes import Floats, Ints

PERMUTATIONS = 400
LEVEL = 0.005
"""Share of permutations of the targets that may reach the score of a true dependence."""
ROWS = 1000
"""Largest number of sequences (or steps of sequences) that are compared."""
SYMBOLS = 30
"""Number of symbols that have a channel each. Targets with at most this many values are symbols."""
COLUMNS = 20_000
"""Largest number of features; beyond it, lags are thinned out on a logarithmic grid."""


def needed_lag(inputs: Any, targets: Any, *, batch_first: bool = True, seed: int = 0) -> int | None:
    """Return how many steps before the last one the targets depend on inputs, at least.

    Features are the inputs at single lags, and means over ranges of lags of the inputs and of the
    products of their channels. The feature with the largest correlation with the targets is
    chosen, then that with the largest correlation with what the first does not explain, and so on,
    while a permutation of the targets reaches the correlation in fewer than one of 200 cases. Of
    equal ones the nearest is chosen. The result is the largest lag among them; of a range its
    first lag.

    This finds linear dependence, dependence on symbols, and sums of marked values. It cannot find a
    dependence on combinations of several steps, such as a parity. So a number is a lower bound,
    and None does not mean that no memory is needed.

    Args:
        inputs: ``[B, T, I]`` numbers, or ``[B, T]`` whole numbers that are symbols.
        targets: ``[B]`` or ``[B, K]`` for the last step, or ``[B, T, K]`` for every step.
        batch_first: False: inputs are ``[T, B, I]`` or ``[T, B]``, targets of every step
            ``[T, B, K]``.
        seed: of the permutations.

    Returns:
        The lag in steps; None: no dependence was found, or there are too few sequences.

    Raises:
        DataError: inputs and targets have different numbers of sequences, or other shapes.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(64, 30, 1))
    >>> needed_lag(x, x[:, 9])  # step 9 of 0 to 29
    20
    >>> needed_lag(x, rng.normal(size=64)) is None
    True
    """
    x, y = _arrays(inputs, targets, batch_first)
    rng = np.random.default_rng(seed)
    rows = _rows(x, y, rng)
    if rows is None:
        return None
    x, y, at = rows
    lags, features = _features(x, at)
    features, goal = _standard(features), _standard(y)
    used = features.any(axis=0)
    lags, features, goal = lags[used], features[:, used], goal[:, goal.any(axis=0)]
    if not features.shape[1] or not goal.shape[1]:
        return None
    return _largest(features, goal, lags, rng)


def lag_of_data(inputs: Any, targets: Any, module: torch.nn.Module) -> int | None:
    """Return :func:`needed_lag` of the first tensor of the inputs that has the targets' sequences.

    Args:
        inputs: argument of a model's call.
        targets: ``[B, ...]``, or ``[T, B, K]`` if the layers take ``[T, B, I]``.
        module: the model, whose layers decide if both axes of the inputs have that length.

    Raises:
        DataError: there is no such tensor.
    """
    shape = tuple(np.shape(targets))
    first = [bool(one.batch_first) for one in module.modules() if hasattr(one, "batch_first")]
    orders = (True, False) if not first or first[0] else (False, True)
    for value in _tensors(inputs):
        for batch_first in orders if value.dim() in (2, 3) else ():
            axis = 1 if len(shape) == 3 and not batch_first else 0
            if shape and value.shape[0 if batch_first else 1] == shape[axis]:
                return needed_lag(value, targets, batch_first=batch_first)
    raise DataError(
        f"targets have shape {shape}, and no tensor of the inputs has as many sequences",
        argument="targets",
        fix="give {lag} instead",
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, PackedSequence):
        value = pad_packed_sequence(value, batch_first=True)[0]
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(one)


def _arrays(inputs: Any, targets: Any, batch_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs ``[B, T, I]`` and targets ``[B, T or 1, K]``."""
    x, y = (_array(name, one) for name, one in (("inputs", inputs), ("targets", targets)))
    if x.ndim not in (2, 3):
        raise DataError(argument="inputs", got=x.shape, expected="an array [B, T, I] or [B, T]")
    if not batch_first:
        x = np.swapaxes(x, 0, 1)
        y = np.swapaxes(y, 0, 1) if y.ndim == 3 else y
    if y.ndim not in (1, 2, 3) or len(y) != len(x) or (y.ndim == 3 and y.shape[1] != x.shape[1]):
        raise DataError(
            f"targets have shape {y.shape}, inputs {x.shape}",
            argument="targets",
            fix="give {targets} [B], [B, K] or [B, T, K] for inputs [B, T, I]",
        )
    y = y[:, None] if y.ndim == 1 else y
    y = y[:, None] if y.ndim == 2 else y
    if x.ndim == 2:
        x = x[..., None].astype(np.float64) if x.dtype.kind == "f" else _symbols(x)
    if y.dtype.kind != "f" and y.shape[2] == 1 and len(np.unique(y)) <= SYMBOLS:
        y = _symbols(y[..., 0])
    return x.astype(np.float64), y.astype(np.float64)


def _array(name: str, values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.double().numpy() if values.is_floating_point() else values.numpy()
    found = np.asarray(values)
    if found.dtype.kind not in "biuf":
        raise DataError(argument=name, got=found.dtype, expected="an array of numbers")
    return found


def _symbols(values: np.ndarray) -> Floats:
    """Return one channel for each of the most frequent symbols."""
    known, counts = np.unique(values, return_counts=True)
    known = known[np.argsort(-counts, kind="stable")[:SYMBOLS]]
    return (values[..., None] == known).astype(np.float64)


def _rows(x: Floats, y: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Ints] | None:
    """Return inputs ``[N, T, I]``, targets ``[N, K]`` and the step of each target ``[N]``."""
    B, T = x.shape[:2]
    if y.shape[1] == 1:
        row, step = np.arange(B), np.full(B, T - 1)
    else:
        steps = np.unique(np.linspace(T // 2, T - 1, 4).astype(int))
        row, step = (one.ravel() for one in np.meshgrid(np.arange(B), steps, indexing="ij"))
    if len(row) > ROWS:
        some = np.sort(rng.choice(len(row), ROWS, replace=False))
        row, step = row[some], step[some]
    goal = y[row, 0] if y.shape[1] == 1 else y[row, step]
    known = np.isfinite(goal).all(axis=1)
    row, step, goal = row[known], step[known], goal[known]
    if len(row) < 16:
        return None
    return np.nan_to_num(x[row]), goal, step


def _features(x: Floats, at: Ints) -> tuple[Ints, Annotated[Floats, "N features"]]:
    """Return features of single lags and of ranges of lags, with the lag of each, nearest first."""
    longest, channels = int(at.min()), x.shape[2]
    single = np.arange(longest + 1)
    if len(single) * channels > COLUMNS:
        single = np.unique(np.geomspace(1, longest + 1, COLUMNS // channels).astype(int) - 1)
    rows = np.arange(len(x))[:, None]
    found = [x[rows, at[:, None] - single]]  # [N, lags, I]
    lags = [single]
    wide = x
    if channels <= 6:
        first, second = np.triu_indices(channels, 1)
        wide = np.concatenate([x, x[..., first] * x[..., second]], axis=2)
    sums = np.concatenate([np.zeros_like(wide[:, :1]), wide.cumsum(axis=1)], axis=1)
    ranges = np.array([0, *(2**n for n in range(1, 40) if 2**n <= longest), longest + 1])
    means = [
        (sums[rows[:, 0], at - begin + 1] - sums[rows[:, 0], at - end + 1]) / (end - begin)
        for begin, end in pairwise(ranges)
    ]
    parts = [found[0].reshape(len(x), -1), np.stack(means, axis=1).reshape(len(x), -1)]
    lags = [single.repeat(channels), ranges[:-1].repeat(wide.shape[2])]
    order = np.argsort(np.concatenate(lags), kind="stable")
    return np.concatenate(lags)[order], np.concatenate(parts, axis=1)[:, order]


def _standard(values: Annotated[Floats, "N n"]) -> Annotated[Floats, "N n"]:
    """Return columns with mean zero and length one; constant ones are zero."""
    centred = values - values.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    whole = np.linalg.norm(values, axis=0)
    return np.where(
        length > 1e-9 * np.maximum(whole, 1e-300), centred / np.maximum(length, 1e-300), 0.0
    )


def _largest(
    features: Annotated[Floats, "N n"],
    goal: Annotated[Floats, "N K"],
    lags: Annotated[Ints, "n"],
    rng: np.random.Generator,
) -> int | None:
    """Return the largest lag of the features that are chosen one after the other."""
    chosen: list[int] = []
    for _ in range(min(12, len(goal) // 8)):
        scores = np.abs(features.T @ goal).max(axis=1)
        best = float(scores.max())
        if best <= _chance(features, goal, rng):
            break
        which = int(np.flatnonzero(scores >= 0.98 * best)[0])
        chosen.append(int(lags[which]))
        direction = features[:, which]
        # A feature that the chosen ones explain must not come back as rounding errors.
        rest = features - direction[:, None] * (direction @ features)
        lengths = np.linalg.norm(rest, axis=0)
        features = np.where(lengths > 0.05, rest / np.maximum(lengths, 1e-300), 0.0)
        goal = goal - direction[:, None] * (direction @ goal)
        lengths = np.linalg.norm(goal, axis=0)
        goal = goal[:, lengths > 1e-6] / lengths[lengths > 1e-6]
        if not goal.shape[1]:
            break
    return max(chosen) if chosen else None


def _chance(
    features: Annotated[Floats, "N n"],
    goal: Annotated[Floats, "N K"],
    rng: np.random.Generator,
) -> float:
    """Return the score that permuted targets exceed in a share ``LEVEL`` of the cases."""
    n = max(1, 2000 // goal.shape[1])
    best = []
    for begin in range(0, PERMUTATIONS, n):
        count = min(n, PERMUTATIONS - begin)
        order = np.argsort(rng.random((count, len(goal))), axis=1)
        shuffled = goal[order].transpose(1, 0, 2).reshape(len(goal), -1)
        best.append(np.abs(features.T @ shuffled).reshape(len(features.T), count, -1).max((0, 2)))
    return float(np.quantile(np.concatenate(best), 1.0 - LEVEL))
