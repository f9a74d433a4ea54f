"""The door for endless streams: a model that learns at every step, in constant memory."""

from __future__ import annotations

import os
import secrets
from collections.abc import Hashable
from typing import Any

import numpy as np

from carrousel.files import CheckpointError
from carrousel.online import checkpoint
from carrousel.online.attributes import Attributes
from carrousel.online.conventions import Conventions
from carrousel.online.engine import Engine
from carrousel.online.goals import Goals
from carrousel.online.running import Said, run
from carrousel.online.settings import Settings, alphabet
from carrousel.online.tables import Table, as_table
from carrousel.shapes import (
    CarrouselError,
    DataError,
    DivergedError,
    RowError,
    SettingError,
    check_int,
)


class OnlineLSTM(Conventions, Attributes):
    """Long short-term memory on streams without end: predict, learn, go on."""

    def __init__(
        self,
        task: str = "regression",
        *,
        cells: int = 32,
        block_size: int = 1,
        forget_gate: bool = True,
        wiring: str = "cells",
        gradient: str = "truncated",
        optimizer: str = "rmsprop",
        learning_rate: float = 0.003,
        clip: float | None = 3.0,
        standardise: bool = True,
        horizon: float | None = None,
        classes: Any = None,
        symbols: Any = None,
        missing: str = "error",
        unseen: str = "error",
        streams: int = 1,
        evict_after: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.task = task
        self.cells = cells
        self.block_size = block_size
        self.forget_gate = forget_gate
        self.wiring = wiring
        self.gradient = gradient
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.clip = clip
        self.standardise = standardise
        self.horizon = horizon
        self.classes = classes
        self.symbols = symbols
        self.missing = missing
        self.unseen = unseen
        self.streams = streams
        self.evict_after = evict_after
        self.random_state = random_state
        self._engine: Engine | None = None
        self._declared: tuple[Hashable, ...] | None = None  # classes that partial_fit was told
        self._entropy = secrets.randbits(63)  # the seed, if random_state says none
        self._drawn: tuple[Any, int] | None = None  # from a generator, which is asked once

    # --- row by row -------------------------------------------------------------------------

    def step(self, x: Any, y: Any = None, key: Hashable = None, *, proba: bool = False) -> Any:
        """Advance by a row, return the prediction, then learn the target if one is given."""
        engine = self._engine
        if proba or engine is None or engine.own_targets:
            self._check_call(y, proba)
        if engine is None:
            engine = self._begun(x, y)
        head, outputs = engine.step(x, y, key)
        self._engine = engine
        return self._told(head, outputs) if proba else head.answer(outputs)

    def learn_one(self, x: Any, y: Any = None, key: Hashable = None) -> None:
        """Advance by a row and learn its target."""
        self.step(x, y, key)

    def predict_one(self, x: Any, key: Hashable = None) -> Any:
        """The prediction at a row from the present state; nothing moves."""
        engine = self._engine or self._begun(x, None)
        head, outputs = engine.peek(x, key)
        return head.answer(outputs)

    def predict_proba_one(self, x: Any, key: Hashable = None) -> dict[Hashable, float]:
        """The probability of each class at a row from the present state; nothing moves."""
        self._check_call(None, proba=True)
        engine = self._engine or self._begun(x, None)
        return self._told(*engine.peek(x, key))

    @staticmethod
    def _told(head: Any, outputs: np.ndarray) -> dict[Hashable, float]:
        return dict(zip(head.named, head.probabilities(outputs[None])[0].tolist(), strict=True))

    def _check_call(self, y: Any, proba: bool) -> None:
        if self.task == "next" and y is not None:
            raise SettingError(
                "y is given, but task 'next' learns each symbol as the target of the one before; "
                "leave y out"
            )
        if self.task == "regression" and proba:
            raise SettingError(
                "task is 'regression', which has no probabilities; say task='binary' or "
                "'multiclass'"
            )

    # --- many rows --------------------------------------------------------------------------

    def run(
        self, X: Any, y: Any = None, keys: Any = None, proba: bool = False, late: bool = False
    ) -> np.ndarray:
        """Take many rows in order; return predictions, each made before its target was learned.

        With ``late``, a target comes one row late: that of a row is what the prediction at the row
        before of the same stream was about, and is learned before the row is taken. A forecast of
        the next value of a column is ``run(X, X[column], late=True)``.
        """
        return self._run(X, y, keys, proba, late=late)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, keys: Any = None
    ) -> OnlineLSTM:
        """Learn many rows in order."""
        if classes is not None:
            self._declare(classes)
        self._run(X, y, keys, False)
        return self

    def predict(self, X: Any, keys: Any = None) -> np.ndarray:
        """Predictions at rows that would come next; nothing moves."""
        return self._run(X, None, keys, False, learn=False)

    def predict_proba(self, X: Any, keys: Any = None) -> np.ndarray:
        """Probabilities at rows that would come next, ``[N, classes]``; nothing moves."""
        return self._run(X, None, keys, True, learn=False)

    def _run(
        self, X: Any, y: Any, keys: Any, proba: bool, learn: bool = True, late: bool = False
    ) -> np.ndarray:
        self._check_call(y, proba)
        settings = self._settings() if self._engine is None else self._engine.settings
        table = as_table(X, settings.task == "next" or settings.symbols is not None)
        goals = None if y is None else Goals(y)
        names = _listed(keys)
        engine = self._engine
        if engine is None:
            engine = self._begun_by(table, goals)
        elif not learn:
            engine = engine.copied()
        said = Said()
        try:
            run(engine, table, goals, names, said, learn, late)
        except (RowError, DivergedError) as error:
            error.outputs = said.probabilities(engine.head) if proba else said.predictions()
            if learn and error.row:
                self._engine = engine
            raise
        if learn:
            self._engine = engine
        return said.probabilities(engine.head) if proba else said.predictions()

    def _begun_by(self, table: Table, goals: Goals | None) -> Engine:
        if not len(table):
            raise DataError("X has no rows, and the model has met none; expected at least one")
        y = goals.first() if goals is not None and self.task == "regression" else None
        try:
            return Engine.begun(self._settings(), table.first(), y, self._seed(), table.categories)
        except DataError as error:
            raise RowError(f"row 0: {error}", 0, np.empty(0)) from error

    # --- files ------------------------------------------------------------------------------

    def save(
        self, path: str | os.PathLike[str], *, beside: checkpoint.Beside | None = None
    ) -> None:
        """Write everything to a file, from which the model goes on as if it had never stopped.

        Args:
            path: where it goes; an old file is replaced as a whole or not at all.
            beside: arrays by name, and what JSON can hold, that are kept in the same file;
                ``carrousel.online.checkpoint.read_beside(path)`` gives them back.
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
    def load(cls, path: str | os.PathLike[str]) -> OnlineLSTM:
        """Read a model that :meth:`save` wrote; nothing in the file is ever run."""
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

    # --- what there is ----------------------------------------------------------------------

    def reset(self, key: Hashable = None) -> None:
        """Begin a stream anew; what was learned stays.

        Args:
            key: the stream's; None: all streams begin anew.
        """
        if self._engine is not None:
            places = self._engine.keys.places()
            for one in [k for k, _ in places] if key is None else (key,):
                self._engine.reset(one)

    def _settings(self) -> Settings:
        given = self.get_params()
        del given["random_state"]
        if self._declared is not None:
            given["classes"] = self._declared
        return Settings.of(given)

    def _begun(self, x: Any, y: Any) -> Engine:
        return Engine.begun(self._settings(), x, y, self._seed())

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

    def _declare(self, classes: Any) -> None:
        engine = self._engine
        told = alphabet("classes", classes)
        if engine is None:
            self._declared = told
        elif not set(told or ()) <= set(engine.settings.classes or engine.head.named):
            raise SettingError(
                f"classes are {told!r}, but the model began with {engine.settings.classes!r}; "
                "say them in the first call, and the same ones later"
            )


def _listed(keys: Any) -> list[Any] | None:
    if keys is None:
        return None
    names = keys.tolist() if isinstance(keys, np.ndarray) else list(keys)
    try:
        set(names)
    except TypeError as error:
        raise DataError(
            "keys hold something that is not hashable, expected texts, numbers, None or tuples"
        ) from error
    return names
