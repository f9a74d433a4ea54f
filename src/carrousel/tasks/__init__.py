"""Tasks: those of Experiments 1 to 6, two that weight guessing solves, and speech data."""

from __future__ import annotations

from collections.abc import Mapping

from carrousel.contracts import Task
from carrousel.tasks.arithmetic import Adding as Adding
from carrousel.tasks.arithmetic import Multiplication as Multiplication
from carrousel.tasks.lags import LongLag as LongLag
from carrousel.tasks.lags import NoiseFreeLag as NoiseFreeLag
from carrousel.tasks.lags import RandomLag as RandomLag
from carrousel.tasks.latch import Latch as Latch
from carrousel.tasks.noise import TwoSequence as TwoSequence
from carrousel.tasks.order import TemporalOrder as TemporalOrder
from carrousel.tasks.parity import Parity as Parity
from carrousel.tasks.reber import EmbeddedReber as EmbeddedReber
from carrousel.tasks.vowels import JapaneseVowels as JapaneseVowels

TASKS: Mapping[str, type[Task]] = {
    "embedded-reber": EmbeddedReber,
    "noise-free-lag": NoiseFreeLag,
    "random-lag": RandomLag,
    "long-lag": LongLag,
    "two-sequence": TwoSequence,
    "adding": Adding,
    "multiplication": Multiplication,
    "temporal-order": TemporalOrder,
    "latch": Latch,
    "parity": Parity,
    "japanese-vowels": JapaneseVowels,
}
"""All tasks by name."""

__all__ = [
    "TASKS",
    "Adding",
    "EmbeddedReber",
    "JapaneseVowels",
    "Latch",
    "LongLag",
    "Multiplication",
    "NoiseFreeLag",
    "Parity",
    "RandomLag",
    "TemporalOrder",
    "TwoSequence",
]
