"""Function ``inspect``: one call, one report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from carrousel.checks import check_int, check_number
from carrousel.inspection.evidence import Asked, gather
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import record
from carrousel.inspection.report import Report, report_of


def inspect(
    module: Callable[..., Any],
    inputs: Any,
    loss: Callable[[Any], Tensor],
    lag: int | None = None,
    *,
    clip: float | None = None,
    truncation: int | None = None,
    optimizer: Any = None,
    batch_size: int | None = None,
) -> Report:
    """Inspect one call of a recurrent model.

    The model is left unchanged: its weights, gradients, buffers and mode, and torch's random
    numbers.

    Args:
        module: a model with layers or cells of ``torch.nn`` or ``carrousel.nn``, or a loop that
            names its states with :func:`state`.
        inputs: argument of the call; a tuple has several, a mapping has keyword arguments.
        loss: takes the output of the model and returns a scalar.
        lag: time lag that the task asks for, in steps; None: unknown.
        clip: largest norm of a gradient in training; None: no clipping.
        truncation: number of steps of truncated backpropagation in training; None: not truncated.
        optimizer: the optimizer of the training, for verdicts on its learning rate. A few steps
            are tried on copies of it and the model.
        batch_size: number of sequences in ``inputs``, for verdicts on the order of axes; None:
            unknown.

    Raises:
        InputError: the model has no recurrent part, the loss depends on none or is not a finite
            number, or weights are not finite.
        SettingError: a number is out of range.

    >>> import torch
    >>> net = torch.nn.LSTM(2, 4, batch_first=True)
    >>> x = torch.ones(3, 10, 2)
    >>> report = inspect(net, x, lambda output: output[0][:, -1].square().mean())
    >>> len(report.read_reach().curve())
    10
    """
    if lag is not None:
        lag = check_int("lag", lag, minimum=0)
    if clip is not None:
        clip = check_number("clip", clip, above=0.0)
    if truncation is not None:
        truncation = check_int("truncation", truncation, minimum=1)
    if batch_size is not None:
        batch_size = check_int("batch_size", batch_size, minimum=1)
    asked = Asked(lag, clip, truncation, optimizer, batch_size)
    subject = Subject(module, inputs, loss)
    with subject.kept():
        return report_of(gather(record(subject), asked))
