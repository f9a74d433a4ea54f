"""Calls of a saved layer or cell on arrays: its inputs, and a loss where the file holds none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from carrousel.errors import InputError, SettingError
from carrousel.nn.cells import StepCell
from carrousel.nn.recurrent import Recurrent
from carrousel.shapes import Array, Floats, Ints

Loss = Callable[[Any], Tensor]


class CellLoop(nn.Module):
    """Runs a cell over all steps of ``[T, B, I]``; returns its hidden states ``[T, B, H]``."""

    def __init__(self, cell: StepCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Annotated[Tensor, "T B H"]:
        """Return the hidden states."""
        state, found = None, list[Tensor]()
        for now in x:
            state = self.cell(now, state)
            found.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(found)


@dataclass(frozen=True, eq=False)
class Sample:
    """Some series with targets, padded at the end.

    Args:
        x: ``[T, B, I]``.
        lengths: ``[B]``, steps of each series.
        targets: classes as whole numbers, or values; ``[B]`` or ``[B, O]`` for each series,
            ``[T, B]`` or ``[T, B, O]`` for each step. None: there are none.
        per_step: whether targets are given for each step; -1 or NaN: this one has none.
    """

    x: Annotated[Floats, "T B I"]
    lengths: Annotated[Ints, "B"]
    targets: Array | None = None
    per_step: bool = False


def call_of(module: Recurrent | StepCell, sample: Sample) -> tuple[nn.Module, Any, Loss, str]:
    """Return a model, its inputs, a loss of its output, and what that loss is.

    A layer has no read-out. Without targets, the loss is the squared norm of the output at the last
    step. With targets, it is that of the output itself: cross-entropy of classes, whose numbers are
    those of the units, or the mean square of the errors of values.

    Args:
        module: from :func:`carrousel.nn.load`.
        sample: the data.

    Raises:
        InputError: the data have another number of channels, or a cell gets series of unequal
            length.
        SettingError: targets do not fit the outputs.

    >>> from carrousel.nn import LSTM
    >>> sample = Sample(np.ones((5, 3, 2)), np.array([5, 4, 5]))
    >>> model, inputs, loss, text = call_of(LSTM(2, 4), sample)
    >>> text, bool(loss(model(**inputs)) > 0)
    ('squared norm of the last output, mean over series', True)
    """
    if sample.x.shape[2] != module.input_size:
        raise InputError(
            f"the data have {sample.x.shape[2]} channels, but the {type(module).__name__} of the "
            f"file has {module.input_size} inputs",
            fix="choose the columns with {channels}",
        )
    weight = next(module.parameters())
    x = torch.as_tensor(sample.x, dtype=weight.dtype)
    lengths = torch.as_tensor(sample.lengths)
    equal = bool((lengths == len(x)).all())
    if isinstance(module, StepCell):
        if not equal:
            raise InputError("a cell needs series of equal length", fix="cut them")
        loss, text = _loss(sample, lengths, module.hidden_size)
        return CellLoop(module), x, loss, text
    first = module.batch_first
    inputs: dict[str, Any] = {"input": x.transpose(0, 1) if first else x}
    if not equal:
        inputs["lengths"] = lengths
    width = (module.proj_size or module.hidden_size) * (2 if module.bidirectional else 1)
    of_outputs, text = _loss(sample, lengths, width)

    def of_call(found: Any) -> Tensor:
        return of_outputs(found[0].transpose(0, 1) if first else found[0])

    return module, inputs, of_call, text


def _loss(sample: Sample, lengths: Tensor, width: int) -> tuple[Loss, str]:
    """Return a loss of outputs ``[T, B, width]``, and what it is."""
    rows = torch.arange(len(lengths))

    def last(out: Tensor) -> Tensor:
        return out[lengths - 1, rows]

    targets = sample.targets
    if targets is None:
        text = "squared norm of the last output, mean over series"
        return lambda out: last(out).square().sum(-1).mean(), text
    where = "output at every step" if sample.per_step else "last output"
    chosen = (lambda out: out) if sample.per_step else last
    goal = torch.as_tensor(targets)
    if np.issubdtype(targets.dtype, np.integer):
        most = int(targets.max())
        if most >= width:
            raise SettingError(
                f"the targets have a class {most}, but there are {width} outputs",
                argument="target",
                fix="inspect the whole model, with its read-out, by a function in Python",
            )
        text = f"cross-entropy of the {where}"
        return lambda out: functional.cross_entropy(
            chosen(out).flatten(0, -2), goal.flatten(), ignore_index=-1
        ), text
    values = goal if goal.ndim > 1 + sample.per_step else goal[..., None]
    if values.shape[-1] != width:
        raise SettingError(
            f"there are {values.shape[-1]} target values, but {width} outputs",
            argument="target",
            fix="inspect the whole model, with its read-out, by a function in Python",
        )
    known = torch.isfinite(values)
    filled = torch.where(known, values, 0.0)

    def square(out: Tensor) -> Tensor:
        errors = torch.where(known, chosen(out) - filled.to(out.dtype), 0.0)
        return errors.square().sum() / known.sum()

    return square, f"mean square of the errors of the {where}"
