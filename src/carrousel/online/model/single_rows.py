"""Single rows: predict, learn, and targets that come later."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from carrousel.checks import check_number
from carrousel.errors import DataError, SettingError
from carrousel.online.model.encoding.heads import by_class
from carrousel.online.model.engine import Engine
from carrousel.online.model.settings import Settings


class SingleRows:
    """The part of :class:`OnlineLSTM` that takes one row at a time."""

    task: str
    _engine: Engine | None
    _settings: Callable[[], Settings]
    _seed: Callable[[], int]

    def step(
        self, x: Any, y: Any = None, key: Hashable = None, *, proba: bool = False, w: float = 1.0
    ) -> Any:
        """Advance by a row, return the prediction, then learn the target if one is given.

        Args:
            x: the row. With task ``"next"``, a symbol: it is learned as the target of the
                prediction before, then the symbol after it is predicted.
            y: the target; None: there is none, or it is unknown.
            key: the stream of the row, where there are several; any hashable value.
            proba: return probabilities like :meth:`predict_proba_one`.
            w: weight of the target, which multiplies its error; 0: the target is not learned.

        Returns:
            A number, numbers ``[O]``, numbers by name, or a class; None while no class is known.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM("next", symbols="ab", cells=4, random_state=1)
        >>> for symbol in "ab" * 300:
        ...     expected = model.step(symbol)
        >>> expected, model.step("a")
        ('a', 'b')
        """
        engine = self._engine
        if proba or engine is None or engine.self_supervised:
            self._check_call(y, proba)
        if engine is None:
            engine = self._start(x, y)
        if w == 1.0:
            head, outputs = engine.step(x, y, key)
        else:  # a target of weight 0 is none
            w = check_number("w", w, least=0.0)
            head, outputs = engine.step(x, y if w else None, key, bool(w), w or 1.0)
        self._engine = engine
        return by_class(head, outputs) if proba else head.predict(outputs)

    def learn_one(self, x: Any, y: Any = None, key: Hashable = None, w: float = 1.0) -> None:
        """Advance by a row and learn its target if it has one: :meth:`step` without a result.

        With ``delay``, a row that :meth:`predict_one` has seen is not run again: its target is
        learned.
        """
        engine = self._engine
        if engine is not None and engine.remembered:
            found = engine.recollect(x, key)
            if found is not None:
                at, back = found
                try:
                    if y is not None and w:
                        engine.learn_late(y, back, key, check_number("w", w, least=0.0))
                except DataError as error:
                    if error.argument == "back":  # the row has a target already
                        del engine.remembered[at]
                    raise
                del engine.remembered[at]
                return
        self.step(x, y, key, w=w)

    def learn_late(self, y: Any, back: int, key: Hashable = None, w: float = 1.0) -> None:
        """Learn the target of an earlier row, with the state of that row; needs ``delay``.

        Args:
            y: the target.
            back: how many rows of the key have followed the row: 0 for its last one.
            key: the stream.
            w: weight of the target, see :meth:`step`.

        A target that comes after more than ``delay`` rows of its key is not learned, and counted
        by :attr:`n_lost_`.

        Raises:
            SettingError: ``delay`` is 0.
            DataError, ShapeError: the target is bad, the key has had no such row, or the row has
                its target already.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM(cells=4, delay=5, random_state=1)
        >>> for n in range(1000):  # a row's target is its own input, and comes 3 rows later
        ...     ahead = model.step([n % 4])
        ...     if n >= 3:
        ...         model.learn_late((n - 3) % 4, back=3)
        >>> abs(ahead - 999 % 4) < 0.1, model.n_lost_
        (True, 0)
        """
        if self._engine is None:
            raise DataError("the model has had no row, so none waits for a target", argument="back")
        self._check_call(y, False)
        self._engine.learn_late(y, back, key, check_number("w", w, least=0.0))

    def predict_one(self, x: Any, key: Hashable = None) -> Any:
        """Return the prediction of :meth:`step` at a row, without changing the model.

        With ``delay``, the model advances and remembers the row, and learns its target when
        :meth:`learn_one` is called with an equal row.

        Before the first row, it is the prediction of the initial network, or None where classes
        are still unknown.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM(cells=4, random_state=1)
        >>> model.learn_one({"a": 1.0}, 5.0)
        >>> model.predict_one({"a": 1.0}) == model.predict_one({"a": 1.0}) == model.step({"a": 1.0})
        True
        """
        engine = self._engine or self._start(x, None)
        if engine.settings.delay:
            head, outputs = engine.remember(x, key)
            self._engine = engine
        else:
            head, outputs = engine.peek(x, key)
        return head.predict(outputs)

    def predict_proba_one(self, x: Any, key: Hashable = None) -> dict[Hashable, float]:
        """Return the probability of each class at a row, without changing the model.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM("binary", cells=4, random_state=1)
        >>> sum(model.predict_proba_one([0.5]).values())
        1.0
        """
        self._check_call(None, proba=True)
        engine = self._engine or self._start(x, None)
        if engine.settings.delay:
            found = engine.remember(x, key)
            self._engine = engine
            return by_class(*found)
        return by_class(*engine.peek(x, key))

    def _check_call(self, y: Any, proba: bool) -> None:
        if self.task == "next" and y is not None:
            raise SettingError(
                "y is given, but task 'next' learns each symbol as the target of the one before",
                argument="y",
                got=y,
                fix="leave out {y}",
            )
        if self.task == "regression" and proba:
            raise SettingError(
                "task is 'regression', which has no probabilities",
                argument="task",
                got=self.task,
                expected="'binary' or 'multiclass'",
                fix="set {task=binary} or {task=multiclass}",
            )

    def _start(self, x: Any, y: Any) -> Engine:
        """Create the engine for the first row."""
        return Engine.start(self._settings(), x, y, self._seed())
