"""Rules on the training: clipping, the optimizer, the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carrousel.inspection.verdicts.fault import Fault
from carrousel.words import count, listed, number

if TYPE_CHECKING:
    from carrousel.inspection.evidence import Evidence

KEPT = 0.01
"""Clipping takes everything if it leaves less than 1 % of the gradient: 100 times slower."""
RAISED = 2.0
"""A step raises the loss strongly if it doubles what the loss was, or would be without history."""
MATCH = 0.01
"""The target is an input if its mismatch is below 1 % of that of other steps."""


def clipping(evidence: Evidence) -> list[Fault]:
    """Clipping takes nearly all of the gradient."""
    found = evidence.gradients
    if found.kept() >= KEPT:
        return []
    told = (
        f"The gradient has a norm of {found.total:.3g} and is clipped to {number(found.clip)}: "
        f"{100 * found.kept():.2g} % of it is left."
    )
    remedy = "Clip at several times the usual norm of the gradient, or look for its explosion."
    return [Fault("clipping", "", told, remedy)]


def learning_rate(evidence: Evidence) -> list[Fault]:
    """Steps of the optimizer raise the loss."""
    trial = evidence.trial
    if trial is None:
        return []
    usual = trial.before
    if evidence.used is not None:
        usual = max(usual, float(evidence.used.loss.max()))
    if not trial.highest > RAISED * usual:
        return []
    told = f"Steps of the optimizer raise the loss from {trial.before:.3g} to {trial.highest:.3g}"
    if trial.gentle is not None and trial.gentle < trial.before:
        told += f"; with a hundredth of the learning rate it falls to {trial.gentle:.3g}"
    remedy = "Use a smaller learning rate, a tenth for example."
    return [Fault("learning_rate", "", f"{told}.", remedy)]


def not_optimized(evidence: Evidence) -> list[Fault]:
    """Trainable recurrent weights are not in the optimizer."""
    trial = evidence.trial
    if trial is None or not trial.missing:
        return []
    told = (
        f"The optimizer does not have {count(len(trial.missing), 'trainable recurrent parameter')}"
        f": {listed(trial.missing[:3])}{', ...' if len(trial.missing) > 3 else ''}."
    )
    remedy = (
        "Construct the optimizer with model.parameters() after the model is complete, or freeze "
        "these weights with requires_grad_(False)."
    )
    return [Fault("not_optimized", "", told, remedy)]


def shifted_target(evidence: Evidence) -> list[Fault]:
    """The target is the input at another step than the task means."""
    found, lag = evidence.targets, evidence.asked.lag
    if found is None or (found.per_step and not found.causal):
        return []
    shift, mismatch = found.best()
    if mismatch > MATCH or not _is_alone(evidence) or (lag is not None and shift == -lag):
        return []
    if shift == 0:
        step = "current input" if found.per_step else "last input"
        told = (
            f"The target is the {step} ({_fit(mismatch)}): the net can copy it and has nothing to "
            "remember."
        )
        remedy = (
            "Shift the target by one step: inputs x[:-1] and targets x[1:] along the axis of time."
        )
    elif lag is not None and abs(shift + lag) <= 3:
        told = (
            f"The target is the input {-shift} steps before ({_fit(mismatch)}), but the lag is "
            f"{lag}."
        )
        remedy = f"Shift the target by {count(abs(shift + lag), 'step')}, or correct the lag."
    else:
        return []
    return [Fault("shifted_target", "", told, remedy)]


def future_leak(evidence: Evidence) -> list[Fault]:
    """The target is a later input, which the net sees."""
    found = evidence.targets
    if found is None or not found.per_step or found.causal:
        return []
    shift, mismatch = found.best()
    if mismatch > MATCH or shift < 1 or not _is_alone(evidence):
        return []
    told = (
        f"The target is the input {count(shift, 'step')} later ({_fit(mismatch)}), and outputs "
        "depend on later inputs."
    )
    remedy = "Use one direction for prediction; bidirectional layers see what they should predict."
    return [Fault("future_leak", "", told, remedy)]


def _is_alone(evidence: Evidence) -> bool:
    """Whether one shift matches, and not several, as with inputs that hardly change."""
    assert evidence.targets is not None
    return int((evidence.targets.mismatch <= MATCH).sum()) == 1


def _fit(mismatch: float) -> str:
    percent = f"{100 * mismatch:.2g}" if mismatch >= 1e-4 else "below 0.01"
    return f"mismatch {percent} % of that of other steps"
