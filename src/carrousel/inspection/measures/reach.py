"""Trainable reach: the error that arrives at earlier states, by lag."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.swap import read_steps
from carrousel.inspection.record.track import Track
from carrousel.inspection.results.reach import Reach as Reach
from carrousel.inspection.results.reach import geometric as geometric
from carrousel.shapes import Floats


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
