"""Rules on where the loss reads the states: axes, padding, directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carrousel.inspection.verdicts.fault import Fault

if TYPE_CHECKING:
    from carrousel.inspection.evidence import Evidence
    from carrousel.inspection.measures.usage import PartUse

NEARLY_ALL = 0.9
"""Share of the steps that counts as all of them: single units may block single errors."""
WHOLE_TIME = 0.5
"""An error at more than half of the padded steps means a loss, or a mean, over all steps."""


def batch_axis(evidence: Evidence) -> list[Fault]:
    """Time and batch are exchanged: a layer with the wrong ``batch_first``."""
    remedy = (
        "Construct the layer with batch_first=True for inputs [batch, time, features], and with "
        "batch_first=False for [time, batch, features]."
    )
    first, size = evidence.usage.parts[0], evidence.asked.batch_size
    if size is not None:
        if first.n_sequences == size:
            return []
        told = (
            f"The data have {size} sequences, but the layer processes {first.n_sequences} "
            f"sequences of {first.n_steps} steps."
        )
        return [Fault("batch_axis", first.part, told, remedy)]
    for use in evidence.usage.parts:
        if use.kind != "layer" or use.n_steps < 2 or use.n_sequences < 2 or use.by_end.any():
            continue
        entered = use.by_output > 0
        columns = np.flatnonzero(entered.any(0))
        if len(columns) == 1 and entered[:, columns[0]].mean() >= NEARLY_ALL:
            told = (
                f"The loss reads all {use.n_steps} steps of sequence {columns[0]} and no step of "
                f"the other {use.n_sequences - 1}: the layer takes the axis of the batch for time."
            )
            return [Fault("batch_axis", use.part, told, remedy)]
    return []


def padding(evidence: Evidence) -> list[Fault]:
    """The loss reads states or outputs of padded steps."""
    found = []
    for use in evidence.usage.parts:
        padded = use.padded()
        if not padded.any():
            continue
        if _is_unread(use):
            found.append(_last_output(use, ~use.active & (use.last < use.n_steps - 1)))
            continue
        at_end = np.any((use.by_end > 0) & padded, axis=0)
        entered = (use.by_output > 0) & padded
        if at_end.any():
            found.append(_leak(use, at_end))
        elif entered.sum() > WHOLE_TIME * padded.sum() and _is_over_time(use):
            found.append(_over_padding(use, entered, padded))
        elif entered.any():
            found.append(_last_output(use, entered))
    return found


def _is_unread(use: PartUse) -> bool:
    """Whether a step behind the end is read: no error enters, but in the longest sequences."""
    read = (use.by_output > 0).any(0)
    whole = use.last == use.n_steps - 1
    alike = bool((read == whole).all()) and not whole.all()
    return alike and not use.active.all() and not use.by_end.any() and not _is_over_time(use, whole)


def _is_over_time(use: PartUse, rows: np.ndarray | slice = slice(None)) -> bool:
    """Whether the loss reads several steps of most sequences."""
    return float(np.median((use.by_output[:, rows] > 0).sum(0))) > 1


def _leak(use: PartUse, rows: np.ndarray) -> Fault:
    steps = use.padding[rows]
    return Fault(
        "padding_in_state",
        use.part,
        f"The loss reads the last state, and {rows.sum()} of {use.n_sequences} sequences end with "
        f"{steps.min()} to {steps.max()} equal rows of padding, which have changed that state.",
        "Pack the sequences with torch.nn.utils.rnn.pack_padded_sequence and their lengths, or "
        "read the output at the last step that is not padding.",
    )


def _last_output(use: PartUse, entered: np.ndarray) -> Fault:
    rows = entered.any(0)
    masked = bool((~use.active & entered).any())
    return Fault(
        "last_output",
        use.part,
        f"The loss reads the output at a padded step in {rows.sum()} of {use.n_sequences} "
        "sequences"
        + (
            ": it is zero there, and no error enters."
            if masked
            else ", after their last valid one."
        ),
        "Read the output of each sequence at its length - 1, for example with torch.gather, or "
        "the last state of a packed sequence.",
    )


def _over_padding(use: PartUse, entered: np.ndarray, padded: np.ndarray) -> Fault:
    return Fault(
        "loss_over_padding",
        use.part,
        f"The loss reads {entered.sum()} of {padded.sum()} padded steps: they make up "
        f"{100 * entered.sum() / max(1, (use.by_output > 0).sum()):.0f} % of all steps that it "
        "reads.",
        "Multiply the loss of each step by the mask of valid steps, or use ignore_index; divide "
        "means over time by the lengths.",
    )


def reverse_last(evidence: Evidence) -> list[Fault]:
    """The last output is read of a direction that has processed one step there."""
    found = []
    for use in evidence.usage.parts:
        if not use.part.endswith(", reverse") or use.n_steps < 3 or use.by_end.any():
            continue
        entered = use.by_output > 0
        # In the order of processing, the first step of each sequence: masked steps come before it.
        first = use.active.argmax(0)
        if entered.any() and not (entered & (np.arange(use.n_steps)[:, None] > first)).any():
            found.append(
                Fault(
                    "reverse_last",
                    use.part,
                    f"The loss reads this direction only after its first of {use.n_steps} steps: "
                    "it has seen one step of the sequence.",
                    "Read the last state of the direction (h_n[-1]), or its output at the first "
                    "step of the sequence.",
                )
            )
    return found
