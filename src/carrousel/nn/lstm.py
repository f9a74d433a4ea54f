"""The LSTM module: a drop-in for ``torch.nn.LSTM`` with the variants it lacks."""

from __future__ import annotations

from typing import Any, ClassVar

from carrousel.checks import check_number
from carrousel.contracts import Recurrence
from carrousel.nn import options as check
from carrousel.nn.recurrent import Frame, Recurrent, Variation


class LSTM(Recurrent):
    r"""Long short-term memory over whole sequences; takes the place of ``torch.nn.LSTM``.

    Constructor, parameters, their names and first values, inputs and outputs are torch's; a
    checkpoint of either loads into the other. One unit computes at every step::

        i, f, o = sigma(a_i, a_f, a_o)          input, forget and output gate
        c = f c' + i tanh(a_g)                  the state; c' is that of the step before
        h = o tanh(c)                           the output

    where each net input ``a = W_ih x + b_ih + W_hh h' + b_hh``. ``cell`` chooses other equations.

    Args:
        input_size: ``I``, inputs of a step.
        hidden_size: ``M``, memory cells of a layer and direction.
        num_layers: layers; each reads the outputs of the one below.
        bias: whether net inputs have biases.
        batch_first: batches are laid out ``[B, T, I]`` and ``[B, T, D M]``; states are not.
        dropout: probability of zeroing what a layer hands to the next, while training.
        bidirectional: a second set of weights reads sequences from their ends; ``D = 2``.
        proj_size: ``K``, width to which outputs are projected, or 0 (Sak, Senior & Beaufays 2014).
        device, dtype: where parameters are made, and of which type.
        cell: ``"lstm"`` (above); ``"lstm97"``, no forget gate and squashed to ranges (Hochreiter &
            Schmidhuber 1997, eqs. 3-9); ``"peephole"``, gates see the state (Gers, Schraudolph &
            Schmidhuber 2002); ``"coupled"``, ``f = 1 - i``; ``"no_output_gate"``; or a
            :class:`carrousel.nn.Equations` of your own.
        block_size: of ``lstm97``: cells that share an input and an output gate.
        g_range, h_range: of ``lstm97``: half the range of the squashing functions g and h.
        gate_sources: of ``lstm97``: gates too are sources of recurrent connections, as in most
            experiments of 1997; ``h`` and ``h_n`` then hold cells, input gates, output gates, while
            the output shows the cells alone.
        layer_norm: normalise net inputs and the state that leaves (Ba, Kiros & Hinton 2016).
        zoneout: probability with which a unit keeps its value of the step before, while training;
            otherwise both are mixed in that proportion (Krueger et al. 2017). One for ``h`` and
            ``c``, or a pair of two.
        recurrent_dropout: probability of zeroing an output on its way to the next step, one draw a
            sequence, while training (Gal & Ghahramani 2016).
        forget_bias: what the biases of the forget gate start with in sum; None: as torch draws
            them. With ``coupled`` the input gate starts at minus that.
        initial_state: ``"zero"`` or ``"learned"``: how sequences start that are handed no state,
            and after a reset.
        gradient: ``"bptt"``; ``"tbptt:k"``, cut every ``k`` steps; ``"truncated"``, the paper's.
        recompute: steps of a segment whose tape is computed anew on the way back, which saves
            memory; ``"auto"``: about the square root of the number of steps; 0: never.

    Shapes: input ``[T, B, I]``; ``h_0``, ``h_n`` ``[L D, B, K]``, ``c_0``, ``c_n`` ``[L D, B, M]``
    with ``L`` layers and ``K = M`` without projection; output ``[T, B, D K]``. Without ``B`` for
    one sequence. See :meth:`Recurrent.forward` for lengths and resets.

    Raises:
        SettingError: a setting out of range, or two that contradict each other.

    >>> import torch
    >>> lstm = LSTM(3, 4, num_layers=2)
    >>> lstm
    LSTM(3, 4, num_layers=2)
    >>> output, (h_n, c_n) = lstm(torch.randn(7, 5, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 5, 4]), torch.Size([2, 5, 4]))
    >>> _ = lstm.load_state_dict(torch.nn.LSTM(3, 4, num_layers=2).state_dict())

    Sequences of unequal length need neither sorting nor packing:

    >>> output, (h_n, c_n) = lstm(torch.randn(7, 2, 3), lengths=[7, 4])
    >>> bool((output[4:, 1] == 0).all()), torch.equal(h_n[1, 1], output[3, 1])
    (True, True)

    The memory cell blocks of 1997:

    >>> blocks = LSTM(3, 4, cell="lstm97", block_size=2, gate_sources=True)
    >>> blocks.weight_hh_l0.shape  # 2 + 4 + 2 net inputs from 4 + 2 + 2 sources
    torch.Size([8, 8])
    """

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
        cell: str | check.CellObject = "lstm",
        block_size: int = 1,
        g_range: float = 2.0,
        h_range: float = 1.0,
        gate_sources: bool = False,
        layer_norm: bool = False,
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_dropout: float = 0.0,
        forget_bias: float | None = None,
        initial_state: str = "zero",
        gradient: str = "bptt",
        recompute: int | str = 0,
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
            Frame(input_size, num_layers, bias, batch_first, dropout, bidirectional),
            Variation(zoneout, recurrent_dropout, forget_bias, initial_state, gradient, recompute),
            {"device": device, "dtype": dtype},
        )
        self.cell = cell
        self.block_size = recurrence.block_size
        self.g_range = recurrence.g_range
        self.h_range = recurrence.h_range
        self.gate_sources = recurrence.gate_sources
