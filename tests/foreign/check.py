"""Run of one package's check with the layers of torch and with ours, in its environment.

    python -m foreign.check MODULE

prints one line of JSON as its last line. The module in ``foreign/packages`` has

- ``SWAP``: how the layers are exchanged;
- ``TOLERANCES``: the largest allowed difference of each value;
- ``run(ours)``: trains briefly and returns an `Outcome` with these values.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Outcome:
    """Result of a run.

    Attributes:
        model: the trained model, whose recurrent layers are counted.
        values: numbers as tensors, arrays or lists; or text.
    """

    model: torch.nn.Module
    values: Mapping[str, Any]


def compare(module: Any) -> dict[str, Any]:
    """Run a check twice and compare all values.

    Returns:
        ``swap``, ``layers`` with the classes of the exchanged layers and their count, ``rows`` with
        a difference and a tolerance for each value, and ``holds``.
    """
    theirs, ours = _run(module, False), _run(module, True)
    (before, foreign), (rest, layers) = _layers(theirs.model), _layers(ours.model)
    if not layers or foreign or rest:
        raise AssertionError(f"torch's run has {foreign}, ours has {layers} and kept {rest}")
    rows = []
    for name, tolerance in module.TOLERANCES.items():
        found = difference(theirs.values[name], ours.values[name])
        rows.append({"value": name, "difference": found, "tolerance": tolerance})
    if set(theirs.values) != set(module.TOLERANCES):
        raise AssertionError(f"values {set(theirs.values)} and tolerances differ")
    holds = all(row["difference"] <= row["tolerance"] for row in rows)
    return {"swap": module.SWAP, "layers": layers, "rows": rows, "holds": holds}


def difference(theirs: Any, ours: Any) -> float:
    """Largest difference, divided by the largest magnitude of torch's values.

    The difference of texts is the count of lines that differ.

    Raises:
        AssertionError: the values cannot be compared.
    """
    if isinstance(theirs, str):
        pairs = zip_longest(theirs.splitlines(), ours.splitlines())
        return float(sum(a != b for a, b in pairs))
    a, b = (np.concatenate([_flat(part) for part in _parts(value)]) for value in (theirs, ours))
    if a.shape != b.shape:
        raise AssertionError(f"torch's run returns {a.size} numbers, ours {b.size}")
    if not (np.isfinite(a).all() and np.isfinite(b).all() and a.any()):
        raise AssertionError("values are not finite, or all of them are zero")
    return float(np.abs(a - b).max() / np.abs(a).max())


def _run(module: Any, ours: bool) -> Outcome:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    return module.run(ours)


def _layers(model: torch.nn.Module) -> tuple[dict[str, int], dict[str, int]]:
    """Count the recurrent layers and cells: those of torch, and ours."""
    counts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for part in model.modules():
        if isinstance(part, torch.nn.RNNBase | torch.nn.RNNCellBase):
            mine = any(kind.__module__.startswith("carrousel.") for kind in type(part).mro())
            name = type(part).__name__
            counts[mine][name] = counts[mine].get(name, 0) + 1
    return counts


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _flat(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    return np.asarray(value, np.float64).ravel()


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    module = importlib.import_module(f"foreign.packages.{sys.argv[1]}")
    print(json.dumps(compare(module)))


if __name__ == "__main__":
    main()
