"""The lag that targets need, found from data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carrousel.errors import DataError
from carrousel.inspection import needed_lag


def test_of_a_delayed_copy_it_is_the_delay() -> None:
    for seed, (delay, count) in enumerate([(0, 32), (1, 32), (20, 64), (95, 64)]):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(count, 100, 2))
        y = x[:, -1 - delay, 1] + 0.3 * rng.normal(size=count)
        assert needed_lag(x, y) == delay
        assert (
            needed_lag(torch.tensor(x).transpose(0, 1), torch.tensor(y), batch_first=False) == delay
        )


def test_of_symbols_it_is_the_step_of_the_symbol_that_decides() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 8, size=(128, 60))
    assert needed_lag(x, np.where(x[:, 10] < 3, 1, 0)) == 49
    assert needed_lag(torch.tensor(x), torch.tensor(x[:, 10])) == 49


def test_of_the_adding_problem_it_lies_in_the_first_half() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        T, count = 100, 128
        values, marks = rng.uniform(-1, 1, (count, T)), np.zeros((count, T))
        rows = np.arange(count)
        marks[rows, rng.integers(0, T // 2, count)] = 1
        marks[rows, rng.integers(T // 2, T, count)] = 1
        found = needed_lag(np.stack([values, marks], -1), (values * marks).sum(1))
        assert found is not None
        assert T // 4 <= found < T


def test_noise_needs_none() -> None:
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(64, 50, 2))
        found += needed_lag(x, rng.normal(size=64)) is not None
        found += needed_lag(x, rng.integers(0, 4, 64)) is not None
    assert found <= 2  # each has probability 0.005: more than 2 of 40 has 0.001


def test_inputs_that_stay_the_same_need_no_memory() -> None:
    rng = np.random.default_rng(3)
    level = rng.normal(size=(64, 1, 1))
    x = level + 0.01 * rng.normal(size=(64, 40, 1))
    assert needed_lag(x, level[:, 0, 0]) in (0, 1, 2)


def test_targets_of_every_step() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 60, 1))
    y = np.concatenate([np.full((40, 7, 1), np.nan), x[:, :-7]], axis=1)
    assert needed_lag(x, y) == 7


def test_too_few_or_constant_data_give_none() -> None:
    x = np.random.default_rng(5).normal(size=(8, 20, 1))
    assert needed_lag(x, x[:, 3]) is None
    assert needed_lag(np.ones((64, 5, 1)), np.arange(64.0)) is None
    assert needed_lag(np.random.default_rng(6).normal(size=(64, 5, 1)), np.ones(64)) is None


def test_wrong_shapes_are_refused() -> None:
    x = np.zeros((20, 5, 1))
    with pytest.raises(DataError, match=r"targets have shape \(19,\), inputs \(20, 5, 1\)"):
        needed_lag(x, np.zeros(19))
    with pytest.raises(DataError, match="inputs"):
        needed_lag(np.zeros(5), np.zeros(5))
    with pytest.raises(DataError, match="an array of numbers"):
        needed_lag(np.array([["a"]]), np.zeros(1))
