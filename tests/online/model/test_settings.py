"""Wrong settings of experts, seasons, leads, delays and intervals are refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import CarrouselError, SettingError
from support.online.cases import case

NEVER: list[Any] = ["", "1", b"1", 1.5, np.nan, {}, {"a": 1}, object(), 1j, OnlineLSTM, iter([24])]
ARRAYS: list[Any] = [np.array(24.5), np.array([[1, 2]]), np.array(["a"]), np.array([0.5, 9.0])]
WRONG: dict[str, list[Any]] = {
    "experts": [*NEVER, *ARRAYS, True, [], np.array([])],
    "standardise": [*NEVER, *ARRAYS, 1, [], np.array([]), "auto"],
    "season": [*NEVER, *ARRAYS, True, 0, 1, -5, 2**21, [1], [True], ["auto"], [[2]], [24.0]],
    "ahead": [*NEVER, *ARRAYS, True, 0, -1, 4097, 2**70, [2], None],
    "delay": [*NEVER, *ARRAYS, True, -1, 2**20 + 1, 2**70, [2], None],
    "levels": [*NEVER, *ARRAYS, True, 0.9, 1, None, [0.0], [1.0], ["0.9"], [True], np.array(0.9)],
}
TASKS = {"regression": [1.0, 2.0], "binary": [0, 1], "multiclass": ["a", "b"]}


@pytest.mark.parametrize("task", TASKS)
def test_wrong_settings_are_refused(task):
    for name, values in WRONG.items():
        for value in values:
            model = OnlineLSTM(task, cells=2, **{name: value})
            with case(f"{name}={value!r}"), pytest.raises(CarrouselError, match=name):
                model.run([[1.0], [2.0]], TASKS[task])


def test_numbers_of_numpy_and_lists_in_any_order_are_accepted():
    y = np.sin(np.arange(60) / 3)
    same = [
        {"season": (24,), "levels": (0.9,), "ahead": 2},
        {"season": 24, "levels": [0.9], "ahead": np.int64(2)},
        {"season": [np.int32(24)], "levels": np.array([0.9]), "ahead": 2},
        {"season": np.array([24]), "levels": [np.float64(0.9)], "ahead": 2},
    ]
    first, *others = [
        OnlineLSTM(cells=2, random_state=1, **each).run(y[:, None], y) for each in same
    ]
    for other in others:
        np.testing.assert_array_equal(first, other)
    model = OnlineLSTM(cells=2, season=(24, 24, 2), levels=(0.9, 0.5, 0.9), random_state=1)
    assert np.isfinite(model.run(y[:, None], y)).all()


def test_sizes_beyond_any_machine_are_refused_at_once():
    """The message has the size, and names an argument."""
    refused: tuple[tuple[dict[str, Any], int | None], ...] = (
        ({"ahead": 4096, "streams": 2**20}, 1),
        ({"delay": 2**20, "streams": 2**20}, 1),
        ({"season": 2**20, "streams": 2**20}, 1),
        ({"ahead": 4096, "delay": 2**20}, 1),
        ({"delay": 2**20}, 10_000),
        ({"delay": 2**20, "streams": 2**20, "task": "binary"}, None),
    )
    for sizes, n in refused:
        model = OnlineLSTM(cells=2, **sizes)
        with case(sizes), pytest.raises(SettingError, match=r"would take [0-9,]+ GB") as caught:
            model.step([1.0], 1.0 if n == 1 else np.ones(n) if n else True)
        assert caught.value.argument in sizes
        assert caught.value.fix


def test_a_model_with_one_class_or_one_symbol_learns():
    model = OnlineLSTM("multiclass", cells=2, random_state=1)
    assert list(model.run([[0.5]] * 40, ["a"] * 40)[1:]) == ["a"] * 39
    assert model.predict_proba_one([0.5]) == {"a": 1.0}
    model.step([0.5], "b")
    assert sum(model.predict_proba_one([0.5]).values()) == pytest.approx(1)
    assert list(OnlineLSTM("next", symbols=1, cells=2, random_state=1).run([0] * 40)) == [0] * 40


def test_a_bad_target_leaves_a_remembered_row():
    model = OnlineLSTM(cells=2, delay=3, random_state=1)
    model.predict_one([1.0])
    with pytest.raises(CarrouselError, match="target y"):
        model.learn_one([1.0], "text")
    rows = model.n_steps_
    model.learn_one([1.0], 5.0)
    assert model.n_steps_ == rows  # the row was not run again
