"""A classification problem: labelled series, split into those to learn and those to test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from benchmarks.streams.data import fingerprint


class Split(NamedTuple):
    """Series ``[T, I]`` (float32) to learn and to test, with their classes (int64)."""

    learned: list[np.ndarray]
    y: np.ndarray
    tested: list[np.ndarray]
    wanted: np.ndarray


@dataclass(frozen=True)
class Problem:
    """A data set with its split.

    Args:
        name: of the command line.
        title: of the page.
        source: package, its version and its licence.
        splitting: what a seed changes.
        split: returns the split of a seed.
    """

    name: str
    title: str
    source: str
    splitting: str
    split: Callable[[int], Split]

    def facts(self) -> dict[str, Any]:
        """Describe the data of seed 0 for the page."""
        data = self.split(0)
        lengths = [len(one) for one in data.learned + data.tested]
        return {
            "title": self.title,
            "source": self.source,
            "splitting": self.splitting,
            "learned": len(data.learned),
            "tested": len(data.tested),
            "channels": data.learned[0].shape[1],
            "classes": len(np.unique(data.y)),
            "lengths": [min(lengths), max(lengths)],
            "fingerprint": fingerprint(*data.learned, data.y, *data.tested, data.wanted),
        }


def classes_of(labels: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the labels of two parts by their common sorted order."""
    numbers = np.unique(np.concatenate([labels, others]), return_inverse=True)[1].astype(np.int64)
    return numbers[: len(labels)], numbers[len(labels) :]
