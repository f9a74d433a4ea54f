"""Settings: what decides how an experiment's trials end, as plain JSON, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from carrousel.contracts import Experiment
from carrousel.errors import SettingError

WORDS = ("title", "published", "readings")
"""The fields of an experiment that only say something about it; all others are settings."""


def describe(thing: object) -> Any:
    """Write a description down as plain JSON values; dataclasses carry their ``kind``.

    Whole floats become integers, so that ``1.0`` and ``1`` describe the same setting. A setting
    that was added later is left out at its default (see :func:`carrousel.contracts.later`).

    Raises:
        SettingError: something in it is neither a dataclass nor plain data.

    >>> from carrousel.contracts import Training
    >>> describe(Training(rate=1.0))["rate"], describe(Training(rate=0.5))["kind"]
    (1, 'Training')
    """
    if is_dataclass(thing) and not isinstance(thing, type):
        inside = {
            field.name: describe(getattr(thing, field.name))
            for field in fields(thing)
            if not field.metadata.get("later") or getattr(thing, field.name) != field.default
        }
        return {"kind": type(thing).__name__, **inside}
    if isinstance(thing, np.generic | np.ndarray):
        return describe(thing.tolist())
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, tuple | list):
        return [describe(each) for each in thing]
    if isinstance(thing, float):
        return int(thing) if thing.is_integer() else thing
    if thing is None or isinstance(thing, str | int):
        return thing
    raise SettingError(
        f"{thing!r} cannot be written down; expected a dataclass of numbers, strings and tuples"
    )


def settings_of(experiment: Experiment) -> dict[str, Any]:
    """The settings of an experiment, written down.

    Title, published figures and readings are words about it and left out: correcting them must
    not part an experiment from its trials.
    """
    written = describe(experiment)
    return {name: value for name, value in written.items() if name not in ("kind", *WORDS)}


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text.

    >>> canonical({"b": 1, "a": [0.5, None]})
    '{"a":[0.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(experiment: Experiment) -> str:
    """SHA-256 of an experiment's settings in canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(settings_of(experiment)).encode()).hexdigest()


def leaves(written: Mapping[str, Any]) -> dict[str, Any]:
    """Every value of a written-down description by its path; lists stay whole.

    >>> leaves({"budget": 5, "training": {"kind": "Training", "rate": 0.1}})
    {'budget': 5, 'training.kind': 'Training', 'training.rate': 0.1}
    """
    return dict(_leaves("", written))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in which settings two written-down experiments differ.

    >>> before, now = {"rate": 0.1, "update": "step"}, {"rate": 1, "update": "step"}
    >>> differences({"budget": 5, "training": before}, {"budget": 5, "training": now})
    ['training.rate was 0.1, is 1']
    """
    old, new = leaves(before), leaves(now)
    return [
        f"{key} was {old.get(key, 'absent')}, is {new.get(key, 'absent')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, _ABSENT) != new.get(key, _ABSENT)
    ]


_ABSENT = object()


def _leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return [(path, value)]
    inside = ((f"{path}.{key}" if path else str(key), each) for key, each in value.items())
    return [leaf for key, each in inside for leaf in _leaves(key, each)]
