"""The door for endless streams: a model that learns at every step, in constant memory."""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from typing import Any

import numpy as np

from carrousel.errors import DataError, DivergedError, RowError, SettingError
from carrousel.online.model.attributes import Attributes
from carrousel.online.model.batch import Said, run
from carrousel.online.model.conventions import Conventions
from carrousel.online.model.detailed import DetailedRuns
from carrousel.online.model.engine import Engine
from carrousel.online.model.settings import alphabet
from carrousel.online.model.tables import Table, as_table
from carrousel.online.model.targets import Goals
from carrousel.online.model.values import absent


class OnlineLSTM(Conventions, Attributes, DetailedRuns):
    """Long short-term memory on streams without end: predict, learn, go on.

    At every row that has a target, the net learns at once, by gradients that were carried forward
    through time: nothing of the past is kept but states, one trace for each weight, and running
    means. Time and memory of a step are the same after a hundred rows and a hundred million. With
    forget gates, cells empty themselves where a stream has no ends at which to reset them.

    Inputs that are numbers are standardised by their running means and variances, and so are
    targets; texts are one-hot. A target ``y`` enters by the error ``e = y - prediction``, in units
    of its running standard deviation and cut off at plus and minus ``clip``, which is the gradient
    of Huber's loss: one wild value then moves weights no more than one at ``clip`` deviations, and
    optimisers that look back on squared gradients do not stand still for long after it. Errors of
    probabilities never exceed 1, so the default touches numbers alone.

    Args:
        task: ``"regression"``: targets are numbers, or vectors of them, with squared error.
            ``"binary"``: two labels of any kind, by a logistic output, the probability of True, of
            1, or else of the label met later. ``"multiclass"``: classes, by softmax. ``"next"``:
            rows are symbols, and each is the target of the row before, by softmax.
        cells, block_size: memory cells, and how many share a block's gates.
        forget_gate: whether blocks have one; their biases begin at 1, which remembers.
        wiring: ``"cells"``, or ``"full"``, where gates too feed the hidden units (1997).
        gradient: ``"truncated"`` (1997), ``"snap:1"``, ``"uoro"``, or ``"rtrl"``, which is exact
            and costs each weight as many operations as there are units.
        optimizer: ``"rmsprop"``, ``"adam"`` or ``"sgd"``.
        learning_rate: of the optimiser, at first.
        decay: it falls like the root of the number ``n`` of targets learned, ``learning_rate /
            sqrt(1 + n / decay)``, but never below a tenth, for a stream may change; None: it stays.
        clip: above; in the targets' own units without ``standardise``; None: never.
        standardise: whether numbers are standardised; without it they enter as they are.
        horizon: running means forget what is older than about so many rows; None: never.
        classes: of ``"binary"`` (two, the second is the positive) and ``"multiclass"``; None: they
            are learned as they come.
        symbols: the alphabet of rows that are single symbols: a list, a text with each character,
            or ``n`` for ``0 .. n - 1``. ``"next"`` may learn it as it comes, by ``unseen="grow"``.
        missing: ``"error"``, or ``"mean"``: an absent feature, None or NaN is taken for the mean.
        unseen: ``"error"``, or ``"grow"``: a new feature, category, symbol, or class beyond those
            of ``classes``, adds an input or an output; what is known stays. With ``"error"``, the
            categories of a feature are those of the first call, so begin with a whole table. Under
            ``"grow"`` memory grows with what is new, never with time.
        streams: how many keys may live at once; each has its own state, all share the weights. One
            beyond them takes the place of the one unseen for longest, which then begins anew.
        evict_after: a key unseen for so many rows, of all keys together, begins anew too.
        random_state: a seed or generator of the initial weights; None: another at each time.

    A model serves one thread at a time; several need a lock around its calls.

    Settings are checked when the first row comes, which also says how many features a row has and
    what they are called. A row ``x`` is a mapping from names to numbers, texts or bools, a sequence
    of numbers, or a symbol. A feature is a number or a text by what it is at first.

    Raises:
        DataError, RowError, ShapeError: a row or target that cannot be learned; the model is as it
            was before it, and says what was wrong where.
        SettingError: settings contradict each other.
        DivergedError: weights would no longer be finite; go on from the last file.

    >>> model = OnlineLSTM(cells=8, random_state=1)
    >>> errors = []
    >>> for n in range(600):  # the sum of what comes and what came before
    ...     x, y = [n % 6], n % 6 + (n - 1) % 6
    ...     errors.append(abs(model.step(x, y) - y))
    >>> sum(errors[-50:]) < 0.1 * sum(errors[:50])
    True
    >>> model.n_steps_, model.n_features_in_
    (600, 1)

    The gradient is that of Hochreiter & Schmidhuber 1997, appendix A.1, equations 19 to 28, which
    needs nothing of the past but the traces of 25 and 27; the forget gate, with a trace of its own,
    is that of Gers, Schmidhuber & Cummins 2000, "Learning to forget".
    """

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
        decay: float | None = 10_000,
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
        self.decay = decay
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
        """Advance by a row, return the prediction, then learn the target if one is given.

        Args:
            x: the row; with task ``"next"``, a symbol, which first is learned as the target of the
                prediction before, and then leads to the prediction of the symbol after it.
            y: the target; None: there is none, or it is not known.
            key: which stream the row belongs to, where there are several; anything hashable.
            proba: return probabilities, as :meth:`predict_proba_one` does.

        Returns:
            A number, numbers ``[O]``, or a class; None where no class has been met yet.

        >>> model = OnlineLSTM("next", symbols="ab", cells=4, random_state=1)
        >>> for symbol in "ab" * 300:
        ...     expected = model.step(symbol)
        >>> expected, model.step("a")
        ('a', 'b')
        """
        engine = self._engine
        if proba or engine is None or engine.own_targets:
            self._check_call(y, proba)
        if engine is None:
            engine = self._begun(x, y)
        head, outputs = engine.step(x, y, key)
        self._engine = engine
        return self._told(head, outputs) if proba else head.answer(outputs)

    def learn_one(self, x: Any, y: Any = None, key: Hashable = None) -> None:
        """Advance by a row and learn its target, if it has one: :meth:`step` without an answer."""
        self.step(x, y, key)

    def predict_one(self, x: Any, key: Hashable = None) -> Any:
        """The prediction at a row from the present state, that of :meth:`step`; nothing moves.

        Before the first row, it is that of the net as it would begin; of several classes it is None
        until one has been met.

        >>> model = OnlineLSTM(cells=4, random_state=1)
        >>> model.learn_one({"a": 1.0}, 5.0)
        >>> model.predict_one({"a": 1.0}) == model.predict_one({"a": 1.0}) == model.step({"a": 1.0})
        True
        """
        engine = self._engine or self._begun(x, None)
        head, outputs = engine.peek(x, key)
        return head.answer(outputs)

    def predict_proba_one(self, x: Any, key: Hashable = None) -> dict[Hashable, float]:
        """The probability of each class at a row from the present state; nothing moves.

        >>> model = OnlineLSTM("binary", cells=4, random_state=1)
        >>> sum(model.predict_proba_one([0.5]).values())
        1.0
        """
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

        It is the same as a :meth:`step` for each, to the last bit, but one call of compiled code
        wherever nothing new comes.

        Args:
            X: ``N`` rows: an array ``[N, I]``, a list of rows, a mapping from names to columns, a
                data frame, or a sequence of symbols.
            y: their targets; None or NaN where there is none.
            keys: the stream of each row; None: all are of one.
            proba: return probabilities instead.
            late: a target comes one row late: that of a row is what the prediction at the row
                before of the same stream was about, and is learned before the row is taken. A
                forecast of the next value of a column is ``run(X, X[column], late=True)``.

        Returns:
            ``[N]`` predictions, or ``[N, O]`` where targets are vectors; probabilities ``[N, K]``
            in the order of :attr:`classes_`, 0 for a class that was not known at a row.

        Raises:
            RowError, DivergedError: rows before ``error.row`` have been taken, and
                ``error.outputs`` is what would have been returned for them.

        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(1000, 2))
        >>> y = 100 + 5 * np.roll(X[:, 0], 1)  # what came a step before
        >>> predictions = OnlineLSTM(cells=8, random_state=1).run(X, y)
        >>> bool(np.mean(np.abs(predictions[-200:] - y[-200:])) < np.abs(y - y.mean()).mean() / 2)
        True
        """
        return self._run(X, y, keys, proba, late=late)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, keys: Any = None
    ) -> OnlineLSTM:
        """Learn many rows in order (scikit-learn): :meth:`run` without an answer.

        Args:
            X, y, keys: as of :meth:`run`.
            classes: all there are, in the first call; later None, or the same or some of them.
        """
        before = self._declared
        if classes is not None:
            self._declare(classes)
        try:
            self._run(X, y, keys, False)
        except BaseException:
            if self._engine is None:
                self._declared = before
            raise
        return self

    def predict(self, X: Any, keys: Any = None) -> np.ndarray:
        """Predictions at rows that would come next, without their targets; nothing moves.

        A copy of the model goes through the rows, from the present states of their streams.
        """
        return self._run(X, None, keys, False, learn=False)

    def predict_proba(self, X: Any, keys: Any = None) -> np.ndarray:
        """Probabilities at rows that would come next, ``[N, K]``; see :meth:`predict`."""
        return self._run(X, None, keys, True, learn=False)

    def _run(
        self, X: Any, y: Any, keys: Any, proba: bool, learn: bool = True, late: bool = False
    ) -> np.ndarray:
        self._check_call(y, proba)
        engine, said, error = self._taken(X, y, keys, learn, late)
        outputs = said.probabilities(engine.head) if proba else said.predictions()
        if error is not None:
            error.outputs = outputs
            raise error
        return outputs

    def _taken(
        self, X: Any, y: Any, keys: Any, learn: bool, late: bool
    ) -> tuple[Engine, Said, RowError | DivergedError | None]:
        """Take rows; return the engine, its outputs, and why a row was not taken."""
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
            return engine, said, error
        finally:
            if learn and engine.now:  # what was learned stays, however the call ends
                self._engine = engine
        return engine, said, None

    def _begun_by(self, table: Table, goals: Goals | None) -> Engine:
        if not len(table):
            raise DataError("X has no rows, and the model has met none; expected at least one")
        y = goals.first() if goals is not None and self.task == "regression" else None
        try:
            return Engine.begun(self._settings(), table.first(), y, self._seed(), table.categories)
        except DataError as error:
            raise error.recast(RowError, row=0, outputs=np.empty(0)) from error

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

    def _begun(self, x: Any, y: Any) -> Engine:
        return Engine.begun(self._settings(), x, y, self._seed())

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
        distinct = set(names)
    except TypeError as error:
        raise DataError(
            "keys hold something that is not hashable, expected texts, numbers, None or tuples"
        ) from error
    odd = [name for name in distinct if name is not None and absent(name)]
    if odd:
        raise DataError(
            f"keys hold {odd[0]!r}, which does not equal itself; expected texts, numbers, None or "
            "tuples"
        )
    return names
