"""Random masks of training: zoneout and recurrent dropout, by torch's own generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def zone_mask(share: float, shape: tuple[int, ...], device: torch.device) -> Tensor | None:
    """Where units keep their value of the step before: 1 with probability ``share``.

    None where nothing is kept. The share is rounded to a multiple of 2^-16: a number of 64 random
    bits serves four units, which costs a fifth of torch's Bernoulli numbers.

    >>> zone_mask(1.0, (2, 1), torch.device("cpu")).tolist()
    [[1], [1]]
    """
    if not share:
        return None
    size, bound = math.prod(shape), 2**63 - 1
    bits = torch.randint(-bound - 1, bound, (-(-size // 4),), device=device).view(torch.int16)
    kept = bits[:size] <= round(share * 2**16) - 2**15 - 1
    return kept.view(shape).view(torch.uint8)


def drop_mask(share: float, like: Tensor) -> Tensor | None:
    """Recurrent dropout of ``like [B, K]``: 0 with probability ``share``, else ``1 / (1 - share)``.

    One draw serves all steps of a sequence (Gal & Ghahramani 2016); None where nothing is dropped.
    """
    if not share:
        return None
    stay = 1 - share
    kept = torch.rand(like.shape, dtype=torch.float32, device=like.device) < stay
    return kept.to(like.dtype) / stay
