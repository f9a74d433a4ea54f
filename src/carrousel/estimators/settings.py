"""Settings of the estimators, their checks, and files: what all estimators have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from carrousel.checks import check_int, check_number
from carrousel.errors import SettingError
from carrousel.estimators import saving
from carrousel.estimators.data.schema import Schema
from carrousel.estimators.fitting.members import seconds_of_member
from carrousel.estimators.net.augment import Augmentation
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.train import Epoch, TrainConfig
from carrousel.shapes import Bools, Floats

Model = TypeVar("Model", bound="NetEstimator")


class NetEstimator(BaseEstimator):
    """Settings, their checks, and files: what all estimators have in common."""

    hidden_size: int
    num_layers: int
    window: int
    bidirectional: bool | Literal["auto"]
    members: int
    max_steps: int | None
    max_seconds: float | None
    learning_rate: float
    batch_size: int
    weight_decay: float
    dropout: float
    gaps: float
    noise: float
    warp: float
    validation_fraction: float
    warm_start: bool
    n_jobs: int | None
    random_state: Any
    verbose: int

    ensemble_: Ensemble
    schema_: Schema
    history_: list[Epoch]
    n_features_in_: int
    n_iter_: int
    held_out_: Annotated[Bools, "N members"]
    feature_importances_: Annotated[Floats, "I"]
    _from_table: bool
    _saved: tuple[str, ...] = ()
    """Fitted attributes of the class that belong into a file."""

    def _keep(self, given: Mapping[str, Any]) -> None:
        """Set the parameters of the constructor, as they were given, as attributes."""
        vars(self).update({name: value for name, value in given.items() if name != "self"})

    def _check_settings(self) -> None:
        """Raise an error that names the setting which is out of range."""
        for name in ("hidden_size", "num_layers", "window", "members", "batch_size"):
            check_int(name, getattr(self, name), minimum=1)
        if self.max_steps is not None:
            check_int("max_steps", self.max_steps, minimum=1)
        if self.max_seconds is not None:
            check_number("max_seconds", self.max_seconds, above=0.0)
        check_number("learning_rate", self.learning_rate, above=0.0)
        for name in ("weight_decay", "noise"):
            check_number(name, getattr(self, name), least=0.0)
        for name in ("dropout", "gaps"):
            if not check_number(name, getattr(self, name), least=0.0) < 1.0:
                raise SettingError(
                    argument=name,
                    got=getattr(self, name),
                    expected="a share from 0, below 1",
                )
        for name, most in (("validation_fraction", 0.5), ("warp", 1.0)):
            value = getattr(self, name, 0.0)
            if not check_number(name, value, least=0.0) <= most:
                raise SettingError(argument=name, got=value, expected=f"a number from 0 to {most}")
        if self.n_jobs == 0:
            raise SettingError(argument="n_jobs", got=0, expected="None, -1 or at least 1")

    def _train_config(self, steps: int | None, augmentation: Augmentation) -> TrainConfig:
        """Return the settings of the training loop of one net."""
        return TrainConfig(
            steps=steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            augmentation=augmentation,
            seconds=seconds_of_member(self.max_seconds, self.members, self.n_jobs),
        )

    def _rng(self) -> np.random.Generator:
        """Return the source of all random numbers of a fit."""
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return np.random.default_rng(seed)

    def _keep_ensemble(self, ensemble: Ensemble) -> None:
        """Set the attributes that describe trained nets."""
        self.ensemble_ = ensemble
        self.history_ = [epoch for member in ensemble.members for epoch in member.history]
        self.n_iter_ = max((epoch.step for epoch in self.history_), default=0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file in the safetensors format, without pickle.

        Weights are stored in half precision if that changes none of them. A ``random_state`` that
        is not a number is stored as None.

        Raises:
            NotFittedError: the model is not fitted.
            UnwritableError: the folder does not exist or is full.
        """
        check_is_fitted(self, "ensemble_")
        saving.save(path, self, self._saved)

    @classmethod
    def load(cls: type[Model], path: str | os.PathLike[str]) -> Model:
        """Read a model that :meth:`save` wrote. No code in the file is executed.

        Raises:
            CheckpointError: the file is of another kind, damaged, or of a newer version.
            FileNotFoundError: the file does not exist.
        """
        return saving.load(path, cls)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        return tags
