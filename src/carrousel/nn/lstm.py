"""The LSTM module: a drop-in replacement for ``torch.nn.LSTM`` with more variants."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from carrousel.checks import check_number
from carrousel.contracts import Recurrence
from carrousel.nn import options as check
from carrousel.nn.equations.equations import Equations
from carrousel.nn.recurrent import Recurrent, Stacking, VariantOptions


class LSTM(Recurrent):
    r"""Long short-term memory over whole sequences; a drop-in replacement for ``torch.nn.LSTM``.

    Constructor, parameters, initial weights, inputs and outputs are those of torch. A state
    dictionary of either library loads into the other. Each unit computes at every step::

        i, f, o = sigma(a_i, a_f, a_o)          input, forget and output gate
        c = f c' + i tanh(a_g)                  the state; a prime marks the previous step
        h = o tanh(c)                           the output

    where each net input is ``a = W_ih x + b_ih + W_hh h' + b_hh``. ``cell`` selects other
    equations.

    Args:
        input_size: ``I``, inputs of a step.
        hidden_size: ``C``, memory cells of a layer and direction.
        num_layers: number of layers; each reads the outputs of the one below.
        bias: whether net inputs have biases.
        batch_first: whether batches are laid out ``[B, T, I]`` and ``[B, T, directions * H]``.
            The layout of states does not change.
        dropout: probability of zeroing an output between two layers, while training.
        bidirectional: whether a second set of weights reads each sequence from its end.
        proj_size: ``H``, width to which outputs are projected, or 0 (Sak, Senior & Beaufays 2014).
        device, dtype: device and type of the parameters.
        cell: one of the equations

            - ``"lstm"``: as above;
            - ``"lstm97"``: no forget gate, squashing functions with ranges (Hochreiter &
              Schmidhuber 1997, eqs. 3-9);
            - ``"peephole"``: the gates read the state (Gers, Schraudolph & Schmidhuber 2002);
            - ``"coupled"``: ``f = 1 - i`` (Greff et al. 2017);
            - ``"no_output_gate"``: ``h = tanh(c)`` (Greff et al. 2017);
            - a :class:`carrousel.nn.Equations`: your own.
        block_size: for ``lstm97``: number of cells that share an input and an output gate.
        g_range, h_range: for ``lstm97``: half the range of the squashing functions g and h.
        gate_sources: for ``lstm97``: whether recurrent connections start from gates too, as in
            most experiments of 1997. ``h`` and ``h_n`` then hold cells, input gates and output
            gates. The output holds only the cells.
        layer_norm: whether to normalise net inputs and the state before its squashing function
            (Ba, Kiros & Hinton 2016).
        zoneout: probability with which a unit keeps its previous value, while training. In
            evaluation the two values are mixed in that proportion (Krueger et al. 2017). One
            number for ``h`` and ``c``, or a pair.
        recurrent_dropout: probability of zeroing a component of ``h`` before it is fed back,
            while training. One mask serves all steps of a sequence (Gal & Ghahramani 2016).
        forget_bias: initial sum of the two biases of the forget gate; None: drawn as in torch.
            With ``coupled`` the bias of the input gate starts at minus this value. In a cell from
            equations it is the net input ``f`` or ``forget``.
        initial_state: ``"zero"`` or ``"learned"``: the state of sequences for which the caller
            passes none, and after a reset.
        gradient: ``"bptt"``; ``"tbptt:k"``, cut every ``k`` steps; ``"truncated"``, the rule of
            1997.
        recompute: steps of a segment that the backward pass computes again to save memory.
            ``"auto"``: about the square root of the number of steps. 0: never.

    Shapes: input ``[T, B, I]``; ``h_0``, ``h_n`` ``[layers * directions, B, H]``; ``c_0``, ``c_n``
    ``[layers * directions, B, C]``; output ``[T, B, directions * H]``. ``H = C`` without a
    projection. One sequence has no ``B``. See :meth:`Recurrent.forward` for lengths and resets.

    Raises:
        SettingError: an option is out of range, or two options contradict each other.
        OptionTypeError: an option has the wrong type.
        OptionNameError: there is no such cell.

    >>> import torch
    >>> lstm = LSTM(3, 4, num_layers=2)
    >>> lstm
    LSTM(3, 4, num_layers=2)
    >>> output, (h_n, c_n) = lstm(torch.randn(7, 5, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 5, 4]), torch.Size([2, 5, 4]))
    >>> _ = lstm.load_state_dict(torch.nn.LSTM(3, 4, num_layers=2).state_dict())

    Sequences of unequal length need no sorting and no packing:

    >>> output, (h_n, c_n) = lstm(torch.randn(7, 2, 3), lengths=[7, 4])
    >>> bool((output[4:, 1] == 0).all()), torch.equal(h_n[1, 1], output[3, 1])
    (True, True)

    The memory cell blocks of 1997:

    >>> blocks = LSTM(3, 4, cell="lstm97", block_size=2, gate_sources=True)
    >>> blocks.weight_hh_l0.shape  # 2 + 4 + 2 net inputs from 4 + 2 + 2 sources
    torch.Size([8, 8])
    """

    TORCH = torch.nn.LSTM
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "input_size": None,
        "hidden_size": None,
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "proj_size": 0,
        "cell": "lstm",
        "block_size": 1,
        "g_range": 2.0,
        "h_range": 1.0,
        "gate_sources": False,
        "layer_norm": False,
        "zoneout": 0.0,
        "recurrent_dropout": 0.0,
        "forget_bias": None,
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
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        cell: check.LstmCell | check.CellObject = "lstm",
        block_size: int = 1,
        g_range: float = 2.0,
        h_range: float = 1.0,
        gate_sources: bool = False,
        layer_norm: bool = False,
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_dropout: float = 0.0,
        forget_bias: float | None = None,
        initial_state: check.FirstState = "zero",
        gradient: str = "bptt",
        recompute: check.Recompute = 0,
    ) -> None:
        units = check.check_size("hidden_size", hidden_size)
        recurrence = Recurrence(
            check.cell_name(cell),
            units,
            projection=check.check_projection(proj_size, units),
            block_size=check.check_size("block_size", block_size),
            g_range=check_number("g_range", g_range, above=0.0),
            h_range=check_number("h_range", h_range, above=0.0),
            gate_sources=check.check_flag("gate_sources", gate_sources),
            layer_norm=check.check_flag("layer_norm", layer_norm),
        )
        super().__init__(
            recurrence,
            Stacking(input_size, num_layers, bias, batch_first, dropout, bidirectional),
            VariantOptions(
                zoneout,
                recurrent_dropout,
                forget_bias,
                initial_state,
                gradient,
                recompute,
                initial=cell.initial if isinstance(cell, Equations) else {},
            ),
            {"device": device, "dtype": dtype},
        )
        self.cell = cell
        self.block_size = recurrence.block_size
        self.g_range = recurrence.g_range
        self.h_range = recurrence.h_range
        self.gate_sources = recurrence.gate_sources
