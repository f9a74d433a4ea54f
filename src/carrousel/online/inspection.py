"""Inspection of a model of endless streams: its net, over rows that follow its state."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import Gradient, Network, StreamKernel
from carrousel.errors import DataError, RowError, SettingError, ShapeError
from carrousel.inspection.networks import Case, Net, examine
from carrousel.inspection.networks.inspect import PATHS, checked_gradient
from carrousel.inspection.report import Report
from carrousel.kernels.reference.layers import Weights
from carrousel.kernels.reference.rules import MOST_WANTED
from carrousel.online.model.encoding.tables import InputTable, as_table
from carrousel.online.model.encoding.targets import Targets
from carrousel.online.model.engine import Engine
from carrousel.online.model.model import OnlineLSTM
from carrousel.shapes import Floats

STEPS = 100
"""Length of a window, if the task has no known lag."""
WINDOWS = 16
"""Largest number of windows."""


def inspect_stream(
    model: OnlineLSTM,
    X: Any,
    y: Any = None,
    *,
    key: Hashable = None,
    lag: int | None = None,
    late: bool = False,
    steps: int | None = None,
    gradient: str | None = None,
) -> Report:
    """Report where the error flows in the net of a model, how long it remembers, and its faults.

    A copy of the model runs the rows from the model's state. Its weights are constant; running
    means and expert rules continue. The rows are divided into windows of ``steps`` rows, the last
    ones if there are many. Each window is a sequence of the report, which starts with the state
    that the net had there; the loss reads its last row with a target. Inputs are those of the net:
    standardised, followed by features of the expert rules. With such rules the target is what the
    net should add to their forecast.

    Args:
        model: the model, which has had rows; it does not change.
        X: the next rows of one stream, in any form that :meth:`OnlineLSTM.run` accepts.
        y: their targets; not for task ``"next"``.
        key: the stream.
        lag: time lag that the task asks for, in rows; None: unknown.
        late: a row's target belongs to the row before, as in :meth:`OnlineLSTM.run`.
        steps: rows of a window; None: ``2 lag + 2``, or 100 without ``lag``, but at most half of
            the rows.
        gradient: algorithm along whose paths errors are followed; None: that of the model, or
            ``"bptt"`` where that is an estimate.

    Raises:
        DataError, ShapeError: rows or targets cannot be run; a name is new to the model; no row has
            a target; the model has had no row, or none of this key. RowError is a DataError.
        SettingError: a number is out of range, or the gradient has no paths.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 1))
    >>> y = np.roll(X[:, 0], 3)
    >>> model = OnlineLSTM(cells=4, random_state=1).partial_fit(X[:400], y[:400])
    >>> report = inspect_stream(model, X[400:], y[400:], lag=3)
    >>> report.read_reach().cell, len(report.used.lags) > 2
    ('lstm', True)
    """
    if lag is not None:
        lag = check_int("lag", lag, minimum=0)
    if steps is not None:
        steps = check_int("steps", steps, minimum=1)
    run = run_stream(model, X, y, key=key, late=late)
    if steps is None:
        steps = max(1, min(STEPS if lag is None else 2 * lag + 2, len(run) // 2))
    own = Gradient.named(model.gradient)
    chosen = checked_gradient(gradient or (own if own.kind in PATHS else "bptt"))
    net = Net(run.network, run.weights, run.kernel.streaming.head, chosen)
    return examine(net, run.cases(steps), lag=lag)


@dataclass(eq=False)
class StreamRun:
    """Rows that a copy of a model has run with constant weights.

    Attributes:
        kernel: of the copy.
        weights: ``[W]``, float64.
        x: inputs of the net at each row ``[N, I]``.
        targets: of the net ``[N, O]``, in the units of its outputs; NaN where there is none.
        y: activations of hidden units before each row, and after the last, ``[N+1, U]``.
        s: cell states likewise ``[N+1, C]``.
        outputs: outputs of the kernel at each row, ``[N, O]``: with those of experts.
    """

    kernel: StreamKernel
    weights: Annotated[Floats, "W"]
    x: Annotated[Floats, "N I"]
    targets: Annotated[Floats, "N O"]
    y: Annotated[Floats, "N+1 U"]
    s: Annotated[Floats, "N+1 C"]
    outputs: Annotated[Floats, "N O"]

    def __len__(self) -> int:
        return len(self.x)

    @property
    def network(self) -> Network:
        """The net."""
        return self.kernel.network

    def cases(self, steps: int) -> list[Case]:
        """Return windows of rows, each up to its last row with a target.

        Raises:
            DataError: no window has a target.
        """
        found = list[Case]()
        there = np.logical_not(np.isnan(self.targets).all(axis=1))
        last = int(np.flatnonzero(there)[-1]) + 1 if there.any() else 0
        for end in range(last, 0, -steps):
            start = max(0, end - steps)
            rows = start + np.flatnonzero(there[start:end])
            if len(found) == WINDOWS or (found and end < steps):  # a shorter rest is left out
                break
            if len(rows):
                stop = int(rows[-1])
                window = self.x[start : stop + 1]
                found.append(Case(window, self.targets[stop], self.y[start], self.s[start]))
        if not found:
            raise DataError(
                "no row has a target that the net can learn",
                argument="y",
                expected="a target for at least one row",
            )
        return found[::-1]


def run_stream(
    model: OnlineLSTM, X: Any, y: Any = None, *, key: Hashable = None, late: bool = False
) -> StreamRun:
    """Run rows by a copy of a model; arguments and errors are those of :func:`inspect_stream`."""
    engine = model._engine
    if engine is None:
        raise DataError(
            "the model has had no row, so it has no net yet",
            argument="model",
            fix="learn rows with model.run or model.partial_fit first",
        )
    place = engine.keys.find(key, engine.n_rows)
    if place is None:
        raise DataError(
            argument="key",
            got=key,
            expected=f"one of the model's streams, such as {model.keys[:3]!r}",
        )
    settings = engine.settings
    if engine.self_supervised and y is not None:
        raise SettingError(
            "task 'next' has no targets of its own", argument="y", fix="leave out {y}"
        )
    rows = as_table(X, settings.task == "next" or settings.symbols is not None)
    targets = None if y is None else Targets(y)
    for name, given in (("X", rows), ("y", targets)):
        if given is not None and len(given) != max(len(rows), 1):
            expected = "at least one row" if name == "X" else f"{len(rows)}, one for each row"
            raise DataError(argument=name, got=len(given), expected=expected)
    inputs, wanted = _encoded(engine, rows, targets)
    return _Runner(engine.copy(), place, late or engine.self_supervised).run(inputs, wanted)


def _encoded(
    engine: Engine, rows: InputTable, targets: Targets | None
) -> tuple[Annotated[Floats, "N columns"], Annotated[Floats, "N V"]]:
    """Encode rows and targets, which must have no new names."""
    inputs = rows.encode(engine.features, 0, len(rows))
    if engine.self_supervised:
        wanted = inputs
    elif targets is None:
        wanted = np.full((len(rows), engine.head.n_targets), np.nan)
    else:
        wanted = targets.encode(engine.head, 0, len(rows))
    for name, found in (("X", inputs), ("y", wanted)):
        if len(found) < len(rows):
            n = len(found)
            try:  # a model that does not grow refuses the row, with a better reason
                engine.copy().extend(rows.row(n), None if targets is None else targets.row(n))
            except (DataError, ShapeError) as error:
                raise error.recast(RowError, row=n) from error
            problem = f"{name} has a name that is new to the model"
            raise RowError(problem, argument=name, row=n, fix="let the model learn the row first")
    if not engine.accepts(inputs):
        raise DataError(argument="X", got="numbers above 1e30", expected="smaller numbers")
    return inputs, wanted


class _Runner:
    """Runs rows of one stream with constant weights, and reads the net's state at each.

    Args:
        engine: a copy of the model's, which is changed.
        place: the stream's place in the kernel.
        late: whether a row's target belongs to the row before.
    """

    def __init__(self, engine: Engine, place: int, late: bool) -> None:
        self._engine, self._kernel = engine, engine.kernel
        self._place, self._late = place, late
        self._streaming = engine.kernel.streaming
        self._leads = self._streaming.rules.leads if self._streaming.rules else 1
        for other in range(engine.kernel.n_streams):
            if other != place:
                self._kernel.reset(other)  # their states need not be copied at each row
        self._kernel.rate = 0.0

    def run(
        self, rows: Annotated[Floats, "N columns"], targets: Annotated[Floats, "N V"]
    ) -> StreamRun:
        """Run rows; return the inputs, targets and states of the net."""
        kernel, n = self._kernel, len(rows)
        first = self._parts()
        found = [_hidden(first)]
        inputs = np.zeros((n, kernel.network.n_inputs))
        goals = np.full((n, kernel.network.n_outputs), np.nan)
        outputs = np.zeros((n, kernel.network.n_outputs))
        for i in range(n):
            outputs[i] = self._advance(rows[i], targets[i])
            parts = self._parts()
            found.append(_hidden(parts))
            inputs[i] = self._inputs(parts, rows[i])
            goals[i] = self._goals(parts, targets[i + self._late : i + self._late + self._leads])
            if not self._late and not np.isnan(targets[i]).all():
                kernel.learn(self._place, targets[i])
        y, s = (np.array(each) for each in zip(*found, strict=True))
        matrices = Weights(*(first[name].astype(np.float64) for name in ("hidden", "output")))
        flat = np.zeros(kernel.network.n_weights)
        matrices.add_to(kernel.network, flat, 1.0)
        return StreamRun(kernel, flat, inputs, goals, y, s, outputs)

    def _advance(
        self, row: Annotated[Floats, "columns"], target: Annotated[Floats, "V"]
    ) -> Annotated[Floats, "O"]:
        engine = self._engine
        if engine.late.waiting:  # targets of rows before the first
            engine.learn_due()
        engine.n_rows += 1
        if engine.settings.delay:
            engine.late.rows[self._place] += 1
        if not self._late:
            return self._kernel.advance(self._place, row)
        known = None if np.isnan(target).all() else target[None]
        return self._kernel.run(np.array([self._place]), row[None], known, True)[0]

    def _parts(self) -> dict[str, np.ndarray]:
        """Return the kernel's state; parts of streams are those of this one."""
        state = self._kernel.state()
        place = state["streams"].tolist().index(self._place)
        own = {"y", "s", "sources", "front", "rules_rows", "rules_key"}
        own |= {"pending_counts", "pending_inputs"}
        own |= {"inputs", "targets"} if self._streaming.by_key else set()
        return {k: part[place] if k in own else part for k, part in state.items()}

    def _inputs(
        self, parts: dict[str, np.ndarray], row: Annotated[Floats, "columns"]
    ) -> Annotated[Floats, "I"]:
        """Return the inputs of the net at the last row."""
        n = self._kernel.network.n_inputs
        if self._streaming.symbols:
            return np.eye(1, n, int(row[0]))[0]
        if "front" in parts:  # rows wait for their targets
            begun, waiting = int(parts["pending_counts"][0]), parts["pending_inputs"]
            return waiting[(begun - 1) % len(waiting)]
        return parts["sources"][:n]

    def _goals(
        self, parts: dict[str, np.ndarray], targets: Annotated[Floats, "leads V"]
    ) -> Annotated[Floats, "O"]:
        """Return the targets of the net at the last row, of all leads."""
        found = np.full((self._leads, targets.shape[1]), np.nan)
        found[: len(targets)] = targets
        if self._streaming.head == "softmax":
            label = found[0, 0]
            n = self._kernel.network.n_outputs
            return np.full(n, np.nan) if np.isnan(label) else np.eye(1, n, int(label))[0]
        wanted = found.T.ravel()  # by variable, then lead
        if self._streaming.rules is not None:
            base, scale = self._rules(parts)
            return np.clip((wanted - base) / scale, -MOST_WANTED, MOST_WANTED)
        if self._streaming.scale_targets:
            _, mean, variance, _ = parts["targets"].T
            return (wanted - mean) / np.where(variance > 0, np.sqrt(variance), 1.0)
        return wanted

    def _rules(
        self, parts: dict[str, np.ndarray]
    ) -> tuple[Annotated[Floats, "O"], Annotated[Floats, "O"]]:
        """Return the forecast of the expert rules at the last row, and its scale."""
        how = self._streaming.rules
        assert how is not None
        rows, done = parts["rules_rows"], int(parts["rules_key"][0])
        # by variable: known values, mean, unit; by output: scale, forecast
        last, n = rows[(done - 1) % len(rows)][3 * how.variables :], how.n_outputs
        return last[n : 2 * n], last[:n]


def _hidden(
    parts: dict[str, np.ndarray],
) -> tuple[Annotated[Floats, "U"], Annotated[Floats, "C"]]:
    """Return activations and cell states of the state that predicts."""
    y, s = parts["y"], parts["s"]
    if "front" in parts:
        y, s = np.split(parts["front"], [len(y)])
    return y.astype(np.float64), s.astype(np.float64)
