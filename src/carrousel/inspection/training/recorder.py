"""Measures a model every so many steps of its training."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Collection, Container, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from carrousel.checks import check_choice, check_int, check_number
from carrousel.errors import InputError, SettingError
from carrousel.inspection.record.model import Subject
from carrousel.inspection.report import Report
from carrousel.inspection.run import inspect
from carrousel.inspection.training.files import sink_of
from carrousel.inspection.training.measuring import MEASURES, Measure, Measurement, measure
from carrousel.inspection.training.pace import Clock, Pace

Sink = Callable[[Measurement], object]
"""Receives each measurement."""
Loss = Callable[[Any], Tensor]


class PowersOfTwo(Container[int]):
    """The steps 0, 1, 2, 4, 8, ...: few snapshots, most of them early.

    >>> [step for step in range(100) if step in PowersOfTwo()]
    [0, 1, 2, 4, 8, 16, 32, 64]
    """

    def __contains__(self, step: object) -> bool:
        return isinstance(step, int) and step >= 0 and step & (step - 1) == 0


class ReachRecorder:
    """Measures the reach of a model every N steps of its training, and passes it to a sink.

    Call :meth:`step` once for each step of the training, at the beginning of the loop's body: then
    row ``n`` describes the weights after ``n`` updates. The training is not disturbed: weights,
    gradients, also half accumulated ones, buffers, mode, random numbers and the optimizer stay as
    they are. A model in a wrapper of ``torch.compile`` or ``DistributedDataParallel`` is measured
    without it.

    Scalars:

    - ``reach/half_life``: steps in which the error halves; infinite: it does not decay.
    - ``reach/rate``: factor by which the error changes per step.
    - ``reach/asked``: relative error at ``lag``; ``reach/lag_K`` at other lags.
    - ``reach/loss``: loss of the measured batch.
    - ``gates/saturated``: share of gate values below 0.01 or above 0.99, and one for each gate.
    - ``gradient/norm``: norm of the gradient of all weights together.
    - ``memory/lag_K``: rise of the loss if the history beyond the lag is foreign.

    Args:
        model: as for :func:`carrousel.inspection.inspect`.
        inputs: fixed small batch, best of 4 to 16 sequences; None: :meth:`step` receives inputs.
        loss: takes the output of the model and returns a scalar; None likewise.
        every: number of steps between measurements; None: as many as ``budget`` requires.
        lag: time lag that the task asks for, in steps; None: unknown.
        lags: lags of the curve that become scalars; None: powers of two below the length of the
            first batch. Set them if batches have different lengths.
        sink: file name that ends with ``.csv`` or ``.jsonl``, a sink of this package, any function
            of a :class:`Measurement`, or several of them in a list.
        budget: largest time of measuring relative to that of training, if ``every`` is None. The
            first measurement is made at once, whatever it takes.
        measures: what to measure; ``"memory"`` runs the model once for each lag.
        snapshots: steps at which a whole :class:`Report` is kept in :attr:`reports`, such as
            :class:`PowersOfTwo`; None: none. A report takes longer than a measurement, and as much
            memory as several copies of the states of one sequence. Its time counts as measuring.
        on_error: ``"warn"``: what fails in a measurement is a warning, once, and the training goes
            on; ``"raise"``: it is an exception. An error of a sink at the first row is always
            raised.
        clock: returns the time in seconds.

    Attributes:
        reports: whole reports by step.
        failures: number of measurements and rows that failed.

    Raises:
        SettingError: a setting is out of range.
        UnknownNameError: a measure is unknown.

    >>> net, rows = torch.nn.LSTM(2, 8, batch_first=True), []
    >>> x = torch.ones(4, 10, 2)
    >>> recorder = ReachRecorder(net, x, lambda y: y[0][:, -1].mean(), every=2, sink=rows.append)
    >>> for step in range(4):
    ...     _ = recorder.step()
    >>> [row.step for row in rows], len(rows[0].curve)
    ([0, 2], 10)
    """

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Any = None,
        loss: Loss | None = None,
        *,
        every: int | None = None,
        lag: int | None = None,
        lags: Sequence[int] | None = None,
        sink: Sink | str | os.PathLike[str] | Sequence[Sink | str | os.PathLike[str]],
        budget: float = 0.02,
        measures: Measure | Collection[Measure] = ("reach", "gates", "gradient"),
        snapshots: Container[int] | None = None,
        on_error: Literal["warn", "raise"] = "warn",
        clock: Clock = time.perf_counter,
    ) -> None:
        every = None if every is None else check_int("every", every, minimum=1)
        self.lag = None if lag is None else check_int("lag", lag, minimum=0)
        self.lags = None if lags is None else [check_int("lags", one, minimum=0) for one in lags]
        several = (measures,) if isinstance(measures, str) else measures
        self.measures = [check_choice("measures", one, MEASURES) for one in several]
        self.on_error = check_choice("on_error", on_error, ("warn", "raise"))
        self.model, self.inputs, self.loss = model, inputs, loss
        self.snapshots = () if snapshots is None else snapshots
        self.reports: dict[int, Report] = {}
        self.failures = 0
        self._sinks = _sinks(sink)
        self._has_rows = False
        self._warned: set[str] = set()
        self._next = 0
        self._pace = Pace(every, check_number("budget", budget, above=0.0), clock)

    def step(
        self, step: int | None = None, *, inputs: Any = None, loss: Loss | None = None
    ) -> Measurement | None:
        """Count a step of the training; measure if it is time.

        Args:
            step: its number; None: one more than that of the last call, from 0. Give it in a
                training that continues from a checkpoint.
            inputs: batch to measure instead of the fixed one.
            loss: loss of that batch.

        Returns:
            The measurement; None: there was none.

        Raises:
            InputError: inputs or loss are neither given here nor in the constructor.
            CarrouselError: the sink refuses the first row, or with ``on_error="raise"`` any other
                failure.
        """
        step = self._next if step is None else check_int("step", step, minimum=0)
        self._next = step + 1
        batch = self._batch(inputs, loss)
        with self._pace.visit():
            if step in self.snapshots:
                self._snapshot(step, *batch)
            if not self._pace.due(step):
                return None
            self._finish_training()
            with self._pace.spending():
                found = self._measured(step, *batch)
                if found is not None:
                    self._send(found)
                return found

    def cost(self) -> float:
        """Return the time of measuring divided by that of training; NaN before any training.

        Time between two calls of :meth:`step` counts as training, pauses included.
        """
        return self._pace.share()

    def _batch(self, inputs: Any, loss: Loss | None) -> tuple[Any, Loss]:
        inputs = self.inputs if inputs is None else inputs
        loss = self.loss if loss is None else loss
        if inputs is None or loss is None:
            raise InputError(
                argument="inputs" if inputs is None else "loss",
                got=None,
                expected="what is measured",
                fix="pass {inputs} and {loss} to ReachRecorder, or to each call of step",
            )
        return inputs, loss

    def _finish_training(self) -> None:
        """Wait for work that the training has queued on a device; that time is training."""
        if torch.cuda.is_initialized():
            with self._pace.more_training():
                torch.cuda.synchronize()

    def _measured(self, step: int, inputs: Any, loss: Loss) -> Measurement | None:
        try:
            subject = Subject(bare(self.model), inputs, loss)
            scalars, curve, lags = measure(subject, self.measures, self.lag, self.lags)  # type: ignore[arg-type]
        except Exception as error:
            self._failed(step, "measured", error)
            return None
        self.lags = list(lags)
        if self.lag is not None and "reach/asked" in scalars and self.lag >= len(curve):
            self._warn(
                "lag",
                f"reach/asked is NaN: at most {len(curve) - 1} steps precede the one that the loss "
                f"reads, and lag is {self.lag}",
            )
        return Measurement(step, time.time(), scalars, curve)

    def _snapshot(self, step: int, inputs: Any, loss: Loss) -> None:
        with self._pace.spending(expected=False):
            try:
                self.reports[step] = inspect(bare(self.model), inputs, loss, self.lag)
            except Exception as error:
                self._failed(step, "inspected", error)

    def _send(self, measurement: Measurement) -> None:
        for sink in self._sinks:
            try:
                sink(measurement)
            except Exception as error:
                if not self._has_rows:
                    raise
                self._failed(measurement.step, "written", error)
        self._has_rows = True

    def _failed(self, step: int, what: str, error: Exception) -> None:
        self.failures += 1
        if self.on_error == "raise":
            raise error
        self._warn(
            what,
            f"step {step} was not {what}: {error}. The training continues, and further failures "
            "are only counted, in ReachRecorder.failures",
        )

    def _warn(self, kind: str, text: str) -> None:
        """Warn once for each kind."""
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(text, stacklevel=5)


def bare(model: Callable[..., Any]) -> Callable[..., Any]:
    """Return the model inside wrappers that compile it, or that spread it over devices."""
    parallel = torch.nn.parallel.DistributedDataParallel | torch.nn.DataParallel
    while isinstance(model, torch.nn.Module):
        inner = model.module if isinstance(model, parallel) else model._modules.get("_orig_mod")
        if not isinstance(inner, torch.nn.Module):
            break
        model = inner
    return model


def _sinks(given: Any) -> list[Sink]:
    found = []
    for one in given if isinstance(given, list | tuple) else [given]:
        sink = sink_of(one) if isinstance(one, str | os.PathLike) else one
        if not callable(sink):
            raise SettingError(
                argument="sink",
                got=one,
                expected="a file name or a function of a Measurement",
                fix="wrap a SummaryWriter in TensorBoard, and a run of W&B in WandbRun",
            )
        found.append(sink)
    return found
