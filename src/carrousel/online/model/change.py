"""Settings that may change after the first row, and new streams from what a model has learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from carrousel.errors import SettingError
from carrousel.online.model.encoding.features import (
    Features,
    NamedFeatures,
    SymbolFeatures,
    VectorFeatures,
)
from carrousel.online.model.encoding.heads import Head, MulticlassHead
from carrousel.online.model.settings import Settings

if TYPE_CHECKING:
    from carrousel.online.model.engine import Engine

CHANGEABLE = (
    *("learning_rate", "decay", "clip", "optimizer", "horizon"),
    *("missing", "unseen", "streams", "evict_after"),
)
"""Parameters that may change after the first row."""

_SHAPE = "it is part of the shape of the network"
_UNITS = "the weights were learned for numbers in other units"
_NAMES = "they are columns of the network"
_REASONS = {
    "task": "it determines the outputs of the network",
    **dict.fromkeys(("cells", "block_size", "forget_gate", "wiring"), _SHAPE),
    "gradient": "streams store what it needs of their past in another form",
    "standardise": _UNITS,
    **dict.fromkeys(("classes", "symbols"), _NAMES),
    **dict.fromkeys(("experts", "season", "ahead"), "the rules are inputs of the network"),
    "delay": "rows wait for their targets in memory of this size",
    "levels": "their quantiles have been tracked since the first row",
    "random_state": "the initial weights have been drawn",
}
_AVERAGES = {"sgd": 0, "rmsprop": 1, "adam": 2}  # running averages of gradients that each needs


def refusal(name: str, value: Any, present: Any) -> SettingError:
    """Return the error for a parameter that cannot change after the first row."""
    reason = _REASONS.get(name, "the state of the model depends on it")
    return SettingError(
        argument=name,
        got=value,
        expected=f"{present!r} as at the first row: {reason}",
        fix="create a new model for other values",
    )


def change(engine: Engine, params: Mapping[str, Any]) -> None:
    """Change settings of a model that has seen rows; everything it has learned is kept.

    Raises:
        SettingError: a value is not allowed; nothing has changed.
    """
    settings = _changed(engine.settings, params)
    if settings.streams < engine.settings.streams:
        raise SettingError(
            argument="streams",
            got=settings.streams,
            expected=f"at least {engine.settings.streams} as at the first row: all of them may be "
            "in use",
        )
    if params.keys() <= {"learning_rate", "evict_after"}:
        engine.kernel.rate = float(settings.learning_rate)
    else:
        features, head = _encoders(engine, settings)
        kernel = settings.open(features, head, engine.seed, engine.fitted)
        kernel.restore(_widened(engine.kernel.state(), engine.blank + 1, settings.streams + 1))
        engine.kernel, engine.features, engine.head = kernel, features, head
        engine.keys.widen(settings.streams)
        engine.late.widen(settings.streams)
        engine.blank = settings.streams
        if engine.forecasts is not None:
            engine.forecasts = engine.forecasts.padded(settings.streams)
    engine.keys.evict_after = settings.evict_after
    engine.settings = settings


def restarted(engine: Engine, params: Mapping[str, Any]) -> Engine:
    """Return an engine for a new stream with the weights, averages and scales of another one.

    Args:
        engine: is not changed.
        params: changes of settings.

    Raises:
        SettingError: a value is not allowed.
    """
    settings = _changed(engine.settings, params)
    features, head = _encoders(engine, settings)
    old = engine.copy()
    for place in range(engine.settings.streams):
        old.kernel.reset(place)
    state = _widened(old.kernel.state(), engine.blank + 1, settings.streams + 1)
    new = type(engine)(settings, features, head, engine.seed, engine.fitted)
    new.kernel.restore(state)
    return new


def _changed(settings: Settings, params: Mapping[str, Any]) -> Settings:
    """Return settings with changes that keep what has been learned."""
    for name, value in params.items():
        if name not in CHANGEABLE:
            raise refusal(name, value, getattr(settings, name, "the same"))
    found = replace(settings, **params)
    if _AVERAGES[found.optimizer] > _AVERAGES[settings.optimizer]:
        kept = [each for each, n in _AVERAGES.items() if n <= _AVERAGES[settings.optimizer]]
        raise SettingError(
            argument="optimizer",
            got=found.optimizer,
            expected=f"one whose running averages {settings.optimizer!r} has kept since the first "
            f"row: {' or '.join(map(repr, kept))}",
        )
    return found


def _encoders(engine: Engine, settings: Settings) -> tuple[Features, Head]:
    """Return the encoders of a model as they are under other settings."""
    features, head, missing = engine.features, engine.head, settings.missing == "mean"
    if isinstance(features, VectorFeatures):
        features = VectorFeatures(features.n_columns, missing)
    elif isinstance(features, NamedFeatures):
        features = NamedFeatures(features.columns, missing, settings.grow)
    elif isinstance(features, SymbolFeatures):
        features = SymbolFeatures(features.given, settings.grow)
    if isinstance(head, MulticlassHead):
        whole = isinstance(head.known, range)
        open_ended = settings.classes is None and settings.task != "next"
        known = len(head.known) if whole else head.known
        head = MulticlassHead(known, settings.grow or open_ended)
    return features, head


def _widened(state: Mapping[str, np.ndarray], old: int, new: int) -> dict[str, np.ndarray]:
    """Return the state of a kernel with ``old`` places as one of a kernel with ``new`` places."""
    found = dict(state)
    if "draws" in found:  # of all places, also those that no stream uses
        found["draws"] = np.zeros((new, 2))
        found["draws"][: min(old, new)] = state["draws"][: min(old, new)]
    return found
