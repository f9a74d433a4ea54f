"""Models on streams in files: everything, so that they go on as if they had never stopped.

A file is in the safetensors format: the kernel's arrays under their own names, and a header in JSON
with parameters, names, keys and counters. It holds no code.
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
from carrousel.online.model.engine import Engine
from carrousel.online.model.features import Named, Numbers, Reader, Symbols
from carrousel.online.model.forecasts import LastForecasts
from carrousel.online.model.heads import Classes, Head, Labels, Values
from carrousel.online.model.settings import Settings
from carrousel.online.model.values import plain

KEY = "carrousel.online"
FORMAT = 1


Beside = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
"""What others keep in a model's file: arrays by name, and what JSON can hold."""
_BESIDE = "beside."
_FORECASTS = "forecasts"


def save(
    path: str | os.PathLike[str],
    model: Mapping[str, Any],
    engine: Engine | None,
    beside: Beside | None = None,
) -> None:
    """Write a model as a whole or not at all.

    Args:
        path: where it goes; an old file is replaced.
        model: what a model that has met no row knows: its parameters and seed.
        engine: the rest; None: it has met none.
        beside: what :func:`read_beside` is to give back.

    Raises:
        SettingError: a key, class, symbol or name of a feature is of a kind that files cannot hold.
        DivergedError: its numbers are not finite, and no model could go on from them.
    """
    header = {
        "format": FORMAT,
        "class": "OnlineLSTM",
        "version": version("carrousel"),
        "model": {name: written(name, value) for name, value in model.items()},
        "engine": None if engine is None else _described(engine),
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
    more, header["beside"] = ({}, None) if beside is None else beside
    arrays |= {f"{_BESIDE}{name}": array for name, array in more.items()}
    header["arrays"] = _inventory(arrays)
    header["crc32"] = checksum(header, arrays)
    whole = {n: np.ascontiguousarray(a).reshape(a.shape) for n, a in arrays.items()}
    write_whole(Path(path), safetensors.numpy.save(whole, {KEY: json.dumps(header)}))


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Engine | None]:
    """Read what :func:`save` wrote: a model's parameters and seed, and the rest.

    Raises:
        CheckpointError: the file is of another kind, damaged, or of a newer version.
        FileNotFoundError: there is no such file.
    """
    header, arrays = _opened(path)
    own = {name: array for name, array in arrays.items() if not name.startswith(_BESIDE)}
    try:
        model = {name: read(value) for name, value in header["model"].items()}
        told = header["engine"]
        return model, None if told is None else _rebuilt(told, own)
    except (CarrouselError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} contradicts itself: {error}") from error
    except MemoryError as error:
        raise CheckpointError(f"{path} describes a model that memory does not hold") from error


def read_beside(path: str | os.PathLike[str]) -> Beside | None:
    """What :func:`save` was given to keep beside a model; None: nothing.

    Raises:
        CheckpointError: the file is of another kind, damaged, or of a newer version.
        FileNotFoundError: there is no such file.
    """
    header, arrays = _opened(path)
    plain_part = header.get("beside")
    if plain_part is None:
        return None
    kept = {name.removeprefix(_BESIDE): a for name, a in arrays.items() if name.startswith(_BESIDE)}
    return kept, plain_part


def _opened(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a file that is whole."""
    header, data = read_whole(
        path,
        KEY,
        FORMAT,
        writer="OnlineLSTM.save",
        instead="modules of carrousel.nn load by carrousel.nn.load",
    )
    try:
        arrays = safetensors.numpy.load(data)
    except Exception as error:  # whatever the format's reader says of a damaged file
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if header.get("crc32") != checksum(header, arrays) or header["arrays"] != _inventory(arrays):
        raise CheckpointError(f"{path} is damaged: its contents have another checksum")
    return header, arrays


def written(what: str, value: Any) -> Any:
    """A value as JSON holds it, so that :func:`read` gives the same one back.

    >>> read(written("key", ("a", 1, None))) == ("a", 1, None)
    True
    """
    value = plain(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple):
        return {"tuple": [written(what, one) for one in value]}
    if isinstance(value, list):
        return {"list": [written(what, one) for one in value]}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise SettingError(
        f"{what} is {value!r}, of type {type(value).__name__}, which a file cannot hold; expected "
        "texts, numbers, True, False, None, or tuples of these"
    )


def read(value: Any) -> Any:
    """What :func:`written` made JSON of."""
    if isinstance(value, dict):
        ((kind, parts),) = value.items()
        if kind == "range":
            return range(*parts)
        return {"tuple": tuple, "list": list}[kind](map(read, parts))
    return value


def _inventory(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: [str(a.dtype), list(a.shape)] for name, a in sorted(arrays.items())}


def _described(engine: Engine) -> dict[str, Any]:
    settings = {f.name: getattr(engine.settings, f.name) for f in fields(Settings)}
    found = engine.forecasts
    forecasts = found and {"classes": written("class", found.classes), "made_at": found.made_at}
    return {
        **({_FORECASTS: forecasts} if forecasts else {}),
        "settings": {name: written(name, value) for name, value in settings.items()},
        "kernel": engine.kernel.name,
        "seed": engine.seed,
        "rows": engine.now,
        "reader": _reader_described(engine.reader),
        "head": None if engine.own_targets else _head_described(engine.head),
        "keys": {
            "places": [[written("key", key), place] for key, place in engine.keys.places()],
            "seen": list(engine.keys.seen.items()),
            "free": engine.keys.free,
        },
    }


def _rebuilt(told: Mapping[str, Any], arrays: dict[str, np.ndarray]) -> Engine:
    settings = Settings(**{name: read(value) for name, value in told["settings"].items()})
    forecasts = arrays.pop(_FORECASTS, None)
    reader = _reader_rebuilt(told["reader"], settings)
    if told["head"] is None:
        assert isinstance(reader, Symbols)
        head: Head = Classes(reader.given, settings.grow)
    else:
        head = _head_rebuilt(told["head"], settings)
    numbers = sum(array.size for array in arrays.values())
    if settings.network(reader, head).n_weights > numbers:  # before memory is taken for them
        raise SettingError(f"{numbers} numbers are too few for the network it describes")
    engine = Engine(settings, reader, head, told["seed"])
    if engine.kernel.name != told["kernel"]:
        raise SettingError(f"it is of a kernel {told['kernel']!r}, not {engine.kernel.name!r}")
    engine.kernel.restore(arrays)
    engine.now = check_int("rows", told["rows"], minimum=0)
    keys = told["keys"]
    engine.keys.restore(
        [(read(key), place) for key, place in keys["places"]], dict(keys["seen"]), keys["free"]
    )
    if forecasts is not None:
        classes, made_at = read(told[_FORECASTS]["classes"]), told[_FORECASTS]["made_at"]
        if forecasts.ndim != 2 or len(forecasts) != settings.streams:
            raise SettingError(f"forecasts have shape {forecasts.shape}")
        engine.forecasts = LastForecasts(
            forecasts, classes, check_int("made_at", made_at, minimum=0)
        )
    return engine


def _reader_described(reader: Reader) -> dict[str, Any]:
    if isinstance(reader, Numbers):
        return {"numbers": reader.n_columns}
    if isinstance(reader, Symbols):
        return {"symbols": written("symbol", reader.given)}
    assert isinstance(reader, Named)
    return {
        "features": [
            [written("name of a feature", name), p if isinstance(p, int) else list(p.items())]
            for name, p in reader.places.items()
        ]
    }


def _reader_rebuilt(told: Mapping[str, Any], settings: Settings) -> Reader:
    missing = settings.missing == "mean"
    if "numbers" in told:
        return Numbers(told["numbers"], missing)
    if "symbols" in told:
        return Symbols(read(told["symbols"]), settings.grow)
    places = {read(name): p if isinstance(p, int) else dict(p) for name, p in told["features"]}
    reader = Named(places, missing, settings.grow)
    columns = [c for p in places.values() for c in ([p] if isinstance(p, int) else p.values())]
    if sorted(columns) != list(range(reader.n_columns)):
        raise SettingError(f"features have columns {columns}, expected each once")
    return reader


def _head_described(head: Head) -> dict[str, Any]:
    if isinstance(head, Values):
        return {"values": head.n}
    if isinstance(head, Labels):
        sides = head.sides if head.classes else ((), ())  # before any was met, they only look so
        return {"labels": [written("class", side) for side in sides]}
    return {"classes": written("class", head.named)}


def _head_rebuilt(told: Mapping[str, Any], settings: Settings) -> Head:
    kind = {"regression": "values", "binary": "labels"}.get(settings.task, "classes")
    if told.keys() != {kind}:
        raise SettingError(f"task {settings.task!r} has {kind}, not {', '.join(told)}")
    if kind == "values":
        return Values(told["values"])
    if kind == "labels":
        return Labels(*map(read, told["labels"]))
    return Classes(read(told["classes"]), settings.grow or settings.classes is None)
