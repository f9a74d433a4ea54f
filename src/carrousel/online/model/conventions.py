"""Parameters, copies and files of a model, and the protocols of river and scikit-learn.

The base classes of river are looked up only if it is loaded; scikit-learn is imported only when it
asks for tags.
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
from carrousel.errors import CarrouselError, SettingError, UnknownNameError
from carrousel.online.model import checkpoint
from carrousel.online.model.change import CHANGEABLE, change, refusal, restarted
from carrousel.online.model.engine import Engine
from carrousel.online.model.settings import Settings

Model = TypeVar("Model", bound="Conventions")


@cache
def defaults(kind: type) -> dict[str, Any]:
    """Return the parameters of a constructor with their defaults."""
    found = inspect.signature(kind).parameters.values()
    return {parameter.name: parameter.default for parameter in found}


class Conventions:
    """Base class whose parameters are attributes, named and valued as given to the constructor."""

    task: str
    random_state: Any
    _engine: Engine | None
    _declared: tuple[Hashable, ...] | None  # classes given to partial_fit
    _entropy: int  # the seed where random_state is None
    _drawn: tuple[Any, int] | None  # a generator and the seed drawn from it, once

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name (scikit-learn); ``deep`` has no effect."""
        return {name: getattr(self, name) for name in defaults(type(self))}

    def set_params(self: Model, **params: Any) -> Model:
        """Change parameters (scikit-learn).

        After the first row, ``learning_rate``, ``decay``, ``clip``, ``horizon``, ``missing``,
        ``unseen`` and ``evict_after`` may change. ``streams`` may become larger, and ``optimizer``
        one whose averages the present one keeps (``"adam"`` -> ``"rmsprop"`` -> ``"sgd"``).

        Raises:
            UnknownNameError: a parameter does not exist.
            SettingError: the model has seen a row, and the parameter cannot change any more.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM(cells=4, random_state=1).partial_fit([[1.0], [2.0]], [3.0, 4.0])
        >>> model.set_params(horizon=500, streams=10).streams
        10
        """
        self._check_names(params)
        if self._engine is not None:
            for name in [n for n in params if n not in CHANGEABLE]:
                raise refusal(name, params[name], getattr(self, name))
            change(self._engine, params)
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def _check_names(self, params: Mapping[str, Any]) -> None:
        known = defaults(type(self))
        for name, value in params.items():
            if name not in known:
                raise UnknownNameError(
                    f"parameter {name!r} is unknown",
                    argument=name,
                    got=value,
                    fix=suggestion(name, known),
                )

    def warm_start(self: Model, **params: Any) -> Model:
        """Return a model for a new stream that begins with what this one has learned.

        It has the weights, the optimiser's averages and number of updates, the scales, and the
        names of features and classes. It has no states, no keys and no rows. This model is
        unchanged.

        Args:
            **params: parameters to change, those that :meth:`set_params` can change; ``streams``
                may also become smaller.

        Raises:
            UnknownNameError: a parameter does not exist.
            SettingError: a parameter cannot change.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM(cells=4, random_state=1).partial_fit([[1.0], [2.0]], [3.0, 4.0])
        >>> other = model.warm_start(learning_rate=0.01)
        >>> other.n_steps_, other.predict_one([1.0]) == OnlineLSTM(cells=4).predict_one([1.0])
        (0, False)
        """
        self._check_names(params)
        other = self.clone(params)
        other._declared, other._entropy, other._drawn = self._declared, self._entropy, self._drawn
        if self._engine is not None:
            other._engine = restarted(self._engine, params)
        return other

    def __repr__(self) -> str:
        given = self.get_params()
        changed = [
            f"{name}={given[name]!r}"
            for name, default in defaults(type(self)).items()
            if name != "task" and not _same(given[name], default)
        ]
        return f"{type(self).__name__}({', '.join([repr(self.task), *changed])})"

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

    def save(self, path: str | os.PathLike[str], *, extra: checkpoint.Extra | None = None) -> None:
        """Write the model to a file, from which it continues exactly.

        The file holds weights, running means of the optimiser, scales, states, traces, pending
        predictions, names, and keys in their order of use, in the safetensors format.

        Args:
            path: the file, which is replaced atomically if it exists.
            extra: further arrays by name, and values for JSON, to store in the same file;
                ``carrousel.online.model.checkpoint.read_extra(path)`` returns them.

        Raises:
            SettingError: a key, class, symbol or name is not a text, number, bool, None, or a tuple
                of these.
            DivergedError: numbers are not finite; an existing file is unchanged.
            UnwritableError: the folder does not exist or is full.

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
                "parameters were assigned after the first row",
                fix=f"change {', '.join(CHANGEABLE)} by set_params, or create a new model",
            )
        if isinstance(self.random_state, np.random.Generator | np.random.RandomState):
            params["random_state"] = self._seed()
        params |= {"_entropy": self._entropy, "_declared": self._declared}
        checkpoint.save(path, params, engine, extra)

    @classmethod
    def load(cls: type[Model], path: str | os.PathLike[str]) -> Model:
        """Read a model that :meth:`save` wrote. No code in the file is executed.

        The model continues as if it had never stopped, to the last bit where the processor has the
        same vector instructions.

        Raises:
            CheckpointError: the file is of another kind, damaged, or of a newer version.
            FileNotFoundError: the file does not exist.
        """
        params, engine = checkpoint.load(path)
        try:
            entropy, declared = params.pop("_entropy"), params.pop("_declared")
            model = cls(**params)
            model._entropy, model._declared, model._engine = entropy, declared, engine
            same = engine is None or model._settings() == engine.settings
        except (CarrouselError, LookupError, TypeError) as error:
            raise checkpoint.contradiction(path, str(error)) from error
        if not same:
            raise checkpoint.contradiction(path, "its parameters differ from those of its state")
        return model

    # --- river ------------------------------------------------------------------------------

    @property
    def _last_step(self) -> Any:
        """Make ``isinstance(model, river.base.Regressor)`` or ``Classifier`` true.

        The base classes of river (0.24 and later) look at the last step of an object that is not
        an instance, as if it were a pipeline. This property returns an empty object of the kind
        that fits the task. A base class could only be of one kind for all tasks.
        """
        river = sys.modules.get("river.base")
        if river is None or self.task not in ("regression", "binary", "multiclass"):
            raise AttributeError("_last_step")
        number = self.task == "regression"
        return _kind_of(river.MiniBatchRegressor if number else river.MiniBatchClassifier)

    def __sklearn_tags__(self) -> Any:
        """Return the tags of scikit-learn, which alone calls this."""
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        classes, values = self.task in ("binary", "multiclass"), self.task == "regression"
        return Tags(
            estimator_type="classifier" if classes else "regressor" if values else None,
            target_tags=TargetTags(required=self._supervised),
            classifier_tags=ClassifierTags() if classes else None,
            regressor_tags=RegressorTags() if values else None,
        )

    @property
    def _supervised(self) -> bool:
        return self.task != "next"

    @property
    def _multiclass(self) -> bool:
        return self.task in ("multiclass", "next")

    @property
    def _is_stochastic(self) -> bool:
        return False  # it means a parameter "seed" that is None

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
        """Return a new model with the same parameters (river).

        Args:
            new_params: parameters to change.
            include_attributes: whether to copy the learned state too.
        """
        other = type(self)(**{**self.get_params(), **(new_params or {})})
        if include_attributes:
            other._declared, other._entropy, other._drawn = (
                self._declared,
                self._entropy,
                self._drawn,
            )
            other._engine = None if self._engine is None else self._engine.copy()
        return other

    def mutate(self, new_attrs: Mapping[str, Any]) -> None:
        """Change :data:`CHANGEABLE` parameters in place (river)."""
        for name in new_attrs:
            if name not in CHANGEABLE:
                problem = f"{name!r} is not a mutable attribute of {type(self).__name__}"
                raise SettingError(problem, argument=name, expected=" or ".join(CHANGEABLE))
        self.set_params(**new_attrs)

    def __ror__(self, other: Any) -> Any:
        from river.compose import Pipeline

        return Pipeline(other, self)


@cache
def _kind_of(base: type) -> Any:
    """Create an empty object of an abstract class of river."""
    empty: dict[str, Any] = dict.fromkeys(getattr(base, "__abstractmethods__", ()))
    return type(base.__name__, (base,), empty)()


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))
