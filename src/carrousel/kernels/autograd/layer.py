"""Inputs, options and results of one direction of one layer, as torch tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from carrousel.contracts import Recurrence


class LayerInputs(NamedTuple):
    """Input tensors of a call; letters and equations are those of ``contracts/recurrence.py``.

    All but the first five are None where they do not apply.

    Args:
        x: inputs, ``[T, B, I]``; with an empty ``w_ih``: ``LN(w_ih x)``, ``[T, B, U]``.
        w_ih: weights from inputs, ``[U, I]``.
        w_hh: weights from the hidden state, ``[U, H]``.
        h0: first hidden state, ``[B, H]``.
        s0: first state, ``[B, D*C]``.
        bias: ``[U]``.
        unit: further parameters of the cells, ``[P, C]``.
        w_hr: projection, ``[H, C]``.
        ln_ih: scale of the layer normalisation of ``w_ih x``, ``[U]``.
        ln_hh: scale of that of ``w_hh h``, ``[U]``.
        ln_c: scale and shift of that of the state, ``[2, C]``.
        fresh_h: hidden state after a reset, ``[H]``; None: zero.
        fresh_s: state after a reset, ``[D*C]``; None: zero.
        drop: mask of recurrent dropout, ``[B, H]``, of 0 or ``1 / (1 - p)``.
        flags: uint8 ``[T, B]``, bits ``ACTIVE`` and ``RESET``; boolean: active, no resets; None:
            all active, no resets.
        keep_h: uint8 ``[T, B, H]``; 1: zoneout keeps the previous value.
        keep_s: uint8 ``[T, B, D*C]``, the same for the state.
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
        """Whether ``x`` contains the products with ``w_ih``."""
        return self.w_ih.numel() == 0 and self.x.shape[2] == self.w_hh.shape[0]

    @property
    def learns(self) -> bool:
        """Whether a gradient of one of the tensors is wanted."""
        return any(isinstance(one, Tensor) and one.requires_grad for one in self)


def merged_biases(
    recurrence: Recurrence, bias_ih: Tensor, bias_hh: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return the bias of :class:`LayerInputs` for the two that torch's modules have.

    Kernels take the sum. The new value of a GRU needs its two apart:
    ``tanh(x_n + b_in + r (r_n + b_hn))``, so ``b_hn`` becomes a unit parameter.

    Args:
        recurrence: the cell.
        bias_ih, bias_hh: ``[U]``.

    Returns:
        ``bias``, and ``unit`` of a GRU, ``[1, C]``.
    """
    bias = bias_ih + bias_hh
    if recurrence.cell != "gru":
        return bias, None
    new = 2 * recurrence.units
    return torch.cat([bias[:new], bias_ih[new:]]), bias_hh[new:].unsqueeze(0)


class LayerOptions(NamedTuple):
    """Settings of a call.

    Args:
        reverse: whether to process from the last step to the first.
        gradient: ``"bptt"``, ``"truncated"`` or ``"tbptt:k"``; see ``gradient_cut``.
        recompute: steps per segment whose tape is recomputed in the backward pass; 0: store all.
        zone_h, zone_s: shares of the old value that zoneout mixes in when not training.
        record: whether to return states and gates of every step.
    """

    reverse: bool = False
    gradient: str = "bptt"
    recompute: int = 0
    zone_h: float = 0.0
    zone_s: float = 0.0
    record: bool = False


class LayerResult(NamedTuple):
    """Results of a call.

    Args:
        out: outputs, ``[T, B, H]``.
        h: hidden state after the step processed last, ``[B, H]``.
        s: state after that step, ``[B, D*C]``.
        states: states of every step, ``[T, B, D*C]``; None without ``record``.
        gates: activated gates of every step, without gradient, ``[T, B, U]``; None without
            ``record``.
    """

    out: Tensor
    h: Tensor
    s: Tensor
    states: Tensor | None = None
    gates: Tensor | None = None
