"""Files of fitted estimators: safetensors with a JSON header and a checksum."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy
import torch
from sklearn.base import BaseEstimator

from carrousel.errors import CarrouselError, CheckpointError, SettingError
from carrousel.estimators.anytime.early import StopRule
from carrousel.estimators.data.schema import Schema
from carrousel.estimators.forecast.inputs import Layout
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.goals import ClassGoal, StepValueGoal, TagGoal, ValueGoal
from carrousel.estimators.net.net import AnytimeNet, NetConfig
from carrousel.estimators.net.quantiles import QuantileGoal
from carrousel.estimators.net.train import Epoch, Member
from carrousel.files import checksum, read_whole, write_whole

Model = TypeVar("Model", bound=BaseEstimator)
KEY = "carrousel.estimators"
"""Key of the header in the metadata of a file."""
FORMAT = 1
"""The format that is written, and the latest that is read."""
PARTS = {
    part.__name__: part
    for part in (
        *(ClassGoal, ValueGoal, TagGoal, StepValueGoal, QuantileGoal),
        *(Features, Layout, NetConfig, Epoch, StopRule),
    )
}
"""Dataclasses that a header may contain."""
_COMMON = ("n_features_in_", "n_iter_", "_from_table", "feature_importances_")
_CONTRADICTIONS = (CarrouselError, LookupError, TypeError, ValueError, AttributeError, RuntimeError)


def save(path: str | os.PathLike[str], model: Any, extra: tuple[str, ...]) -> None:
    """Write a fitted estimator to a file atomically.

    Args:
        path: the file, which is replaced if it exists.
        model: the estimator.
        extra: names of fitted attributes of its class.

    Raises:
        SettingError: a parameter is of a type that a file cannot hold.
        UnwritableError: the file cannot be written.
    """
    ensemble = model.ensemble_
    params = model.get_params(deep=False)
    if not isinstance(params.get("random_state"), int):
        params["random_state"] = None
    names = [name for name in (*_COMMON, "feature_names_in_", *extra) if hasattr(model, name)]
    header = {
        "format": FORMAT,
        "class": type(model).__name__,
        "version": version("carrousel"),
        "params": {name: to_json(value) for name, value in params.items()},
        "fitted": {name: to_json(getattr(model, name)) for name in names},
        "schema": model.schema_.to_json(),
        "features": to_json(ensemble.features),
        "goal": to_json(ensemble.goal),
        "temperature": ensemble.temperature,
        "details": to_json(ensemble.details),
        "members": [
            {
                "net": to_json(member.net.config),
                "history": [to_json(epoch) for epoch in member.history],
                "stopped": member.stopped,
            }
            for member in ensemble.members
        ],
    }
    arrays = {
        f"{m}.{name}": _shortest(weight.detach().numpy())
        for m, member in enumerate(ensemble.members)
        for name, weight in member.net.state_dict().items()
    }
    header["crc32"] = checksum(header, arrays)
    write_whole(Path(path), safetensors.numpy.save(arrays, {KEY: json.dumps(header)}))


def _shortest(weight: np.ndarray) -> np.ndarray:
    """Return a weight in half precision if that is exact."""
    with np.errstate(over="ignore"):
        half = weight.astype(np.float16)
    exact = weight.dtype == np.float32 and np.array_equal(half.astype(np.float32), weight)
    return np.ascontiguousarray(half if exact else weight)


def load(path: str | os.PathLike[str], kind: type[Model]) -> Model:
    """Read a model of class ``kind`` that :func:`save` wrote.

    Raises:
        CheckpointError: the file is of another kind, damaged, or of a newer version.
        FileNotFoundError: the file does not exist.
    """
    header, data = _read(path, f"{kind.__name__}.save")
    try:
        arrays = safetensors.numpy.load(data)
    except Exception as error:  # safetensors raises exceptions of several classes
        raise CheckpointError(f"{path} is damaged: {error}", reason="damaged") from error
    if header.get("crc32") != checksum(header, arrays):
        raise CheckpointError(f"{path} is damaged: its checksum differs", reason="damaged")
    if header.get("class") != kind.__name__:
        raise CheckpointError(
            f"{path} contains a model of class {header.get('class')}, not {kind.__name__}",
            reason="foreign",
            fix=f"load it by {header.get('class')}.load",
        )
    try:
        return _restored(header, arrays, kind)
    except _CONTRADICTIONS as error:
        raise CheckpointError(f"{path} contradicts itself: {error}", reason="damaged") from error


def class_in(path: str | os.PathLike[str]) -> str:
    """Return the name of the class of the model in a file.

    Raises:
        CheckpointError, FileNotFoundError: as :func:`load`.
    """
    header, _ = _read(path, "an estimator's save")
    return str(header.get("class"))


def _read(path: str | os.PathLike[str], writer: str) -> tuple[dict[str, Any], bytes]:
    return read_whole(
        path,
        KEY,
        FORMAT,
        writer=writer,
        instead="OnlineLSTM.load and carrousel.nn.load read other kinds of files",
    )


def _restored(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], kind: Any) -> Any:
    model = kind(**{name: from_json(value) for name, value in header["params"].items()})
    for name, value in header["fitted"].items():
        setattr(model, name, from_json(value))
    members = []
    for m, stored in enumerate(header["members"]):
        net = AnytimeNet(from_json(stored["net"]))
        found = {name: array for name, array in arrays.items() if name.startswith(f"{m}.")}
        net.load_state_dict(
            {
                name.partition(".")[2]: torch.from_numpy(array.astype(np.float32))
                for name, array in found.items()
            }
        )
        history = [from_json(epoch) for epoch in stored["history"]]
        members.append(Member(net.eval(), history, np.zeros(0, bool), stored["stopped"]))
    model.ensemble_ = Ensemble(
        from_json(header["features"]),
        from_json(header["goal"]),
        members,
        float(header["temperature"]),
        from_json(header["details"]),
    )
    model.schema_ = Schema.from_json(header["schema"])
    model.history_ = [epoch for member in members for epoch in member.history]
    return model


def to_json(value: Any) -> Any:
    """Return a value as what JSON holds; :func:`from_json` returns it, types included.

    Raises:
        SettingError: the value is of another type than None, numbers, texts, arrays, lists, tuples,
            dictionaries, and dataclasses in :data:`PARTS`.

    >>> from_json(to_json({"a": (1, 2.5), 3: np.array(["x", "y"])}))
    {'a': (1, 2.5), 3: array(['x', 'y'], dtype='<U1')}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"array": [to_json(each) for each in value.tolist()], "dtype": value.dtype.str}
    if isinstance(value, list):
        return [to_json(each) for each in value]
    if isinstance(value, tuple):
        return {"tuple": [to_json(each) for each in value]}
    if isinstance(value, dict):
        return {"pairs": [[to_json(key), to_json(each)] for key, each in value.items()]}
    if is_dataclass(value) and type(value).__name__ in PARTS:
        own = {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
        return {"part": type(value).__name__, "fields": own}
    raise SettingError(
        f"a file cannot hold {value!r:.80} of type {type(value).__name__}",
        fix="use None, numbers, texts, or lists, tuples and dictionaries of these",
    )


def from_json(value: Any) -> Any:
    """Return what :func:`to_json` was given."""
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array(from_json(value["array"]), dtype=value["dtype"])
    if "tuple" in value:
        return tuple(from_json(each) for each in value["tuple"])
    if "pairs" in value:
        return {from_json(key): from_json(each) for key, each in value["pairs"]}
    own = {name: from_json(each) for name, each in value["fields"].items()}
    return PARTS[value["part"]](**own)
