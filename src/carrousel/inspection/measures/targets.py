"""Which input the target of each step is: the loss of outputs that are shifted inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import Recording
from carrousel.shapes import Floats, Ints

NEAR = 3
"""Shifts from -3 to 3 are tried: errors of indexing are off by one, seldom by more."""
SURE = 20.0
"""Logits of a certain prediction: the other classes get a probability of 2e-9."""
FEWEST_STEPS = 4
"""Fewest steps at which all shifts are compared."""
FEWEST_SEQUENCES = 8
"""Fewest sequences with one output each: fewer targets may equal an input by chance."""


@dataclass(frozen=True, eq=False)
class Targets:
    """How well the target agrees with the input at other steps.

    Args:
        shifts: ``[N]``; the target at ``t`` is compared with the input at ``t + shift``.
        mismatch: ``[N]``, error of these outputs relative to the median over shifts; near 0 where
            the target is that input.
        per_step: whether the model returns an output for each step, or one for a sequence.
        causal: whether outputs depend only on inputs of the same and of earlier steps.
    """

    shifts: Annotated[Ints, "N"]
    mismatch: Annotated[Floats, "N"]
    per_step: bool
    causal: bool

    def best(self) -> tuple[int, float]:
        """Return the shift of the smallest mismatch, and the mismatch."""
        n = int(self.mismatch.argmin())
        return int(self.shifts[n]), float(self.mismatch[n])


def targets(recording: Recording, lag: int | None) -> Targets | None:
    """Compare the target with shifted inputs, without knowledge of the target or the loss.

    The loss is differentiated by outputs that are made from inputs. Where such an output equals
    the target, the derivative of the usual losses is zero.

    Args:
        recording: the recorded call.
        lag: time lag of the task, whose neighbourhood is tried too.

    Returns:
        None if outputs and inputs cannot be compared: other shapes, too few steps.
    """
    subject = recording.subject
    with subject.kept(), torch.inference_mode(False):
        with torch.no_grad():
            output = subject.output()
        x = _first(subject.inputs)
        out, rebuild = _main(output)
        if x is None or out is None or not out.is_floating_point() or x.dim() not in (2, 3):
            return None
        axis = _time_axis(recording, x)
        layout = None if axis is None else _layout(out, x, axis)
        if axis is None or layout is None:
            return None
        aligned = x.transpose(0, axis)  # [T, B, ...]
        few = not layout.per_step and aligned.shape[1] < FEWEST_SEQUENCES
        shifts = _shifts(lag, layout.per_step, len(aligned))
        if few or len(shifts) < 3:
            return None
        forms = _forms(aligned, layout.width, out.dtype)
        found = [_mismatch(subject, form, shifts, layout, rebuild) for form in forms]
        best = min((one for one in found if one is not None), key=np.min, default=None)
        if best is None:
            return None
        causal = layout.per_step and _is_causal(subject, x, axis, layout)
        return Targets(shifts, best, layout.per_step, causal)


@dataclass(frozen=True)
class _Layout:
    """How outputs are arranged.

    Args:
        shape: of the output.
        sizes: ``T``, ``B`` and the number of values of a step.
        order: axes of ``[T, B, O]`` in their order in the output, which may merge them.
        per_step: whether there is an output for each step, or one for a sequence.
    """

    shape: torch.Size
    sizes: tuple[int, int, int]
    order: tuple[int, int, int]
    per_step: bool

    @property
    def width(self) -> int:
        """``O``."""
        return self.sizes[2]

    def placed(self, values: Annotated[Tensor, "T B O"]) -> Tensor:
        """Return values of steps in the shape of the output; those of the last step, if it has
        one for a sequence.
        """
        found = values.permute(self.order) if self.per_step else values[-1]
        return found.reshape(self.shape)

    def by_step(self, output: Tensor) -> Annotated[Tensor, "T B O"]:
        """Return an output as ``[T, B, O]``, with ``T`` = 1 if there is one for a sequence."""
        if not self.per_step:
            return output.reshape(1, *self.sizes[1:])
        there = output.reshape([self.sizes[axis] for axis in self.order])
        return there.permute([self.order.index(axis) for axis in range(3)])


def _layout(out: Tensor, x: Tensor, axis: int) -> _Layout | None:
    """Return how an output is arranged; None: neither by steps nor by sequences."""
    T, B = x.shape[axis], x.shape[1 - axis]
    order = (1, 0, 2) if axis else (0, 1, 2)
    shape = tuple(out.shape)
    if out.dim() == 3 and shape[:2] == x.shape[:2]:
        return _Layout(out.shape, (T, B, shape[2]), order, True)
    if out.dim() == 3 and axis and (shape[0], shape[2]) == (B, T):  # classes in the middle
        return _Layout(out.shape, (T, B, shape[1]), (1, 2, 0), True)
    if shape == x.shape[:2]:
        return _Layout(out.shape, (T, B, 1), order, True)
    if out.dim() > 2 or not shape:
        return None
    width = shape[1] if out.dim() == 2 else 1
    if shape[0] == T * B and T > 1:
        return _Layout(out.shape, (T, B, width), order, True)
    return _Layout(out.shape, (T, B, width), order, False) if shape[0] == B else None


def _first(inputs: Any) -> Tensor | None:
    """Return the first argument of the call if it is a tensor."""
    if isinstance(inputs, Mapping):
        inputs = tuple(inputs.values())
    if isinstance(inputs, tuple) and inputs and not hasattr(inputs, "_fields"):
        inputs = inputs[0]
    return inputs if isinstance(inputs, Tensor) else None


def _replaced(inputs: Any, x: Tensor) -> Any:
    """Return inputs with another first argument."""
    if isinstance(inputs, Mapping):
        return {**inputs, next(iter(inputs)): x}
    return (x, *inputs[1:]) if isinstance(inputs, tuple) else x


def _main(output: Any) -> tuple[Tensor | None, Callable[[Tensor], Any]]:
    """Return the first tensor of an output, and a function that puts another in its place."""
    if isinstance(output, Tensor):
        return output, lambda new: new
    if type(output) is tuple and output and isinstance(output[0], Tensor):
        return output[0], lambda new: (new, *output[1:])
    return None, lambda new: new


def _time_axis(recording: Recording, x: Tensor) -> int | None:
    """Return the axis of time in the inputs; None: the layers process another number of steps."""
    track = recording.tracks[0]
    T, B = len(track), track.n_sequences
    if x.shape[:2] not in ((T, B), (B, T)):
        return None
    if T != B:
        return 0 if len(x) == T else 1
    modules = recording.subject.module.modules()
    known = {bool(one.batch_first) for one in modules if hasattr(one, "batch_first")}
    return int(known.pop()) if len(known) == 1 else None


def _shifts(lag: int | None, per_step: bool, T: int) -> Annotated[Ints, "N"]:
    near = range(-NEAR, NEAR + 1 if per_step else 1)
    late = range(0) if lag is None else range(-lag - NEAR, min(0, -lag + NEAR) + 1)
    longest = T - FEWEST_STEPS - NEAR if per_step else T - 1
    return np.array(sorted({s for s in [*near, *late] if -s <= longest}))


class _Form(NamedTuple):
    """Inputs in the form of outputs ``[T, B, O]``.

    Attributes:
        values: the outputs.
        weighted: whether errors count times the outputs: those of log-probabilities are constant.
    """

    values: Annotated[Tensor, "T B O"]
    weighted: bool = False


def _forms(x: Annotated[Tensor, "T B ..."], width: int, dtype: torch.dtype) -> list[_Form]:
    """Return inputs as outputs: as they are, as logits, and as log-probabilities of symbols."""
    symbols = x[..., 0] if x.dim() == 3 and x.shape[-1] == 1 else x
    hot = x.dim() == 3 and width > 1 and x.shape[-1] == width and _is_one_hot(x)
    symbols = x.argmax(-1) if hot else symbols
    found = list[_Form]()
    whole = symbols.dim() == 2 and bool((symbols == symbols.round()).all())
    if whole and width > 1 and 0 <= float(symbols.min()) and float(symbols.max()) < width:
        found.append(_Form(SURE * (one_hot(symbols.long(), width) - 1.0).to(dtype), True))
    if not x.is_floating_point():
        return found
    x = x[..., None] if x.dim() == 2 else x
    some = [x[..., n : n + width] for n in range(0, x.shape[-1], width)]
    for one in some[:16]:
        if one.shape[-1] != width:
            continue
        found.append(_Form(one.to(dtype)))
        if bool(((one == 0) | (one == 1)).all()):
            found.append(_Form(SURE * (2.0 * one - 1.0).to(dtype)))
    return found


def _is_one_hot(x: Tensor) -> bool:
    return bool(((x == 0) | (x == 1)).all()) and bool((x.sum(-1) == 1).all())


def _mismatch(
    subject: Subject,
    form: _Form,
    shifts: Annotated[Ints, "N"],
    layout: _Layout,
    rebuild: Callable[[Tensor], Any],
) -> Annotated[Floats, "N"] | None:
    """Return the error of each shifted input as an output; None: they do not differ.

    Steps near the ends, whose shifted inputs do not exist, are left out.
    """
    T = len(form.values)
    first, last = max(0, -int(shifts.min())), T - max(0, int(shifts.max()))
    found = []
    for shift in shifts:
        candidate = layout.placed(form.values.roll(-int(shift), 0))
        candidate = candidate.detach().clone().requires_grad_()
        try:
            with torch.enable_grad():
                loss = subject.loss(rebuild(candidate))
        except (RuntimeError, ValueError):  # probabilities outside of [0, 1], for example
            return None
        if not loss.requires_grad:
            return None
        (error,) = torch.autograd.grad(loss, candidate, allow_unused=True)
        if error is None or not bool(torch.isfinite(error).all()):
            return None
        error = layout.by_step(error * candidate.detach() if form.weighted else error)
        error = error[first:last] if layout.per_step else error
        found.append(float(error.double().norm(dim=-1).mean()))
    middle = float(np.median(found))
    return np.array(found) / middle if middle > 0 else None


def _is_causal(subject: Subject, x: Tensor, axis: int, layout: _Layout) -> bool:
    """Whether the outputs before the last step ignore the inputs of the last step."""
    other = x.transpose(0, axis).clone()
    low, high = other.min(), other.max()
    if low == high:
        return False  # not known
    other[-1] = low + high - other[-1]
    other = _replaced(subject.inputs, other.transpose(0, axis))
    with subject.kept(), torch.no_grad():
        before, _ = _main(subject.output())
        changed, _ = _main(subject.output(inputs=other))
    assert before is not None
    assert changed is not None
    early = [layout.by_step(one)[:-1] for one in (before, changed)]
    return torch.allclose(early[0], early[1], rtol=1e-5, atol=1e-7)
