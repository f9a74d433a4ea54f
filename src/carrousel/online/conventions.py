"""Parameters and copies of a model, as scikit-learn and river expect them, and its kinds.

Neither package is imported here: river's base classes are looked up when river itself asks.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

from carrousel.online.engine import Engine
from carrousel.shapes import SettingError, UnknownNameError, suggestion

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
    _engine: Engine | None

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

    # --- river ------------------------------------------------------------------------------

    @property
    def _last_step(self) -> Any:
        """What ``isinstance(model, river.base.Regressor)`` looks at, or ``Classifier``.

        river's base classes ask an object that is not of them for the last step of a pipeline, and
        then what kind that is. One class with several tasks answers with an empty object of its
        task's kind.
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
        if include_attributes and self._engine is not None:
            other._engine = self._engine.copied()
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
