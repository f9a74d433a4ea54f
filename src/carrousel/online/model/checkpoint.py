"""Files of models: safetensors with everything that a model needs to continue exactly.

The kernel's arrays are stored under their own names. A header in JSON holds parameters, names, keys
and counters. Files hold no code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from carrousel.checks import check_int
from carrousel.errors import CarrouselError, CheckpointError, DivergedError, SettingError
from carrousel.files import checksum, read_whole, write_whole
from carrousel.online.model.delays import RememberedRow
from carrousel.online.model.earlier import upgraded
from carrousel.online.model.encoding.features import (
    Features,
    NamedFeatures,
    SymbolFeatures,
    VectorFeatures,
)
from carrousel.online.model.encoding.heads import BinaryHead, Head, MulticlassHead, RegressionHead
from carrousel.online.model.encoding.values import to_python
from carrousel.online.model.engine import Engine
from carrousel.online.model.forecasts import LastForecasts
from carrousel.online.model.settings import MOST_FITTED, Settings

KEY = "carrousel.online"
"""Key of the header in the metadata of a file."""
FORMAT = 4
"""The format that is written; ``earlier.py`` reads those before."""

Extra = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
"""Data of other programs in a model's file: arrays by name, and values for JSON."""
_EXTRA = "beside."  # prefix of the names of extra arrays
_FORECASTS = "forecasts"
_MOST_NAMES, _MOST_ROWS = 2**24, 2**50  # in a file
_CONTRADICTIONS = (
    *(CarrouselError, LookupError, TypeError, ValueError, AttributeError),
    *(OverflowError, RecursionError, AssertionError),
)


def save(
    path: str | os.PathLike[str],
    model: Mapping[str, Any],
    engine: Engine | None,
    extra: Extra | None = None,
) -> None:
    """Write a model to a file atomically.

    Args:
        path: the file, which is replaced if it exists.
        model: parameters and seed.
        engine: the state of the model; None: it has not seen a row.
        extra: data for :func:`read_extra`.

    Raises:
        SettingError: a file cannot hold a key, class, symbol or feature name of this type.
        DivergedError: numbers of the model are not finite.
        UnwritableError: the file cannot be written.
    """
    header = {
        "format": FORMAT,
        "class": "OnlineLSTM",
        "version": version("carrousel"),
        "model": {name: to_json(name, value) for name, value in model.items()},
        "engine": None if engine is None else _engine_to_json(engine),
    }
    arrays = {} if engine is None else engine.kernel.state()
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DivergedError(
                f"{name} of this model is not finite, so nothing was written",
                fix="continue from the last checkpoint by OnlineLSTM.load(path), with a lower "
                "{learning_rate}",
            )
    if engine is not None and engine.forecasts is not None:
        arrays[_FORECASTS] = engine.forecasts.values
    extra_arrays, header["beside"] = ({}, None) if extra is None else extra
    arrays |= {f"{_EXTRA}{name}": array for name, array in extra_arrays.items()}
    header["arrays"] = _inventory(arrays)
    header["crc32"] = checksum(header, arrays)
    whole = {n: np.ascontiguousarray(a).reshape(a.shape) for n, a in arrays.items()}
    write_whole(Path(path), safetensors.numpy.save(whole, {KEY: json.dumps(header)}))


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Engine | None]:
    """Read the parameters and the state of a model that :func:`save` wrote.

    Raises:
        CheckpointError: the file is of another kind, damaged, or of a newer version.
        FileNotFoundError: the file does not exist.
    """
    header, arrays = _opened(path)
    own = {name: array for name, array in arrays.items() if not name.startswith(_EXTRA)}
    try:
        upgraded(header, own)
        model = {name: from_json(value) for name, value in header["model"].items()}
        engine = header["engine"]
        return model, None if engine is None else _engine_from_json(engine, own)
    except _CONTRADICTIONS as error:
        raise contradiction(path, str(error)) from error
    except MemoryError as error:
        raise CheckpointError(f"{path} describes a model that memory does not hold") from error


def contradiction(path: str | os.PathLike[str], why: str) -> CheckpointError:
    """Return the error for a file whose parts do not fit each other."""
    return CheckpointError(f"{path} contradicts itself: {why}", reason="damaged")


def read_extra(path: str | os.PathLike[str]) -> Extra | None:
    """Read the ``extra`` data that :func:`save` wrote; None if there are none.

    Raises:
        CheckpointError: the file is of another kind, damaged, or of a newer version.
        FileNotFoundError: the file does not exist.
    """
    header, arrays = _opened(path)
    values = header.get("beside")
    if values is None:
        return None
    found = {n.removeprefix(_EXTRA): array for n, array in arrays.items() if n.startswith(_EXTRA)}
    return found, values


def _opened(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the header and the arrays of a file, and verify its checksum."""
    header, data = read_whole(
        path,
        KEY,
        FORMAT,
        writer="OnlineLSTM.save",
        instead="modules of carrousel.nn load by carrousel.nn.load",
    )
    try:
        arrays = safetensors.numpy.load(data)
    except Exception as error:  # safetensors raises exceptions of several classes
        raise CheckpointError(f"{path} is damaged: {error}", reason="damaged") from error
    if header.get("crc32") != checksum(header, arrays) or header["arrays"] != _inventory(arrays):
        problem = f"{path} is damaged: its contents have another checksum"
        raise CheckpointError(problem, reason="damaged")
    return header, arrays


def to_json(what: str, value: Any) -> Any:
    """Convert a value for JSON so that :func:`from_json` restores it with its type.

    Args:
        what: name of the value, for the message.
        value: a text, number, bool or None, or a tuple, list, array or range of these.

    Raises:
        SettingError: the value has another type.

    >>> from_json(to_json("key", ("a", 1, None))) == ("a", 1, None)
    True
    """
    value = to_python(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple):
        return {"tuple": [to_json(what, one) for one in value]}
    if isinstance(value, list):
        return {"list": [to_json(what, one) for one in value]}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise SettingError(
        f"{what} is {value!r}, of type {type(value).__name__}, which a file cannot hold",
        argument=what,
        got=value,
        expected="texts, numbers, True, False, None, or tuples of these",
        fix="use texts, numbers, True, False, None, or tuples of these",
    )


def _row_to_json(x: Any) -> Any:
    """Convert a remembered row."""
    if isinstance(x, Mapping):
        return {"mapping": [[to_json("x", name), to_json("x", v)] for name, v in x.items()]}
    return to_json("x", x)


def _row_from_json(x: Any) -> Any:
    if isinstance(x, dict) and "mapping" in x:
        return {from_json(name): from_json(value) for name, value in x["mapping"]}
    return from_json(x)


def from_json(value: Any) -> Any:
    """Restore a value that :func:`to_json` converted."""
    if isinstance(value, dict):
        ((kind, parts),) = value.items()
        if kind == "range":
            found = range(*parts)
            if len(found) > _MOST_NAMES:
                raise ValueError(f"{found} has more than {_MOST_NAMES} numbers")
            return found
        return {"tuple": tuple, "list": list}[kind](map(from_json, parts))
    return value


def _inventory(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: [str(a.dtype), list(a.shape)] for name, a in sorted(arrays.items())}


def _engine_to_json(engine: Engine) -> dict[str, Any]:
    settings = {f.name: getattr(engine.settings, f.name) for f in fields(Settings)}
    found = engine.forecasts
    forecasts = found and {"classes": to_json("class", found.classes), "made_at": found.made_at}
    return {
        **({_FORECASTS: forecasts} if forecasts else {}),
        "settings": {name: to_json(name, value) for name, value in settings.items()},
        "kernel": engine.kernel.name,
        "seed": engine.seed,
        "fitted": engine.fitted,
        "late": engine.late.state(),
        "remembered": [
            [_row_to_json(row.x), row.place, row.begun, row.row] for row in engine.remembered
        ],
        "rows": engine.n_rows,
        "reader": _features_to_json(engine.features),
        "head": None if engine.self_supervised else _head_to_json(engine.head),
        "keys": {
            "places": [[to_json("key", key), place] for key, place in engine.keys.places()],
            "seen": list(engine.keys.seen.items()),
            "free": engine.keys.free,
            "evicted": engine.keys.evicted,
        },
    }


def _engine_from_json(stored: Mapping[str, Any], arrays: dict[str, np.ndarray]) -> Engine:
    settings = Settings(**{name: from_json(v) for name, v in stored["settings"].items()})
    forecasts = arrays.pop(_FORECASTS, None)
    features = _features_from_json(stored["reader"], settings)
    if stored["head"] is None:
        assert isinstance(features, SymbolFeatures)
        head: Head = MulticlassHead(features.given, settings.grow)
    else:
        head = _head_from_json(stored["head"], settings)
    numbers = sum(array.size for array in arrays.values())
    fitted = check_int("fitted", stored.get("fitted", 0), minimum=0, maximum=MOST_FITTED)
    if settings.network(features, head, fitted).n_weights > numbers:  # before memory is allocated
        raise SettingError(f"{numbers} numbers are too few for the network it describes")
    engine = Engine(settings, features, head, stored["seed"], fitted)
    if engine.kernel.name != stored["kernel"]:
        raise SettingError(f"it is of a kernel {stored['kernel']!r}, not {engine.kernel.name!r}")
    engine.kernel.restore(arrays)
    if "late" in stored:
        engine.late.restore(stored["late"], head.n_targets)
        for x, place, begun, row in stored["remembered"]:
            engine.late.check_row(place, begun, row)
            engine.remembered.append(RememberedRow(_row_from_json(x), place, begun, row))
    engine.n_rows = check_int("rows", stored["rows"], minimum=0, maximum=_MOST_ROWS)
    keys = stored["keys"]
    engine.keys.restore(
        [(from_json(key), place) for key, place in keys["places"]],
        dict(keys["seen"]),
        keys["free"],
        check_int("evicted", keys.get("evicted", 0), minimum=0),
    )
    if forecasts is not None:
        engine.forecasts = _forecasts_from_json(stored[_FORECASTS], forecasts, settings.streams)
    return engine


def _forecasts_from_json(
    stored: Mapping[str, Any], values: np.ndarray, streams: int
) -> LastForecasts:
    if values.ndim != 2 or len(values) != streams:
        raise SettingError(f"forecasts have shape {values.shape}")
    made_at = check_int("made_at", stored["made_at"], minimum=0)
    return LastForecasts(values, from_json(stored["classes"]), made_at)


def _features_to_json(features: Features) -> dict[str, Any]:
    if isinstance(features, VectorFeatures):
        return {"numbers": features.n_columns}
    if isinstance(features, SymbolFeatures):
        return {"symbols": to_json("symbol", features.given)}
    assert isinstance(features, NamedFeatures)
    return {
        "features": [
            [to_json("name of a feature", name), c if isinstance(c, int) else list(c.items())]
            for name, c in features.columns.items()
        ]
    }


def _features_from_json(stored: Mapping[str, Any], settings: Settings) -> Features:
    missing = settings.missing == "mean"
    if "numbers" in stored:
        n = check_int("numbers", stored["numbers"], minimum=1, maximum=_MOST_NAMES)
        return VectorFeatures(n, missing)
    if "symbols" in stored:
        return SymbolFeatures(_names(stored["symbols"]), settings.grow)
    columns = {
        from_json(name): c if isinstance(c, int) else dict(c) for name, c in stored["features"]
    }
    features = NamedFeatures(columns, missing, settings.grow)
    used = [c for each in columns.values() for c in _columns_of(each)]
    if sorted(used) != list(range(features.n_columns)):
        raise SettingError(f"features have columns {used}, expected each once")
    return features


def _columns_of(feature: int | Mapping[str, int]) -> list[int]:
    return [feature] if isinstance(feature, int) else list(feature.values())


def _head_to_json(head: Head) -> dict[str, Any]:
    if isinstance(head, RegressionHead):
        names = head.names and [to_json("name of a target", name) for name in head.names]
        return {"values": head.n, **({"names": names} if names else {})}
    if isinstance(head, BinaryHead):
        sides = head.sides if head.known else ((), ())  # sides are placeholders until then
        return {"labels": [to_json("class", side) for side in sides]}
    return {"classes": to_json("class", head.classes)}


def _head_from_json(stored: Mapping[str, Any], settings: Settings) -> Head:
    kind = {"regression": "values", "binary": "labels"}.get(settings.task, "classes")
    if stored.keys() - {"names"} != {kind}:
        raise SettingError(f"task {settings.task!r} has {kind}, not {', '.join(stored)}")
    if kind == "values":
        n, names = stored["values"], stored.get("names")
        if n is not None:
            check_int("values", n, minimum=1, maximum=_MOST_NAMES)
        found = names and [from_json(name) for name in names]
        if found and len(set(found)) != n:
            raise SettingError(f"{n} targets have the names {found}")
        return RegressionHead(n, found, settings.ahead)
    if kind == "labels":
        return BinaryHead(*map(from_json, stored["labels"]))
    return MulticlassHead(_names(stored["classes"]), settings.grow or settings.classes is None)


def _names(stored: Any) -> Any:
    """Return classes or symbols, or their number."""
    found = from_json(stored)
    if isinstance(found, int):
        check_int("names", found, minimum=0, maximum=_MOST_NAMES)
    return found
