"""Trainable reach: the error that arrives at earlier states, by lag."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.swap import read_steps
from carrousel.inspection.record.track import Track
from carrousel.shapes import Floats


@dataclass(frozen=True, eq=False)
class Reach:
    """Norms of the error of the read step at earlier states of one part, by lag.

    Lag 0 is the step that the loss reads. Rows are lags, columns sequences; NaN where a sequence
    is not that long. Norms are absolute: divide by ``h[0]`` of the part that the loss reads.

    Args:
        part: name of the layer, direction or cell.
        cell: kind of its cell, such as ``"lstm"``.
        is_read: whether the loss reads this part itself.
        h: ``[K, B]``, norm of dL(t) / dh(t - k).
        s: ``[K, B]``, norm of dL(t) / dc(t - k) at constant h(t - k); None: no such state.
        carrousel: ``[K, B]``, norm of its part that never left the cells: the error of the read
            step times the forget gates since ``t - k``. A GRU has it for ``h``, with the update
            gate. None: there is no such path, or the loss does not read the part itself.
    """

    part: str
    cell: str
    is_read: bool
    h: Annotated[Floats, "K B"]
    s: Annotated[Floats, "K B"] | None
    carrousel: Annotated[Floats, "K B"] | None

    @property
    def n_lags(self) -> int:
        """``K``."""
        return len(self.h)

    def total(self) -> Annotated[Floats, "K B"]:
        """Return the norm of the error of all states of a step together."""
        return self.h if self.s is None else np.hypot(self.h, self.s)

    def curve(self) -> Annotated[Floats, "K"]:
        """Return the geometric mean of :meth:`total` over sequences, relative to lag 0.

        Sequences without any error are left out. It is zero where any of the others has none.
        """
        return geometric(self.total())

    def rate(self) -> float:
        """Return the factor by which the error changes from one lag to the next, a mean.

        It is the slope of a line through the logarithm of :meth:`curve`; NaN: fewer than two lags.
        """
        curve = self.curve()
        lags = np.flatnonzero(curve > 0)
        if len(lags) < 2:
            return 0.0 if len(curve) > 1 else math.nan
        return float(np.exp(np.polyfit(lags, np.log(curve[lags]), 1)[0]))

    def half_life(self) -> float:
        """Return the number of steps in which the error halves; infinite if it does not decay."""
        rate = self.rate()
        return math.inf if rate >= 1.0 else 0.0 if rate <= 0.0 else math.log(0.5) / math.log(rate)


def geometric(norms: Annotated[Floats, "K B"]) -> Annotated[Floats, "K"]:
    """Return the geometric mean over sequences of norms relative to their first row.

    >>> geometric(np.array([[1.0, 2.0, 0.0], [0.1, 20.0, 0.0]])).round(6).tolist()
    [1.0, 1.0]
    """
    known = norms[:, norms[0] > 0]
    if not known.shape[1]:
        return np.zeros(len(norms))
    with np.errstate(divide="ignore"):
        logs = np.log(known) - np.log(known[0])
    counted = np.where(np.isnan(logs), 0.0, logs).sum(1)
    return np.exp(counted / np.maximum(1, (~np.isnan(logs)).sum(1)))


def reaches(recording: Recording, flows: list[tuple[Tensor, Tensor]]) -> list[Reach]:
    """Return the reach of every part.

    Args:
        recording: the recorded call.
        flows: errors of the read step, from :meth:`Recording.flow`.

    Source: Hochreiter & Schmidhuber 1997, section 3 (equations 1 and 2) and appendix A.2 (41).
    """
    return [
        _reach(recording, track, h, s)
        for track, (h, s) in zip(recording.tracks, flows, strict=True)
    ]


def _reach(recording: Recording, track: Track, h: Tensor, s: Tensor) -> Reach:
    lags = lags_of(recording, track)
    is_read = any(source.track is track for source in recording.sources)
    path = _carrousel(track, h, s) if is_read else None
    return Reach(
        track.part.name,
        track.part.cell,
        is_read,
        by_lag(h.double().norm(dim=-1), lags),
        by_lag(s.double().norm(dim=-1), lags) if s.shape[-1] else None,
        None if path is None else by_lag(path.double().norm(dim=-1), lags),
    )


def lags_of(recording: Recording, track: Track) -> Annotated[Tensor, "T B"]:
    """Return by how many steps each step of a track precedes the read step; negative: not.

    In a track with another number of steps, such as an encoder's, lags count from its last step.
    """
    read = read_steps(recording, track)
    order = torch.arange(len(track), device=read.device)[:, None]
    is_read = any(source.track is track for source in recording.sources)
    if track.part.reverse and not is_read:
        return torch.where(read >= 0, order - read, -1)
    return torch.where(read >= 0, read - order, -1)


def by_lag(values: Annotated[Tensor, "T B"], lags: Annotated[Tensor, "T B"]) -> Floats:
    """Return values ordered by lag, ``[K, B]`` float64, NaN where a sequence has no such lag."""
    found = np.full((int(lags.max()) + 1, values.shape[1]), np.nan)
    t, b = (lags >= 0).nonzero(as_tuple=True)
    found[lags[t, b].cpu().numpy(), b.cpu().numpy()] = values[t, b].double().cpu().numpy()
    return found


def _carrousel(track: Track, h: Tensor, s: Tensor) -> Tensor | None:
    """Return the error that stayed in the cells since the read step, ``[T, B, S]``."""
    keeps = track.local.keeps
    if keeps is None:
        return None
    error, found = (s, torch.zeros_like(s)) if s.shape[-1] else (h, torch.zeros_like(h))
    # The first error of s is that of the step before the read one; of h it is the read step.
    carried = torch.zeros_like(error[0])
    for t in range(len(track) - 1, -1, -1):
        began = (carried == 0).all(-1, keepdim=True)
        carried = torch.where(began, error[t], carried)
        found[t] = carried
        carried = carried * keeps[t]
    return found
