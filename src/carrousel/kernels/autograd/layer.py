"""What goes into one direction of one layer and what comes out, as torch tensors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LayerInputs(NamedTuple):
    """Tensors of a call; letters and equations are those of ``contracts/recurrence.py``.

    Shapes: ``x [T, B, I]``, ``w_ih [N, I]``, ``w_hh [N, K]``, ``h0 [B, K]``, ``s0 [B, S M]``; and,
    each None where it does not apply: ``bias [N]``, ``unit [P, M]`` (unit parameters, one row
    each), ``w_hr [K, M]``, ``ln_ih [N]``, ``ln_hh [N]`` (scales), ``ln_c [2, M]`` (scale and
    shift), ``fresh_h [K]``, ``fresh_s [S M]`` (zero where None), ``flags [T, B]`` uint8 (bits
    ``ACTIVE`` and ``RESET``; None: all active, none reset), ``keep_h [T, B, K]``,
    ``keep_s [T, B, S M]`` uint8 (1: zoneout keeps the value of the step before), ``drop [B, K]``
    (recurrent dropout: 0 or ``1 / (1 - p)``). With a ``w_ih`` of no elements, ``x [T, B, N]`` is
    ``LN(w_ih x)`` already.
    """

    x: Tensor
    w_ih: Tensor
    w_hh: Tensor
    h0: Tensor
    s0: Tensor
    bias: Tensor | None = None
    unit: Tensor | None = None
    w_hr: Tensor | None = None
    ln_ih: Tensor | None = None
    ln_hh: Tensor | None = None
    ln_c: Tensor | None = None
    fresh_h: Tensor | None = None
    fresh_s: Tensor | None = None
    drop: Tensor | None = None
    flags: Tensor | None = None
    keep_h: Tensor | None = None
    keep_s: Tensor | None = None

    @property
    def is_projected(self) -> bool:
        """Whether ``x`` holds products with ``w_ih`` already."""
        return self.w_ih.numel() == 0 and self.x.shape[2] == self.w_hh.shape[0]


class LayerOptions(NamedTuple):
    """How a call is run.

    ``reverse``: from the last step to the first. ``gradient``: see ``gradient_cut``.
    ``recompute``: steps of a segment whose tape is made anew on the way back, or 0: keep all.
    ``zone_h``, ``zone_s``: shares of the old value that zoneout mixes in when not training.
    ``record``: hand over states and gates of every step.
    """

    reverse: bool = False
    gradient: str = "bptt"
    recompute: int = 0
    zone_h: float = 0.0
    zone_s: float = 0.0
    record: bool = False


class LayerResult(NamedTuple):
    """``out [T, B, K]``, last ``h [B, K]`` and ``s [B, S M]``; ``states [T, B, S M]`` and
    ``gates [T, B, N]``, in which gates stand activated and carry no gradient, or None unless asked
    for. "Last" means last in the order of processing."""

    out: Tensor
    h: Tensor
    s: Tensor
    states: Tensor | None = None
    gates: Tensor | None = None
