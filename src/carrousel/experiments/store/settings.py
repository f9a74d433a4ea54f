"""Settings of an experiment as plain JSON, and its fingerprint.

Settings are everything that decides how trials end: all fields but the title, the published figures
and the readings.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carrousel.contracts import Experiment
from carrousel.errors import SettingError

WORDS = ("title", "published", "readings")
"""Fields of an experiment that do not influence its trials; all others are settings."""


def is_own(thing: Any) -> bool:
    """Whether a class or function is part of this package."""
    return str(thing.__module__).partition(".")[0] == "carrousel"


def kind_of(kind: type) -> str:
    """Return the name under which a class is described.

    The package's classes are described by their class name alone. Classes from elsewhere are
    described by module and qualified name, so that two classes of one name are never the same
    setting. A class of the program that was started has the name of its file, as if it were
    imported; in an interactive session it is ``__main__``.

    >>> from fractions import Fraction
    >>> from carrousel.contracts import Training
    >>> kind_of(Training), kind_of(Fraction)
    ('Training', 'fractions.Fraction')
    """
    return kind.__name__ if is_own(kind) else f"{_module_of(kind)}.{kind.__qualname__}"


def _module_of(kind: type) -> str:
    if kind.__module__ != "__main__":
        return kind.__module__
    main = sys.modules["__main__"]
    if spec := getattr(main, "__spec__", None):  # python -m package.module
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def describe(thing: object) -> Any:
    """Convert a description to plain JSON values; dataclasses get the name of their class as
    ``kind`` (:func:`kind_of`).

    Whole floats become integers, so that ``1.0`` and ``1`` are the same setting. A field that was
    added in a later version is omitted at its default (see :func:`carrousel.contracts.later`).

    Raises:
        SettingError: the description contains something that is neither a dataclass nor plain data.

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
        return {"kind": kind_of(type(thing)), **inside}
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
    raise SettingError(got=thing, expected="a dataclass of numbers, strings and tuples")


def settings_of(experiment: Experiment) -> dict[str, Any]:
    """Return the settings of an experiment as plain JSON values.

    Title, published figures and readings are omitted, so that correcting them does not change the
    fingerprint.
    """
    written = describe(experiment)
    return {name: value for name, value in written.items() if name not in ("kind", *WORDS)}


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces; equal values give equal text.

    >>> canonical({"b": 1, "a": [0.5, None]})
    '{"a":[0.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(experiment: Experiment) -> str:
    """Return the SHA-256 of an experiment's settings in canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(settings_of(experiment)).encode()).hexdigest()


def leaves(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value of a description by its path; a list is one value.

    >>> leaves({"budget": 5, "training": {"kind": "Training", "rate": 0.1}})
    {'budget': 5, 'training.kind': 'Training', 'training.rate': 0.1}
    """
    return dict(_leaves("", written))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List the settings in which two experiments differ.

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
