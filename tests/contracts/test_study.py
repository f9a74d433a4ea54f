"""Experiments and trials."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from carrousel.errors import SettingError
from carrousel.experiments import EXPERIMENTS


def test_a_task_without_all_its_members_is_refused():
    class Half:
        n_inputs = n_outputs = 1

        def sample(self, rng: Any, n: int) -> None: ...

    half: Any = Half()
    with pytest.raises(SettingError, match="task Half lacks draw, test, correct, tolerance"):
        replace(EXPERIMENTS["4-1"], task=half)
