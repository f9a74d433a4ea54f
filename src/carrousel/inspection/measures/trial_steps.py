"""Some steps of the optimizer, on a copy of the model."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch

from carrousel.errors import InputError
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import Recording
from carrousel.nn.cells import StepCell
from carrousel.nn.recurrent import Recurrent

N_STEPS = 3
"""Several, since the first step along a gradient may lower the loss even if it is too long."""


@dataclass(frozen=True)
class TrialSteps:
    """Loss during steps of the optimizer on the data of the call.

    Args:
        before: loss before the first step.
        highest: highest loss after any of the steps; infinite if it is not finite.
        gentle: loss after the same steps with a hundredth of the learning rate; None: not tried,
            since the loss did not rise.
        missing: names of trainable parameters of recurrent parts that the optimizer does not have.
    """

    before: float
    highest: float
    gentle: float | None
    missing: list[str]


def trial_steps(recording: Recording, optimizer: Any, clip: float | None) -> TrialSteps | None:
    """Try the optimizer on a copy of model and optimizer.

    Args:
        recording: the recorded call.
        optimizer: the optimizer of the training; None: unknown.
        clip: largest norm of the gradient.

    Returns:
        None without an optimizer, and for models that cannot be copied, such as functions.

    Raises:
        InputError: ``optimizer`` is not a torch optimizer.
    """
    if optimizer is None:
        return None
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(argument="optimizer", got=optimizer, expected="a torch.optim.Optimizer")
    subject = recording.subject
    if subject.model is not subject.module:
        return None
    try:
        _copied(subject.module, optimizer)
    except Exception:  # of any class's own __deepcopy__; a tensor with a graph, an open file
        return None
    before = float(recording.loss.detach())
    highest = max(_losses(subject, optimizer, clip, 1.0))
    gentle = _losses(subject, optimizer, clip, 0.01)[-1] if highest > before else None
    return TrialSteps(before, highest, gentle, _missing(subject, optimizer))


def _losses(
    subject: Subject, optimizer: torch.optim.Optimizer, clip: float | None, factor: float
) -> list[float]:
    """Return the loss after each step, with the learning rate times a factor."""
    with subject.kept(), torch.inference_mode(False), torch.enable_grad():
        random = torch.get_rng_state()
        module, steps = _copied(subject.module, optimizer)
        trial, found = Subject(module, subject.inputs, subject.loss), list[float]()
        for group in steps.param_groups:
            group["lr"] = group["lr"] * factor

        def closure() -> torch.Tensor:
            torch.set_rng_state(random)
            for one in module.parameters():
                one.grad = None
            loss = trial.loss(trial.output())
            if loss.requires_grad:
                loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
            return loss

        for _ in range(N_STEPS):
            # The method of the class: a scheduler replaces that of the object by one that updates
            # the original weights.
            type(steps).step(steps, closure)  # type: ignore[call-overload]
            torch.set_rng_state(random)
            with torch.no_grad():
                value = float(trial.loss(trial.output()))
            found.append(value if math.isfinite(value) else math.inf)
        return found


def _copied(
    module: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Return copies of both, the optimizer with the parameters of the new module."""
    memo: dict[int, Any] = {}
    new, steps = copy.deepcopy(module, memo), copy.deepcopy(optimizer, memo)
    for name, value in optimizer.__dict__.items():  # what pickling leaves out, but no methods
        if name not in steps.__dict__ and not callable(value):
            steps.__dict__[name] = copy.deepcopy(value, memo)
    return new, steps


def _missing(subject: Subject, optimizer: torch.optim.Optimizer) -> list[str]:
    """Return the recurrent parameters that the optimizer does not have."""
    known = {id(one) for group in optimizer.param_groups for one in group["params"]}
    kinds = (torch.nn.RNNBase, torch.nn.RNNCellBase, Recurrent, StepCell)
    return [
        f"{place}.{name}" if place else name
        for place, module in subject.module.named_modules()
        if isinstance(module, kinds)
        for name, one in module.named_parameters(recurse=False)
        if one.requires_grad and id(one) not in known
    ]
