"""Recurrent layers for torch: drop-ins for LSTM, GRU and RNN, with the variants they lack."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401  asked for first, to say what is missing
except ImportError as error:
    from carrousel.shapes import MissingExtraError

    raise MissingExtraError(
        "carrousel.nn needs torch, which is not installed; pip install 'carrousel[torch]'"
    ) from error

from carrousel.nn.gru import GRU as GRU
from carrousel.nn.lstm import LSTM as LSTM
from carrousel.nn.rnn import RNN as RNN
