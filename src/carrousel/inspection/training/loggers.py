"""Sinks that pass measurements on to objects of other packages, which are not imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from carrousel.inspection.training.measuring import Measurement


class Writer(Protocol):
    """``torch.utils.tensorboard.SummaryWriter``, or an object with the same methods."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Write one number."""
        ...

    def add_histogram_raw(self, *arguments: Any, **fields: Any) -> None:
        """Write a histogram of given buckets."""
        ...


class TensorBoard:
    """Writes scalars, and the reach curve as a histogram, through a ``SummaryWriter``.

    The horizontal axis of the histogram ``reach/curve`` is the lag, and the height is the error at
    that lag relative to lag 0. A curve that is not finite is left out.

    Args:
        writer: the writer; the caller closes it.
        histogram: whether to write the curve.
    """

    def __init__(self, writer: Writer, *, histogram: bool = True) -> None:
        self.writer, self.histogram = writer, histogram

    def __call__(self, measurement: Measurement) -> None:
        """Write a measurement."""
        for name, value in measurement.scalars.items():
            self.writer.add_scalar(name, value, measurement.step)
        curve = measurement.curve
        if self.histogram and len(curve) and np.isfinite(curve).all():
            lags = np.arange(len(curve))
            self.writer.add_histogram_raw(
                "reach/curve",
                min=-0.5,
                max=len(curve) - 0.5,
                num=len(curve),
                sum=float((lags * curve).sum()),
                sum_squares=float((lags**2 * curve).sum()),
                bucket_limits=(lags + 0.5).tolist(),
                bucket_counts=curve.tolist(),
                global_step=measurement.step,
            )


class WandbRun:
    """Logs scalars to a run of Weights & Biases.

    W&B drops rows whose step is lower than one that it has. Log your own values with the same
    numbers of steps: ``run.log({"loss": ...}, step=n)``.

    Args:
        run: what ``wandb.init`` returns, or an object with the same ``log(values, step=)``.
    """

    def __init__(self, run: Any) -> None:
        self.run = run

    def __call__(self, measurement: Measurement) -> None:
        """Log a measurement."""
        self.run.log(dict(measurement.scalars), step=measurement.step)


class Loggers:
    """Logs scalars to loggers of Lightning.

    Args:
        loggers: objects with ``log_metrics(values, step=)``.
    """

    def __init__(self, loggers: Iterable[Any]) -> None:
        self.loggers = list(loggers)

    def __call__(self, measurement: Measurement) -> None:
        """Log a measurement."""
        for one in self.loggers:
            one.log_metrics(dict(measurement.scalars), step=measurement.step)
