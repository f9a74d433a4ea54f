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

    def rate(self, first: int = 0, last: int | None = None) -> float:
        """Return the factor by which the error changes from one lag to the next, a mean.

        It is the slope of a line through the logarithm of :meth:`curve` over the lags that count:
        those that at least half of the sequences have, before the error falls below 1e-30 of that
        at lag 0. 0: it vanishes at once. NaN: fewer than two lags.

        Args:
            first, last: first and last lag of the range; None: to the longest.
        """
        curve = self.curve()
        common = np.isfinite(self.h).sum(axis=1) * 2 >= self.h.shape[1]
        end = len(curve) if last is None else last + 1
        lags = np.flatnonzero(common[:end])
        lags = lags[lags >= first]
        if len(lags) < 2:
            return math.nan
        tiny = np.flatnonzero(curve[lags] < 1e-30)
        counted = lags[: tiny[0]] if len(tiny) else lags
        if len(counted) < 2:
            return 0.0
        return float(np.exp(np.polyfit(counted, np.log(curve[counted]), 1)[0]))

    def half_life(self, first: int = 0, last: int | None = None) -> float:
        """Return the number of steps in which the error halves; infinite if it does not decay.

        Args:
            first, last: as in :meth:`rate`.
        """
        rate = self.rate(first, last)
        return math.inf if rate >= 1.0 else 0.0 if rate <= 0.0 else math.log(0.5) / math.log(rate)

    def within(self, steps: int) -> float:
        """Return the share of the error's norm at lags below ``steps``, from 0 to 1.

        Backpropagation truncated after that many steps computes this share.
        """
        squares = np.nan_to_num(self.total()) ** 2
        whole = float(squares.sum())
        return math.sqrt(float(squares[:steps].sum()) / whole) if whole > 0 else 1.0


def geometric(values: Annotated[Floats, "K B"]) -> Annotated[Floats, "K"]:
    """Return the geometric mean over sequences of norms relative to their first row.

    >>> geometric(np.array([[1.0, 2.0, 0.0], [0.1, 20.0, 0.0]])).round(6).tolist()
    [1.0, 1.0]
    """
    known = values[:, values[0] > 0]
    if not known.shape[1]:
        return np.zeros(len(values))
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
        by_lag(norms(h), lags),
        by_lag(norms(s), lags) if s.shape[-1] else None,
        None if path is None else by_lag(path, lags),
    )


def lags_of(recording: Recording, track: Track) -> Annotated[Tensor, "T B"]:
    """Return by how many steps each step of a track precedes the read step.

    Negative: it does not, or it is padding.

    In a track with another number of steps, such as an encoder's, lags count from its last step.
    """
    read = read_steps(recording, track)
    order = torch.arange(len(track), device=read.device)[:, None]
    real = track.mask() & (read >= 0)
    is_read = any(source.track is track for source in recording.sources)
    if track.part.reverse and not is_read:
        return torch.where(real, order - read, -1)
    return torch.where(real, read - order, -1)


def norms(errors: Annotated[Tensor, "T B H"]) -> Annotated[Tensor, "T B"]:
    """Return norms in float64, in which squares of small errors do not underflow."""
    return torch.linalg.vector_norm(errors, dim=-1, dtype=torch.float64)


def by_lag(values: Annotated[Tensor, "T B"], lags: Annotated[Tensor, "T B"]) -> Floats:
    """Return values ordered by lag, ``[K, B]`` float64, NaN where a sequence has no such lag."""
    found = np.full((int(lags.max()) + 1, values.shape[1]), np.nan)
    t, b = (lags >= 0).nonzero(as_tuple=True)
    found[lags[t, b].cpu().numpy(), b.cpu().numpy()] = values[t, b].double().cpu().numpy()
    return found


def _carrousel(track: Track, h: Tensor, s: Tensor) -> Annotated[Tensor, "T B"] | None:
    """Return the norm of the error that stayed in the cells since the read step."""
    keeps = track.local.keeps
    if keeps is None:
        return None
    error = s if s.shape[-1] else h
    # The last error of s is that of the step before the read one, if the loss reads h alone.
    steps = torch.arange(len(track), device=error.device)[:, None]
    last = (error.any(-1) * steps).amax(0)
    rows = torch.arange(track.n_sequences, device=error.device)
    factors = keeps.double().masked_fill((steps > last)[..., None], 1.0)
    # The share of a step is the product of the factors of the steps after it.
    later = torch.ones_like(factors)
    later[:-1] = factors[1:].flip(0).cumprod(0).flip(0)
    squares = torch.einsum("tbc,bc->tb", later.square_(), error[last, rows].double() ** 2)
    return squares.sqrt_().masked_fill_(steps > last, 0.0)
