"""The modern recipe: full gradient, Adam, forget gates where they help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carrousel.contracts import Batches

Changes = Mapping[str, Any]

MODERN: Mapping[str, Changes] = {
    "4-1": {"learner": "adam", "training": Batches(rate=0.01, size=5)},
}
"""Changes by row."""
