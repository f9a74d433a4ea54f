"""Random masks of training: zoneout and recurrent dropout, by torch's own generator."""

from __future__ import annotations

import torch
from torch import Tensor


def zone_mask(share: float, shape: tuple[int, ...], device: torch.device) -> Tensor | None:
    """Where units keep their value of the step before: 1 with probability ``share``.

    None where nothing is kept. Uniform numbers of 24 bits, compared, are faster than torch's
    Bernoulli numbers, and follow the generator under ``torch.func.vmap`` too.

    >>> zone_mask(1.0, (2, 1), torch.device("cpu")).tolist()
    [[1], [1]]
    """
    if not share:
        return None
    return (torch.rand(shape, dtype=torch.float32, device=device) < share).view(torch.uint8)


def drop_mask(share: float, like: Tensor) -> Tensor | None:
    """Recurrent dropout of ``like [B, K]``: 0 with probability ``share``, else ``1 / (1 - share)``.

    One draw serves all steps of a sequence (Gal & Ghahramani 2016); None where nothing is dropped.
    """
    if not share:
        return None
    stay = 1 - share
    kept = torch.rand(like.shape, dtype=torch.float32, device=like.device) < stay
    return kept.to(like.dtype) / stay
