"""Named states of a user's own loop."""

from __future__ import annotations

from typing import Any

import torch  # noqa: F401  for the example
from torch import Tensor

from carrousel.errors import InputError
from carrousel.inspection.record.recorder import Recorder
from carrousel.nn.call.observe import OBSERVER


def state(name: str, h: Tensor, c: Tensor | None = None) -> Any:
    """Name the state of a recurrent loop, so that an inspection sees it.

    Outside an inspection it returns its arguments and does nothing else. Call it once for each
    step, with the states after that step, and continue with what it returns.

    Args:
        name: a name for the loop, the same at every step.
        h: hidden state ``[B, H]``.
        c: cell state ``[B, C]``; None: there is none.

    Returns:
        ``h``, or ``(h, c)``.

    Raises:
        InputError: a state is not a floating-point tensor ``[B, H]``.

    >>> h = torch.zeros(2, 3)
    >>> for x in torch.ones(5, 2, 3):
    ...     h = state("loop", torch.tanh(x + h))
    >>> h.shape
    torch.Size([2, 3])
    """
    observer = OBSERVER.get()
    if not isinstance(observer, Recorder):
        return h if c is None else (h, c)
    for argument, value in (("h", h), ("c", c)):
        if value is None and argument == "c":
            continue
        if not isinstance(value, Tensor) or value.dim() != 2 or not value.is_floating_point():
            raise InputError(
                argument=argument,
                got=tuple(value.shape) if isinstance(value, Tensor) else value,
                expected="a floating-point tensor [B, H]",
            )
    s = h.new_zeros(len(h), 0) if c is None else c
    h, s = observer.named(name, h, s)
    return h if c is None else (h, s)
