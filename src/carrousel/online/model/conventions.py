"""Parameters, copies and files of a model, and what river and scikit-learn ask it for.

Neither package is imported here: river's base classes are looked up when river itself asks.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

from carrousel.checks import check_int, suggestion
from carrousel.errors import CarrouselError, CheckpointError, SettingError, UnknownNameError
from carrousel.online.model import checkpoint
from carrousel.online.model.engine import Engine
from carrousel.online.model.settings import Settings

Model = TypeVar("Model", bound="Conventions")
CHANGEABLE = ("learning_rate", "evict_after")
"""Parameters that a model which has begun lets be changed."""


@cache
def defaults(kind: type) -> dict[str, Any]:
    """Parameters of a constructor, with their defaults."""
    found = inspect.signature(kind).parameters.values()
    return {parameter.name: parameter.default for parameter in found}


class Conventions:
    """Parameters are attributes of the same names, as the constructor got them."""

    task: str
    random_state: Any
    _engine: Engine | None
    _declared: tuple[Hashable, ...] | None  # classes that partial_fit was told
    _entropy: int  # the seed, if random_state says none
    _drawn: tuple[Any, int] | None  # from a generator, which is asked once

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name (scikit-learn); ``deep`` changes nothing."""
        return {name: getattr(self, name) for name in defaults(type(self))}

    def set_params(self: Model, **params: Any) -> Model:
        """Change parameters (scikit-learn).

        Raises:
            UnknownNameError: there is no such parameter.
            SettingError: the model has begun, and the parameter is not ``learning_rate`` or
                ``evict_after``, the only ones that can change then.
        """
        known = defaults(type(self))
        for name, value in params.items():
            if name not in known:
                raise UnknownNameError(f"parameter {name!r} is unknown; {suggestion(name, known)}")
            if self._engine is not None and name not in CHANGEABLE:
                raise SettingError(
                    f"{name} cannot become {value!r} in a model that has begun; expected one of "
                    f"{', '.join(CHANGEABLE)}; begin a new model with other parameters"
                )
        if self._engine is not None:
            self._engine.change(params)
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        given = self.get_params()
        told = [
            f"{name}={given[name]!r}"
            for name, default in defaults(type(self)).items()
            if name != "task" and not _same(given[name], default)
        ]
        return f"{type(self).__name__}({', '.join([repr(self.task), *told])})"

    def _settings(self) -> Settings:
        given = self.get_params()
        del given["random_state"]
        if self._declared is not None:
            given["classes"] = self._declared
        return Settings.of(given)

    def _seed(self) -> int:
        state = self.random_state
        if state is None:
            return self._entropy
        if not isinstance(state, np.random.Generator | np.random.RandomState):
            return check_int("random_state", state, minimum=0, maximum=2**63 - 1)
        if self._drawn is None or self._drawn[0] is not state:
            draw = state.integers if isinstance(state, np.random.Generator) else state.randint
            self._drawn = state, int(draw(2**31 - 1))
        return self._drawn[1]

    # --- files ------------------------------------------------------------------------------

    def save(
        self, path: str | os.PathLike[str], *, beside: checkpoint.Beside | None = None
    ) -> None:
        """Write everything to a file, from which the model goes on as if it had never stopped.

        Weights, the optimiser's running means, scales, states, traces, predictions that wait for
        their targets, names, and keys in their order of use, in the safetensors format.

        Args:
            path: where it goes; an old file is replaced as a whole or not at all.
            beside: arrays by name, and what JSON can hold, that are kept in the same file;
                ``carrousel.online.model.checkpoint.read_beside(path)`` gives them back.

        Raises:
            SettingError: a key, class, symbol or name is not a text, number, bool, None, or a tuple
                of these.
            DivergedError: numbers are not finite; the old file stays.
            UnwritableError: there is no such folder, or no room in it.

        >>> import tempfile
        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM(cells=4, random_state=1).partial_fit([[1.0], [2.0]], [3.0, 4.0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.safetensors")
        ...     again = OnlineLSTM.load(f"{folder}/model.safetensors")
        >>> again.step([3.0], 5.0) == model.step([3.0], 5.0)
        True
        """
        engine, params = self._engine, self.get_params()
        if engine is not None and self._settings() != engine.settings:
            raise SettingError(
                "parameters were changed after the model had begun; change them by set_params, "
                "which says what can be changed"
            )
        if isinstance(self.random_state, np.random.Generator | np.random.RandomState):
            params["random_state"] = self._seed()
        params |= {"_entropy": self._entropy, "_declared": self._declared}
        checkpoint.save(path, params, engine, beside)

    @classmethod
    def load(cls: type[Model], path: str | os.PathLike[str]) -> Model:
        """Read a model that :meth:`save` wrote; nothing in the file is ever run.

        It goes on as if it had never stopped, to the last bit where the processor has the same
        vector instructions.

        Raises:
            CheckpointError: the file is of another kind, damaged, or of a newer version.
            FileNotFoundError: there is no such file.
        """
        params, engine = checkpoint.load(path)
        try:
            entropy, declared = params.pop("_entropy"), params.pop("_declared")
            model = cls(**params)
            model._entropy, model._declared, model._engine = entropy, declared, engine
            same = engine is None or model._settings() == engine.settings
        except (CarrouselError, LookupError, TypeError) as error:
            raise CheckpointError(f"{path} contradicts itself: {error}") from error
        if not same:
            raise CheckpointError(f"{path} contradicts itself: its parameters are not its own")
        return model

    # --- river ------------------------------------------------------------------------------

    @property
    def _last_step(self) -> Any:
        """What ``isinstance(model, river.base.Regressor)`` looks at, or ``Classifier``.

        river's base classes (0.24 and later) ask an object that is not of them for the last step of
        a pipeline, and then what kind that is. One class with several tasks answers with an empty
        object of its task's kind, where a base class could say one kind only.
        """
        river = sys.modules.get("river.base")
        if river is None or self.task not in ("regression", "binary", "multiclass"):
            raise AttributeError("_last_step")
        return _kind_of(river.Regressor if self.task == "regression" else river.Classifier)

    @property
    def _supervised(self) -> bool:
        return self.task != "next"

    @property
    def _multiclass(self) -> bool:
        return self.task in ("multiclass", "next")

    @property
    def _is_stochastic(self) -> bool:
        return False  # river means by it an argument "seed" that is None

    @property
    def _mutable_attributes(self) -> set[str]:
        return set(CHANGEABLE)

    @property
    def _tags(self) -> set[str]:
        return set()

    @property
    def _raw_memory_usage(self) -> int:
        return sys.getsizeof(self) + (0 if self._engine is None else self._engine.nbytes)

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        for task in ("regression", "binary", "multiclass"):
            yield {"task": task, "missing": "mean", "unseen": "grow", "random_state": 1}

    def _unit_test_skips(self) -> set[str]:
        return set()

    def _get_params(self) -> dict[str, Any]:
        return self.get_params()

    def clone(
        self: Model, new_params: Mapping[str, Any] | None = None, include_attributes: bool = False
    ) -> Model:
        """A model with the same parameters that has met nothing (river).

        Args:
            new_params: parameters that are to be different.
            include_attributes: whether it also gets a copy of all that has been learned.
        """
        other = type(self)(**{**self.get_params(), **(new_params or {})})
        if include_attributes:
            other._declared, other._entropy, other._drawn = (
                self._declared,
                self._entropy,
                self._drawn,
            )
            other._engine = None if self._engine is None else self._engine.copied()
        return other

    def mutate(self, new_attrs: Mapping[str, Any]) -> None:
        """Change parameters in place (river); those of :meth:`set_params` of a begun model."""
        for name in new_attrs:
            if name not in CHANGEABLE:
                raise ValueError(f"{name!r} is not a mutable attribute of {type(self).__name__}")
        self.set_params(**new_attrs)

    def __ror__(self, other: Any) -> Any:
        from river.compose import Pipeline

        return Pipeline(other, self)


@cache
def _kind_of(base: type) -> Any:
    """An object of one of river's abstract classes, which does nothing."""
    empty: dict[str, Any] = dict.fromkeys(getattr(base, "__abstractmethods__", ()))
    return type(base.__name__, (base,), empty)()


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))
