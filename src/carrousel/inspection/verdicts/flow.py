"""Rules on the error that flows back: it dies, explodes, or is cut off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from carrousel.inspection.verdicts.fault import Fault
from carrousel.inspection.verdicts.sentence import arriving
from carrousel.words import count, share, small

if TYPE_CHECKING:
    from carrousel.inspection.evidence import Evidence

DEAD = 1e-4
"""An error is dead below this share of the error at the read step.

The gradients of different sequences differ by about their own size. A signal that is 10^4 times
weaker stands out only after 10^8 sequences.
"""
EXPLODED = 1e3
"""An error explodes above this multiple of the error at the read step.

Useful steps move a weight by 1e-3 or more. The state would move by more than its range.
"""
SATURATED = 0.5
"""Above this share of saturated states an error of exactly zero may be one that underflowed."""


def error_at(evidence: Evidence, lag: int) -> float:
    """Return the largest error at a lag in any part, relative to the read step.

    Longer lags than the sequences are extrapolated by the mean factor per step. NaN: unknown.
    """
    read = next(one for one in evidence.reach if one.is_read)
    found = list[float]()
    for one in evidence.reach:
        if lag < one.n_lags:
            ratio = one.total()[lag] / read.h[0]
            known = ratio[np.isfinite(ratio)]
            if len(known):
                with np.errstate(divide="ignore"):
                    found.append(float(np.exp(np.log(known).mean())))
    if found:
        return max(found)
    return max((one.rate() ** lag for one in evidence.reach if one.is_read), default=math.nan)


def cut_of(evidence: Evidence) -> int | None:
    """Return the lag from which on the error is exactly zero while states continue; None: none.

    An error that underflowed is not cut: errors just before the cut must be far from zero.
    """
    for reach, track in zip(evidence.reach, evidence.recording.tracks, strict=True):
        if not reach.is_read or reach.n_lags < 2:
            continue
        h = track.values("h")
        at_bounds = float(((h.abs() > 0.999) | (h == 0)).double().mean())
        if at_bounds > SATURATED or not _depends(evidence):
            return None
        total = reach.total()
        total = total[:, total[0] > 0]
        alive = np.where(np.isnan(total), 0.0, total) > 0
        if not alive.shape[1]:
            return None
        n = int(alive.sum(0).max())  # steps with an error, in the sequence that has most
        sizes = total[n - 1] / total[0]
        is_cut = n < np.max((~np.isnan(total)).sum(0)) and np.nanmax(sizes) > DEAD
        return n if is_cut else None
    return None


def _depends(evidence: Evidence) -> bool:
    """Whether the state depends on the state one step before; unknown: yes."""
    return all(
        bool((memory.difference[1] > 0).any())
        for memory in evidence.unit_memory
        if len(memory.difference) > 1
    )


def detached(evidence: Evidence) -> list[Fault]:
    """States are detached at every step: nothing learns what to remember."""
    remedy = (
        "Remove detach() from the loop, or call it once per window of many steps; a with-block of "
        "no_grad, .data and a copy through NumPy detach likewise."
    )
    found = []
    for use in evidence.usage.parts:
        joints = [joint for step, joint in use.joints if step > 0]
        if len(joints) >= 2 and max(use.windows()) == 1:
            cuts = count(joints.count("detached"), "time")
            found.append(
                Fault(
                    "detached",
                    use.part,
                    f"The state is detached {cuts} in {count(use.n_steps, 'step')}: the error is "
                    "exactly zero one step before the step where it enters.",
                    remedy,
                )
            )
    if not found and cut_of(evidence) == 1:
        part = next(one.part for one in evidence.reach if one.is_read)
        found.append(
            Fault(
                "detached",
                part,
                "The error is exactly zero one step before the step that the loss reads, although "
                "the state depends on the step before.",
                remedy,
            )
        )
    return found or _cut_off(evidence)


def _cut_off(evidence: Evidence) -> list[Fault]:
    """Parts with trainable weights that change the loss but receive no error."""
    return [
        Fault(
            "detached",
            part,
            "No error reaches this part: the gradient of its weights is exactly zero, although "
            "they are trainable and the loss depends on its states.",
            "Remove detach() between it and the loss; freeze its weights with "
            "requires_grad_(False) if they should not learn.",
        )
        for part in evidence.usage.cut_off
    ]


def truncation(evidence: Evidence) -> list[Fault]:
    """Backpropagation is truncated to fewer steps than the lag."""
    lag = evidence.asked.lag
    if lag is None:
        return []
    remedy = (
        f"Backpropagate through windows of at least {lag + 1} steps, better twice as many, or "
        "place the inputs and the targets that belong together in one window."
    )
    steps = evidence.asked.truncation
    if steps is not None and steps <= lag:
        told = (
            f"Backpropagation stops after {count(steps, 'step')}, but the lag is {lag}: no error "
            "arrives at the step that matters."
        )
        return [Fault("truncation", "", told, remedy)]
    windowed = [use for use in evidence.usage.parts if len(use.windows()) > 1]
    for use in windowed:
        if max(use.windows()) > 1 and use.reachable() < lag:
            told = (
                f"The state is detached {count(len(use.windows()) - 1, 'time')} in "
                f"{use.n_steps} steps: the error arrives at most {count(use.reachable(), 'step')} "
                f"back, but the lag is {lag}."
            )
            return [Fault("truncation", use.part, told, remedy)]
    cut = cut_of(evidence)
    if not windowed and cut is not None and 1 < cut <= lag:
        part = next(one.part for one in evidence.reach if one.is_read)
        told = f"The error is exactly zero from {cut} steps back on, but the lag is {lag}."
        return [Fault("truncation", part, told, remedy)]
    return []


def vanishing(evidence: Evidence) -> list[Fault]:
    """The error dies before the lag, by forget gates or otherwise."""
    lag = evidence.asked.lag
    if not lag:
        return []
    arrives = error_at(evidence, lag)
    if not arrives < DEAD:
        return []
    told = (
        f"{_upper(arriving(arrives))} at the read step arrives {count(lag, 'step')} back, where "
        f"the task needs more than {share(DEAD)}"
    )
    n, read = next((n, one) for n, one in enumerate(evidence.reach) if one.is_read)
    keeps = evidence.recording.tracks[n].local.keeps
    if keeps is None:
        half = read.half_life()
        return [
            Fault(
                "vanishing",
                read.part,
                f"{told}: it halves every {small(round(half, 2))} steps.",
                "Use an LSTM with forget gates near 1, or orthogonal recurrent weights.",
            )
        ]
    mask = evidence.recording.tracks[n].mask()
    gate = "update" if read.cell == "gru" else "forget"
    logs = keeps.double().clamp(min=1e-30).log()[mask]
    longest = float(logs.mean(0).max().exp())
    if longest**lag >= max(DEAD, math.sqrt(arrives)):  # forgetting is the smaller part
        return [
            Fault(
                "vanishing",
                read.part,
                f"{told}, although the {gate} gates stay open enough, at {longest:.3f} in the best "
                "unit: the error is lost on its way into the cells.",
                "Initialise the output gates and input gates nearer to 0.5, and look at the "
                "saturation of the cells.",
            )
        ]
    bias = math.log(max(2, lag))
    return [
        Fault(
            "forget_bias",
            read.part,
            f"{told}: the {gate} gates average {float(keeps[mask].mean()):.2f}, and {longest:.2f} "
            "in the unit that remembers best.",
            f"Initialise the biases of the {gate} gates with about log(lag) = {bias:.1f}, and "
            "those of the input gates with the negative (Tallec & Ollivier 2018)."
            if gate == "forget"
            else f"Initialise the biases of the update gates with about log(lag) = {bias:.1f} "
            "(Tallec & Ollivier 2018).",
        )
    ]


def exploding(evidence: Evidence) -> list[Fault]:
    """The error grows on its way back."""
    found = []
    for reach in evidence.reach:
        curve = reach.curve() if reach.is_read else np.zeros(0)
        largest = float(curve.max()) if len(curve) else 0.0
        if largest > EXPLODED or not math.isfinite(largest):
            at = int(np.nanargmax(curve))
            found.append(
                Fault(
                    "exploding",
                    reach.part,
                    f"The error {count(at, 'step')} back is {largest:.1e} times that at the read "
                    f"step; it grows by {reach.rate():.3f} per step.",
                    "Scale the recurrent weights down to a spectral radius of about 1, or clip the "
                    "norm of the gradient.",
                )
            )
    return found


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
