"""Cells of the literature as equations, each with its source and a loop that checks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from benchmarks.cells import loops
from benchmarks.cells.loops import Loop

from carrousel.nn import Equations


@dataclass(frozen=True)
class Exhibit:
    """A cell of the gallery.

    Args:
        title: the name in the literature.
        source: authors, year, title and number of the equations.
        remark: what the equations show, or where they differ from the source.
        cell: the cell.
        loop: the same cell as a loop of torch operations.
        arguments: the constructor arguments of the cell that are functions, as text.
    """

    title: str
    source: str
    remark: str
    cell: Equations
    loop: Loop
    arguments: Mapping[str, str]


GALLERY: dict[str, Exhibit] = {}


def _show(title: str, source: str, remark: str, loop: Loop, **parts: Any) -> None:
    texts: dict[str, str] = parts.pop("texts", {})
    name = title.partition(" (")[0].lower().replace(" ", "_").replace("-", "_")
    GALLERY[name] = Exhibit(title, source, remark, Equations(name, **parts), loop, texts)


_show(
    "Peephole LSTM",
    "Gers, Schraudolph & Schmidhuber 2002, Learning precise timing with LSTM recurrent networks",
    "The output gate reads the new state.",
    loops.peephole,
    net_inputs=("i", "f", "g", "o"),
    states=("c",),
    unit_parameters=("p_i", "p_f", "p_o"),
    equations="""
        i = sigmoid(i + p_i * c_prev)
        f = sigmoid(f + p_f * c_prev)
        c = f * c_prev + i * tanh(g)
        h = sigmoid(o + p_o * c) * tanh(c)
    """,
)
_show(
    "CIFG",
    "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2017, LSTM: a search space odyssey",
    "Coupled input and forget gates: one gate is the complement of the other.",
    loops.coupled,
    net_inputs=("f", "g", "o"),
    states=("c",),
    equations="""
        f = sigmoid(f)
        c = f * c_prev + (1 - f) * tanh(g)
        h = sigmoid(o) * tanh(c)
    """,
)
_show(
    "JANET",
    "van der Westhuizen & Lasenby 2018, The unreasonable effectiveness of the forget gate",
    "The bias of the only gate is drawn so that the units remember for 1 to 99 steps (Tallec & "
    "Ollivier 2018).",
    loops.janet,
    net_inputs=("f", "g"),
    initial={"f": lambda bias: torch.empty_like(bias).uniform_(1, 99).log()},
    texts={"initial": '{"f": lambda bias: torch.empty_like(bias).uniform_(1, 99).log()}'},
    equations="""
        h = sigmoid(f) * h_prev + (1 - sigmoid(f - 1)) * tanh(g)
    """,
)
_show(
    "UGRNN",
    "Collins, Sohl-Dickstein & Sussillo 2017, Capacity and trainability in recurrent neural "
    "networks",
    "The bias of the update gate starts at one.",
    loops.update_gate,
    net_inputs=("g", "c"),
    initial={"g": 1.0},
    equations="""
        g = sigmoid(g)
        h = g * h_prev + (1 - g) * tanh(c)
    """,
)
_show(
    "GRU with reset before the weights",
    "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, eqs. 5-8",
    "The recurrent matrix of `n` multiplies `r * h_prev`. In `torch.nn.GRU` the gate multiplies "
    "the product.",
    loops.gru_before,
    net_inputs=("r", "z", "n"),
    equations="""
        r = sigmoid(r)
        z = sigmoid(z)
        n_r = W @ (r * h_prev)
        h = z * h_prev + (1 - z) * tanh(n)
    """,
)
_show(
    "Minimal gated unit",
    "Zhou, Wu, Zhang & Zhou 2016, Minimal gated unit for recurrent neural networks",
    "The same product as in the GRU, with one gate.",
    loops.minimal_gated,
    net_inputs=("f", "n"),
    equations="""
        f = sigmoid(f)
        n_r = W @ (f * h_prev)
        h = (1 - f) * h_prev + f * tanh(n)
    """,
)
_show(
    "Light GRU",
    "Ravanelli, Brakel, Omologo & Bengio 2018, Light gated recurrent units for speech recognition",
    "Without batch normalisation.",
    loops.light_gru,
    net_inputs=("z", "n"),
    equations="""
        z = sigmoid(z)
        h = z * h_prev + (1 - z) * relu(n)
    """,
)
_show(
    "Multiplicative LSTM",
    "Krause, Lu, Murray & Renals 2016, Multiplicative LSTM for sequence modelling",
    "Four net inputs read the vector `m`, which has a recurrent matrix too. The source has "
    "no bias in `m`.",
    loops.multiplicative,
    net_inputs=("m", "i", "f", "g", "o"),
    states=("c",),
    equations="""
        m = m_x * m_r
        i_r = W @ m
        f_r = W @ m
        g_r = W @ m
        o_r = W @ m
        c = sigmoid(f) * c_prev + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
    """,
)
_show(
    "sLSTM (one head)",
    "Beck et al. 2024, xLSTM: Extended Long Short-Term Memory, section 2.2",
    "The state `m` prevents overflow of the exponential gates.",
    loops.slstm,
    net_inputs=("i", "f", "z", "o"),
    states=("c", "n", "m"),
    equations="""
        old = where(n_prev > 0, f + m_prev, i - 1000)
        m = max(old, i)
        i = exp(i - m)
        f = exp(old - m)
        c = f * c_prev + i * tanh(z)
        n = f * n_prev + i
        h = sigmoid(o) * c / n
    """,
)
_show(
    "IndRNN",
    "Li, Li, Cook, Zhu & Gao 2018, Independently recurrent neural network",
    "Each unit reads only its own output. The layer has no recurrent matrix.",
    loops.independent,
    net_inputs=("z",),
    unit_parameters=("u",),
    initial={"u": (0.0, 1.0)},
    equations="""
        z_r = u * h_prev
        h = relu(z)
    """,
)
_show(
    "SRU",
    "Lei, Zhang, Wang, Dai & Artzi 2018, Simple recurrent units for highly parallelizable "
    "recurrence",
    "All net inputs read the layer's input only. `s` is the input, projected to the width of the "
    "layer.",
    loops.simple_unit,
    net_inputs=("z", "f", "r", "s"),
    states=("c",),
    unit_parameters=("u", "v"),
    equations="""
        f = sigmoid(f_x + u * c_prev)
        r = sigmoid(r_x + v * c_prev)
        c = f * c_prev + (1 - f) * z_x
        h = r * c + (1 - r) * s_x
    """,
)
_show(
    "minGRU",
    "Feng, Tung, Ahmed, Bengio & Hajimirsadeghi 2024, Were RNNs all we needed?, section 3.1",
    "The gate does not read the hidden state.",
    loops.min_gru,
    net_inputs=("z", "n"),
    equations="""
        z = sigmoid(z_x)
        h = (1 - z) * h_prev + z * n_x
    """,
)
_show(
    "coRNN",
    "Rusch & Mishra 2021, Coupled oscillatory recurrent neural network",
    "A matrix for the position `h` and a second one for the velocity `z`. The net input `v` has no "
    "weights from the input. All units share the two constants, which are learned here.",
    loops.oscillators,
    net_inputs=("a", "v"),
    states=("z",),
    scalars=("gamma", "epsilon"),
    initial={"gamma": 2.7, "epsilon": 4.7},
    equations="""
        v_r = W @ z_prev
        z = z_prev + 0.05 * (tanh(a + v_r) - gamma * h_prev - epsilon * z_prev)
        h = h_prev + 0.05 * z
    """,
)
_show(
    "LEM",
    "Rusch, Mishra, Erichson & Mahoney 2022, Long expressive memory for sequence modeling",
    "The last matrix multiplies the new state `z`.",
    loops.long_expressive,
    net_inputs=("s", "t", "z", "y"),
    states=("slow",),
    equations="""
        s = sigmoid(s)
        t = sigmoid(t)
        slow = (1 - s) * slow_prev + s * tanh(z)
        y_r = W @ slow
        h = (1 - t) * h_prev + t * tanh(y)
    """,
)
_show(
    "Antisymmetric RNN (gated)",
    "Chang, Chen, Haber & Chi 2019, AntisymmetricRNN: a dynamical system view on recurrent neural "
    "networks",
    "The gate uses the same recurrent product as the cell input.",
    loops.antisymmetric,
    net_inputs=("a", "z"),
    equations="""
        a_r = (W - W.T - 0.01 * I) @ h_prev
        z_r = a_r
        h = h_prev + 0.1 * sigmoid(z) * tanh(a)
    """,
)
_show(
    "FastGRNN",
    "Kusupati et al. 2018, FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated "
    "recurrent neural network",
    "Gate and cell input share both matrices and differ in their biases. Two scalars.",
    loops.fast_gated,
    net_inputs=("a",),
    unit_parameters=("b",),
    scalars=("zeta", "nu"),
    initial={"b": 0.0, "zeta": 1.0, "nu": -4.0},
    equations="""
        z = sigmoid(a)
        n = tanh(a + b)
        h = (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * n + z * h_prev
    """,
)
_show(
    "Multiplicative integration RNN",
    "Wu, Zhang, Zhang, Bengio & Salakhutdinov 2016, On multiplicative integration with recurrent "
    "neural networks",
    "The two parts of a net input are multiplied. `a_x` includes the bias, which the source adds "
    "outside of the product.",
    loops.multiplicative_integration,
    net_inputs=("a",),
    unit_parameters=("alpha", "beta", "b"),
    initial={"a": 0.0, "alpha": 2.0, "beta": 0.5, "b": 0.0},
    equations="""
        h = tanh(alpha * a_x * a_r + beta * a_r + 0.5 * a_x + b)
    """,
)
_show(
    "Recurrent highway network (depth 2)",
    "Zilly, Srivastava, Koutnik & Schmidhuber 2017, Recurrent highway networks, eqs. 6-9",
    "Two recurrent layers within one step. The second has no weights from the input.",
    loops.highway,
    net_inputs=("a", "t", "a2", "t2"),
    unit_parameters=("b", "d"),
    initial={"t": -2.0, "d": -2.0},
    equations="""
        t = sigmoid(t)
        s = tanh(a) * t + h_prev * (1 - t)
        a2_r = W @ s
        t2_r = W @ s
        u = sigmoid(t2_r + d)
        h = tanh(a2_r + b) * u + s * (1 - u)
    """,
)
_show(
    "Neuromodulated bistable cell",
    "Vecoven, Ernst & Drion 2021, A bio-inspired bistable recurrent cell allows for long-lasting "
    "memory",
    "The gate `a` reaches from 0 to 2, so that a unit can hold one of two values.",
    loops.bistable,
    net_inputs=("a", "c", "n"),
    equations="""
        c = sigmoid(c)
        h = c * h_prev + (1 - c) * tanh(n_x + (1 + tanh(a)) * h_prev)
    """,
)
