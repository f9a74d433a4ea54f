"""Function ``inspect``: one call, one report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from carrousel.checks import check_int, check_number
from carrousel.errors import InputError
from carrousel.inspection.evidence import Asked, gather
from carrousel.inspection.measures.needed import lag_of_data
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import record
from carrousel.inspection.report import Report
from carrousel.inspection.reporting import report_of
from carrousel.inspection.verdicts.rules import SHORTENING


def inspect(
    module: Callable[..., Any],
    inputs: Any,
    loss: Callable[[Any], Tensor],
    lag: int | None = None,
    *,
    clip: float | None = None,
    truncation: int | None = None,
    optimizer: Any = None,
    targets: Any = None,
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
        lag: time lag that the task asks for, in steps; None: unknown, or found from ``targets``.
        clip: largest norm of a gradient in training; None: no clipping.
        truncation: number of steps of truncated backpropagation in training; None: not truncated.
        optimizer: the optimizer of the training, for verdicts on its learning rate. A few steps
            are tried on copies of it and the model.
        targets: what the model is to return, ``[B, ...]``. Without ``lag``, :func:`needed_lag`
            looks in them, and in the first tensor of ``inputs`` with as many sequences, for how
            far back the task depends on the inputs.
        batch_size: number of sequences in ``inputs``, for verdicts on the order of axes; None:
            unknown.

    Raises:
        InputError: the model has no recurrent part, the loss depends on none or is not a finite
            number, weights are not finite, or sequences are not longer than ``lag``.
        DataError: ``targets`` fit no tensor of ``inputs``.
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
    subject = Subject(module, inputs, loss)
    if lag is None and targets is not None:
        lag = lag_of_data(subject.inputs, targets, subject.module)
    with subject.kept(weights=True):
        recording = record(subject)
        longest = max(int(source.steps.max()) for source in recording.sources)
        reachable = max(longest, *(len(track) - 1 for track in recording.tracks))  # an encoder
        asked = Asked(lag, clip, truncation, optimizer, batch_size)
        try:
            report = report_of(gather(recording, asked))
        finally:
            recording.release()
    if lag is not None and reachable < lag and not SHORTENING & {one.name for one in report.faults}:
        raise InputError(
            f"the loss reads step {longest} (from 0) at the latest, so a lag of {lag} steps cannot "
            "be seen",
            argument="inputs",
            fix=f"give sequences of more than {lag} steps, or a smaller {{lag}}",
        )
    return report
