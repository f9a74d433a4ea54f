"""The GRU module: a drop-in replacement for ``torch.nn.GRU`` with more variants."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from carrousel.contracts import Recurrence
from carrousel.nn import options as check
from carrousel.nn.recurrent import Recurrent, Stacking, VariantOptions


class GRU(Recurrent):
    r"""Gated recurrent units over whole sequences; a drop-in replacement for ``torch.nn.GRU``.

    Constructor, parameters, initial weights, inputs and outputs are those of torch. A state
    dictionary of either library loads into the other. Each unit computes at every step::

        r, z = sigma(a_r, a_z)                               reset and update gate
        n = tanh(W_in x + b_in + r (W_hn h' + b_hn))         the new value
        h = (1 - z) n + z h'                                 h' is the previous h

    Args:
        input_size: ``I``, inputs of a step.
        hidden_size: ``H``, units of a layer and direction.
        num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in
            :class:`carrousel.nn.LSTM`.
        layer_norm, recurrent_dropout, initial_state, gradient, recompute: as in
            :class:`carrousel.nn.LSTM`.
        zoneout: probability with which a unit keeps its previous value, while training.
        proj_size: not supported; raises an error, as in torch.

    Shapes: input ``[T, B, I]``; ``h_0``, ``h_n`` ``[layers * directions, B, H]``; output
    ``[T, B, directions * H]``.

    Raises:
        SettingError: an option is out of range, or two options contradict each other.
        OptionTypeError: an option has the wrong type.

    Source: Cho et al. 2014, with the reset gate applied after the recurrent weights.

    >>> import torch
    >>> gru = GRU(3, 4, bidirectional=True)
    >>> gru
    GRU(3, 4, bidirectional=True)
    >>> output, h_n = gru(torch.randn(7, 5, 3), lengths=[7, 0, 2, 3, 1])
    >>> output.shape, h_n.shape
    (torch.Size([7, 5, 8]), torch.Size([2, 5, 4]))
    """

    TORCH = torch.nn.GRU
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "input_size": None,
        "hidden_size": None,
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "layer_norm": False,
        "zoneout": 0.0,
        "recurrent_dropout": 0.0,
        "initial_state": "zero",
        "gradient": "bptt",
        "recompute": 0,
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        layer_norm: bool = False,
        zoneout: float = 0.0,
        recurrent_dropout: float = 0.0,
        initial_state: check.FirstState = "zero",
        gradient: str = "bptt",
        recompute: check.Recompute = 0,
        proj_size: int | None = None,
    ) -> None:
        check.reject_projection(proj_size)
        super().__init__(
            Recurrence(
                "gru",
                check.check_size("hidden_size", hidden_size),
                layer_norm=check.check_flag("layer_norm", layer_norm),
            ),
            Stacking(input_size, num_layers, bias, batch_first, dropout, bidirectional),
            VariantOptions(zoneout, recurrent_dropout, None, initial_state, gradient, recompute),
            {"device": device, "dtype": dtype},
        )
