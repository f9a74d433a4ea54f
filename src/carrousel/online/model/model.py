"""The public model of endless streams: it learns at every step, in constant memory."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from carrousel.contracts import Optimizer
from carrousel.errors import DataError, DivergedError, RowError, SettingError
from carrousel.online.model.attributes import Attributes
from carrousel.online.model.batch import RunOutputs, run
from carrousel.online.model.conventions import Conventions
from carrousel.online.model.delays import LabelTimes
from carrousel.online.model.detailed import DetailedRuns
from carrousel.online.model.encoding.heads import by_name
from carrousel.online.model.encoding.tables import InputTable, as_table
from carrousel.online.model.encoding.targets import Targets
from carrousel.online.model.engine import Engine
from carrousel.online.model.horizons import Horizons
from carrousel.online.model.keys import listed_keys
from carrousel.online.model.minibatch import MiniBatches, target_weights
from carrousel.online.model.settings import (
    Experts,
    Feedback,
    Missing,
    Season,
    Standardise,
    Task,
    Unseen,
    alphabet,
)
from carrousel.online.model.single_rows import SingleRows


class OnlineLSTM(SingleRows, Conventions, Attributes, DetailedRuns, MiniBatches, Horizons):
    """Long short-term memory for endless streams, which predicts and learns row by row.

    The network learns at every row that has a target, by gradients that are carried forward through
    time. It stores states, one trace for each weight, running means, and a fixed amount of the past
    for expert rules. Time and memory of a step do not depend on the number of rows. Forget gates
    let cells discard old contents, so a stream needs no ends at which to reset them.

    Numeric inputs and targets are standardised by their running means and variances. Texts are
    encoded one-hot. The error ``e = y - prediction`` is measured in running standard deviations of
    the target and limited to ``-clip .. clip``, the gradient of Huber's loss. An outlier then moves
    weights no more than an error of ``clip`` deviations, and does not inflate the mean squares of
    the optimiser. Errors of probabilities never exceed 1, so the default affects only regression.

    Args:
        task: ``"regression"``: targets are numbers, vectors of numbers, or mappings from names to
            numbers, with squared error; entries that are None or NaN are not learned.
            ``"binary"``: two labels of any kind, with a logistic output: the probability of True,
            of 1, or else of the second label that occurs. ``"multiclass"``: classes, with softmax.
            ``"next"``: rows are symbols, and each is the target of the row before, with softmax.
        cells, block_size: number of memory cells, and how many share the gates of a block.
        forget_gate: whether blocks have a forget gate; its bias starts at 1, which remembers.
        wiring: ``"cells"``, or ``"full"``: hidden units also receive the gates (1997).
        gradient: ``"truncated"`` (1997), ``"immediate"``, ``"snap:1"``, ``"uoro"``, ``"sparse:k"``,
            or ``"rtrl"``, which is exact but slow; ``docs/gradients.md`` compares them.
        optimizer: ``"rmsprop"``, ``"adam"`` or ``"sgd"``.
        learning_rate: initial rate of the optimiser.
        decay: after ``n`` targets the rate is ``learning_rate / sqrt(1 + n / decay)``, but at least
            a tenth of ``learning_rate``; None: constant.
        clip: limit of errors, see above; in units of the targets without ``standardise``; None: no
            limit.
        standardise: whether to standardise numbers; ``"key"``: each key by scales of its own.
        horizon: number of rows that running means cover, roughly; None: all rows.
        classes: of ``"binary"`` (two, the second is positive) and ``"multiclass"``; None: classes
            are added when they first occur.
        symbols: the alphabet of rows that are single symbols: a list, a text with each character,
            or ``n`` for ``0 .. n - 1``. ``"next"`` can add symbols with ``unseen="grow"``.
        missing: ``"error"``, or ``"mean"``: a missing feature, None or NaN is replaced by the
            running mean.
        unseen: ``"error"``, or ``"grow"``: a new feature, category, symbol or class adds an input
            or an output, and keeps all that was learned. Memory grows with new names only. With
            ``"error"``, the first call must contain all categories, so pass a whole table to it.
        streams: number of keys with a state; all share the weights. A further key replaces the
            least recently used one, whose stream then starts from scratch.
        evict_after: a key also loses its state after this many rows (of all keys) without it.
        experts: ``"auto"``: in regression with ``standardise``, the net adds to the forecasts of
            expert rules, which see the past targets of a key (:class:`carrousel.contracts.Rules`).
            In other tasks, unless there is a ``delay``, probabilities are mixed with those of
            counts in contexts of symbols, or of frequencies and nearest rows. None: the net
            predicts alone.
        season: numbers: periods in rows that the rules use, such as ``(24, 168)``; ``"auto"``: the
            two best up to 1024 rows are looked for; None: none.
        ahead: numbers: how many targets each row forecasts, by one output for each (direct, not
            rolled out): its own, and those of the next ``ahead - 1`` rows of the key.
        delay: largest number of rows of a key that may follow a row before its target comes. Such
            rows wait in memory, with the inputs of the net, about 8 bytes for each; a second state
            follows behind and learns.
        levels: numbers: probabilities of prediction intervals (:meth:`forecast`).
        random_state: a seed or generator of the initial weights; None: different each time.

    Settings are checked at the first row, which also determines the number of features and their
    names. A row ``x`` is a mapping from names to numbers, texts or bools, a sequence of numbers, or
    a symbol. The first value of a feature decides whether it is a number or a text.

    A model is not thread-safe: several threads need a lock around its calls.

    Raises:
        DataError, RowError, ShapeError: a row or target cannot be learned; the model is unchanged.
        SettingError: settings contradict each other.
        DivergedError: weights are no longer finite; continue from the last file.

    >>> model = OnlineLSTM(cells=8, random_state=1)
    >>> errors = []
    >>> for n in range(600):  # the sum of this input and the one before
    ...     x, y = [n % 6], n % 6 + (n - 1) % 6
    ...     errors.append(abs(model.step(x, y) - y))
    >>> sum(errors[-50:]) < 0.1 * sum(errors[:50])
    True
    >>> model.n_steps_, model.n_features_in_
    (600, 1)

    Sources: Hochreiter & Schmidhuber 1997, appendix A.1, equations 19 to 28, for the gradient,
    whose only memory are the traces of equations 25 and 27; Gers, Schmidhuber & Cummins 2000,
    "Learning to forget", for the forget gate and its trace.
    """

    def __init__(
        self,
        task: Task = "regression",
        *,
        cells: int = 32,
        block_size: int = 1,
        forget_gate: bool = True,
        wiring: Feedback = "cells",
        gradient: str = "truncated",
        optimizer: Optimizer = "rmsprop",
        learning_rate: float = 0.003,
        decay: float | None = 10_000,
        clip: float | None = 3.0,
        standardise: bool | Standardise = True,
        horizon: float | None = None,
        classes: Any = None,
        symbols: Any = None,
        missing: Missing = "error",
        unseen: Unseen = "error",
        streams: int = 1,
        evict_after: int | None = None,
        experts: Experts | None = "auto",
        season: Season | Sequence[int] | int | None = "auto",
        ahead: int = 1,
        delay: int = 0,
        levels: Sequence[float] = (0.8, 0.9, 0.95),
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
        self.experts = experts
        self.season = season
        self.ahead = ahead
        self.delay = delay
        self.levels = levels
        self.random_state = random_state
        self._engine: Engine | None = None
        self._declared: tuple[Hashable, ...] | None = None  # classes given to partial_fit
        self._entropy = secrets.randbits(63)  # the seed where random_state is None
        self._drawn: tuple[Any, int] | None = None  # a generator and the seed drawn from it, once

    # --- many rows --------------------------------------------------------------------------

    def run(
        self,
        X: Any,
        y: Any = None,
        keys: Any = None,
        proba: bool = False,
        late: bool = False,
        weights: Any = None,
    ) -> Any:
        """Advance through many rows; return predictions, each made before its target was learned.

        The result is that of a :meth:`step` for each row, to the last bit, but consecutive rows
        without new names need only one call of compiled code.

        Args:
            X: ``N`` rows: an array ``[N, I]``, a list of rows, a mapping from names to columns, a
                data frame, or a sequence of symbols.
            y: targets; None or NaN where there is none. Targets with names are mappings, a mapping
                from names to columns, or a data frame.
            keys: the stream of each row; None: all belong to one.
            proba: return probabilities instead.
            late: a row's target belongs to the prediction at the row before of the same stream,
                and is learned before the row is used. ``run(X, X[column], late=True)`` forecasts
                the next value of a column.
            weights: of the targets, ``[N]`` numbers of at least 0, see :meth:`step`; None: 1.

        With ``delay``, targets are learned that many rows of all keys later.

        Returns:
            ``[N]`` predictions; ``[N, ahead]`` if the model forecasts several rows; with another
            axis ``[..., n]`` where targets are vectors; where they have names, a dict
            with the predictions ``[N]`` of each name, which a data frame accepts. With ``proba``,
            probabilities ``[N, classes]`` in the order of :attr:`classes_`, 0 for a class unknown
            at a row.

        Raises:
            RowError, DivergedError: rows before ``error.row`` have been learned, and
                ``error.outputs`` holds the results for them.

        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(3000, 2))
        >>> y = 100 + 5 * np.roll(X[:, 0], 1)  # the input of the step before
        >>> predictions = OnlineLSTM(cells=8, random_state=1).run(X, y)
        >>> bool(np.mean(np.abs(predictions[-200:] - y[-200:])) < np.abs(y - y.mean()).mean() / 2)
        True
        """
        return self._run(X, y, keys, proba, late=late, weights=weights)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        keys: Any = None,
        sample_weight: Any = None,
    ) -> OnlineLSTM:
        """Learn many rows in order (scikit-learn): :meth:`run` without a result.

        Args:
            X, y, keys: see :meth:`run`.
            classes: all classes, in the first call; later None, or some of the same.
            sample_weight: ``weights`` of :meth:`run`.
        """
        before = self._declared
        if classes is not None:
            self._declare(classes)
        try:
            self._run(X, y, keys, False, weights=sample_weight)
        except BaseException:
            if self._engine is None:
                self._declared = before
            raise
        return self

    def predict_proba(self, X: Any, keys: Any = None) -> np.ndarray:
        """Return probabilities ``[N, classes]`` for the next rows; see :meth:`predict`."""
        return self._run(X, None, keys, True, learn=False)

    def _run(
        self,
        X: Any,
        y: Any,
        keys: Any,
        proba: bool,
        learn: bool = True,
        late: bool = False,
        weights: Any = None,
    ) -> Any:
        self._check_call(y, proba)
        engine, outputs, error = self._run_rows(X, y, keys, learn, late, weights)
        head = engine.head
        found = outputs.probabilities(head) if proba else by_name(head, outputs.predictions(head))
        if error is not None:
            error.outputs = found
            raise error
        return found

    def _run_rows(
        self,
        X: Any,
        y: Any,
        keys: Any,
        learn: bool,
        late: bool,
        weights: Any = None,
        bounds: bool = False,
        taught: bool = False,
        label_times: LabelTimes | None = None,
    ) -> tuple[Engine, RunOutputs, RowError | DivergedError | None]:
        """Run rows; return the engine, its outputs, and the error that ended the run, if any."""
        settings = self._settings() if self._engine is None else self._engine.settings
        table = as_table(X, settings.task == "next" or settings.symbols is not None)
        names, factors = listed_keys(keys), target_weights(weights, len(table))
        targets = None if y is None else Targets(y, None if factors is None else factors == 0)
        engine = self._engine
        if engine is None:
            engine = self._start_with(table, targets)
        elif not learn:
            engine = engine.copy()
        outputs = RunOutputs(bounds, taught)
        try:
            run(engine, table, targets, names, outputs, learn, late, factors, label_times)
        except (RowError, DivergedError) as error:
            return engine, outputs, error
        finally:
            if learn and engine.n_rows:  # also after an error or an interrupt
                self._engine = engine
        return engine, outputs, None

    def _start_with(self, table: InputTable, targets: Targets | None) -> Engine:
        """Create the engine for the first table."""
        if not len(table):
            expected = "at least one"
            raise DataError(f"X has no rows, expected {expected}", argument="X", expected=expected)
        y = targets.first() if targets is not None and self.task == "regression" else None
        try:
            return Engine.start(self._settings(), table.first(), y, self._seed(), table.categories)
        except DataError as error:
            raise error.recast(RowError, row=0, outputs=np.empty(0)) from error

    # --- streams and classes ----------------------------------------------------------------

    def reset(self, key: Hashable = None) -> None:
        """Discard the state of a stream; weights are unchanged.

        Args:
            key: the stream; None: all streams.
        """
        if self._engine is not None:
            places = self._engine.keys.places()
            for one in [k for k, _ in places] if key is None else (key,):
                self._engine.reset(one)

    def _declare(self, classes: Any) -> None:
        """Store the classes of the first ``partial_fit``, or check those of a later one."""
        engine = self._engine
        given = alphabet("classes", classes)
        if engine is None:
            self._declared = given
            return
        known = engine.settings.classes or engine.head.classes
        if not set(given or ()) <= set(known):
            raise SettingError(
                argument="classes",
                got=given,
                expected=f"some of {known!r}, the classes of the first call",
                fix="give all {classes} in the first call",
            )
