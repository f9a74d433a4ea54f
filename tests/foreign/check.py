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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch.nn.modules.module import register_module_forward_pre_hook


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
    """Run a check with both libraries and compare all values.

    A third run has wrong layers: ours, with recurrent weights that are 5 % too large. Its
    difference from torch's run shows whether a check can fail.

    Returns:
        ``swap``, ``layers`` with the classes of the exchanged layers and their count, ``rows`` with
        a difference and a tolerance for each value, and ``holds``. ``wrong`` in a row is the
        difference of the third run, if the tolerance is not zero.

    Raises:
        AssertionError: the check cannot fail, or values cannot be compared.
    """
    theirs, ours = _run(module, False), _run(module, True)
    with _wrong_weights():
        wrong = _run(module, True)
    (_, strange), (kept, layers) = _layers(theirs.model), _layers(ours.model)
    if not layers or strange or kept:
        raise AssertionError(
            f"our run has our layers {layers} and torch's {kept}; torch's run has ours: {strange}"
        )
    if set(theirs.values) != set(module.TOLERANCES):
        raise AssertionError(
            f"no tolerance, or no value: {theirs.values.keys() ^ module.TOLERANCES}"
        )
    rows = []
    for name, tolerance in module.TOLERANCES.items():
        row: dict[str, Any] = {"value": name, "tolerance": tolerance}
        row["difference"] = difference(theirs.values[name], ours.values[name])
        if tolerance:
            row["wrong"] = difference(theirs.values[name], wrong.values[name])
            if row["wrong"] < 10 * tolerance:
                raise AssertionError(f"{name}: wrong weights change it by {row['wrong']:.1e} only")
        rows.append(row)
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


@contextmanager
def _wrong_weights() -> Iterator[None]:
    """Multiply the recurrent weights of each of our layers by 1.05 when it is first called."""
    done: dict[int, torch.Tensor] = {}

    def change(part: torch.nn.Module, _: Any) -> None:
        if _is_layer(part) and _is_ours(part):
            for name, weight in part.named_parameters(recurse=False):
                # opacus calls a layer again, with other tensors in place of its parameters.
                if not isinstance(weight, torch.nn.Parameter) or id(weight) in done:
                    continue
                if name.startswith("weight_hh"):
                    done[id(weight)] = weight
                    with torch.no_grad():
                        weight.mul_(1.05)

    hook = register_module_forward_pre_hook(change)
    try:
        yield
    finally:
        hook.remove()


def _is_layer(part: torch.nn.Module) -> bool:
    return isinstance(part, torch.nn.RNNBase | torch.nn.RNNCellBase)


def _is_ours(part: torch.nn.Module) -> bool:
    return any(kind.__module__.startswith("carrousel.") for kind in type(part).mro())


def _layers(model: torch.nn.Module) -> tuple[dict[str, int], dict[str, int]]:
    """Count the recurrent layers and cells: those of torch, and ours."""
    counts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for part in model.modules():
        if _is_layer(part):
            count, name = counts[_is_ours(part)], type(part).__name__
            count[name] = count.get(name, 0) + 1
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
