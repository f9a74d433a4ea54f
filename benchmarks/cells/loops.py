"""The cells of the gallery as loops of torch operations, from the parameters of a layer.

A loop states which rows of the weights belong to which net input. It computes the products with the
inputs of all steps at once, and those with the hidden state step by step, as one would write it by
hand. It does not use the package's equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, sigmoid, tanh
from torch.nn.functional import linear

States = tuple[Tensor, ...]


@dataclass
class Step:
    """What a step reads: ``x`` by net input, unit parameters ``u``, and recurrent matrices."""

    x: Mapping[str, Tensor]
    u: States
    matrices: Mapping[tuple[str, ...], Tensor]

    def r(self, vector: Tensor, *names: str) -> States:
        """The recurrent parts of these net inputs, by one product."""
        return linear(vector, self.matrices[names]).chunk(len(names), -1)


@dataclass(frozen=True)
class Loop:
    """A cell as a loop over time.

    Args:
        rows: net inputs in the order of the rows of ``weight_ih``.
        products: net inputs in the order of the rows of ``weight_hh``, one tuple for each product.
        states: number of states besides ``h``.
        step: ``(step, h, states) -> (h, states)``.
        turn: computes the recurrent matrix from ``weight_hh``.
    """

    rows: tuple[str, ...]
    products: tuple[tuple[str, ...], ...]
    states: int
    step: Callable[[Step, Tensor, States], tuple[Tensor, States]]
    turn: Callable[[Tensor], Tensor] = lambda weights: weights

    def __call__(self, layer: torch.nn.Module, inputs: Tensor) -> Tensor:
        """Run a layer of one direction over ``[T, B, I]``; returns the output of every step."""
        p = {name: weights for name, weights in layer.named_parameters()}
        C = p["weight_ih_l0"].shape[0] // len(self.rows)
        bias = p["bias_ih_l0"] + p["bias_hh_l0"]
        x = linear(inputs, p["weight_ih_l0"], bias).split(C, -1)
        u: States = tuple(p["weight_unit_l0"]) if "weight_unit_l0" in p else ()
        u += tuple(p["weight_scalar_l0"]) if "weight_scalar_l0" in p else ()
        sizes = [C * len(names) for names in self.products]
        parts = self.turn(p["weight_hh_l0"]).split(sizes) if sizes else ()
        matrices = dict(zip(self.products, parts, strict=True))
        h = inputs.new_zeros(inputs.shape[1], C)
        states, outputs = (h,) * self.states, []
        for t in range(len(inputs)):
            here = {name: part[t] for name, part in zip(self.rows, x, strict=True)}
            h, states = self.step(Step(here, u, matrices), h, states)
            outputs.append(h)
        return torch.stack(outputs)


def _peephole(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    (c,), (p_i, p_f, p_o) = states, s.u
    i, f, g, o = s.r(h, "i", "f", "g", "o")
    i, f = sigmoid(s.x["i"] + i + p_i * c), sigmoid(s.x["f"] + f + p_f * c)
    c = f * c + i * tanh(s.x["g"] + g)
    return sigmoid(s.x["o"] + o + p_o * c) * tanh(c), (c,)


def _coupled(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    f, g, o = s.r(h, "f", "g", "o")
    f = sigmoid(s.x["f"] + f)
    c = f * states[0] + (1 - f) * tanh(s.x["g"] + g)
    return sigmoid(s.x["o"] + o) * tanh(c), (c,)


def _janet(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    f, g = s.r(h, "f", "g")
    f = s.x["f"] + f
    return sigmoid(f) * h + (1 - sigmoid(f - 1)) * tanh(s.x["g"] + g), ()


def _update_gate(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    g, c = s.r(h, "g", "c")
    g = sigmoid(s.x["g"] + g)
    return g * h + (1 - g) * tanh(s.x["c"] + c), ()


def _gru_before(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    r, z = s.r(h, "r", "z")
    r, z = sigmoid(s.x["r"] + r), sigmoid(s.x["z"] + z)
    (n,) = s.r(r * h, "n")
    return z * h + (1 - z) * tanh(s.x["n"] + n), ()


def _minimal_gated(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    f = sigmoid(s.x["f"] + s.r(h, "f")[0])
    return (1 - f) * h + f * tanh(s.x["n"] + s.r(f * h, "n")[0]), ()


def _light_gru(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    z, n = s.r(h, "z", "n")
    z = sigmoid(s.x["z"] + z)
    return z * h + (1 - z) * torch.relu(s.x["n"] + n), ()


def _multiplicative(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    i, f, g, o = s.r(s.x["m"] * s.r(h, "m")[0], "i", "f", "g", "o")
    c = sigmoid(s.x["f"] + f) * states[0] + sigmoid(s.x["i"] + i) * tanh(s.x["g"] + g)
    return sigmoid(s.x["o"] + o) * tanh(c), (c,)


def _slstm(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    """Without the stabiliser, which changes neither the output nor its gradient."""
    i, f, z, o = s.r(h, "i", "f", "z", "o")
    i, f = torch.exp(s.x["i"] + i), torch.exp(s.x["f"] + f)
    c = f * states[0] + i * tanh(s.x["z"] + z)
    n = f * states[1] + i
    return sigmoid(s.x["o"] + o) * c / n, (c, n)


def _independent(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    return torch.relu(s.x["z"] + s.u[0] * h), ()


def _simple_unit(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    (c,), (u, v) = states, s.u
    f, r = sigmoid(s.x["f"] + u * c), sigmoid(s.x["r"] + v * c)
    c = f * c + (1 - f) * s.x["z"]
    return r * c + (1 - r) * s.x["s"], (c,)


def _min_gru(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    z = sigmoid(s.x["z"])
    return (1 - z) * h + z * s.x["n"], ()


def _oscillators(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    (z,), (gamma, epsilon) = states, s.u
    force = tanh(s.x["a"] + s.r(h, "a")[0] + s.r(z, "v")[0])
    z = z + 0.05 * (force - gamma * h - epsilon * z)
    return h + 0.05 * z, (z,)


def _long_expressive(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    d, e, z = s.r(h, "s", "t", "z")
    d, e = sigmoid(s.x["s"] + d), sigmoid(s.x["t"] + e)
    slow = (1 - d) * states[0] + d * tanh(s.x["z"] + z)
    return (1 - e) * h + e * tanh(s.x["y"] + s.r(slow, "y")[0]), (slow,)


def _antisymmetric(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    (r,) = s.r(h, "a")
    return h + 0.1 * sigmoid(s.x["z"] + r) * tanh(s.x["a"] + r), ()


def _without_symmetry(W: Tensor) -> Tensor:
    return W - W.T - 0.01 * torch.eye(len(W), dtype=W.dtype)


def _fast_gated(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    b, zeta, nu = s.u
    a = s.x["a"] + s.r(h, "a")[0]
    z = sigmoid(a)
    return (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * tanh(a + b) + z * h, ()


def _multiplicative_integration(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    (alpha, beta, b), (r,) = s.u, s.r(h, "a")
    return tanh(alpha * s.x["a"] * r + beta * r + 0.5 * s.x["a"] + b), ()


def _highway(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    (b, d), (a, t) = s.u, s.r(h, "a", "t")
    t = sigmoid(s.x["t"] + t)
    inner = tanh(s.x["a"] + a) * t + h * (1 - t)
    a, t = s.r(inner, "a2", "t2")
    t = sigmoid(t + d)
    return tanh(a + b) * t + inner * (1 - t), ()


def _bistable(s: Step, h: Tensor, states: States) -> tuple[Tensor, States]:
    a, c = s.r(h, "a", "c")
    c = sigmoid(s.x["c"] + c)
    return c * h + (1 - c) * tanh(s.x["n"] + (1 + tanh(s.x["a"] + a)) * h), ()


def _one(rows: str, states: int, step: Callable[..., tuple[Tensor, States]]) -> Loop:
    """A loop with one product, whose rows are those of the inputs."""
    names = tuple(rows.split())
    return Loop(names, (names,), states, step)


peephole = _one("i f g o", 1, _peephole)
coupled = _one("f g o", 1, _coupled)
janet = _one("f g", 0, _janet)
update_gate = _one("g c", 0, _update_gate)
gru_before = Loop(("r", "z", "n"), (("r", "z"), ("n",)), 0, _gru_before)
minimal_gated = Loop(("f", "n"), (("f",), ("n",)), 0, _minimal_gated)
light_gru = _one("z n", 0, _light_gru)
multiplicative = Loop(("m", "i", "f", "g", "o"), (("m",), ("i", "f", "g", "o")), 1, _multiplicative)
slstm = _one("i f z o", 2, _slstm)
independent = Loop(("z",), (), 0, _independent)
simple_unit = Loop(("z", "f", "r", "s"), (), 1, _simple_unit)
min_gru = Loop(("z", "n"), (), 0, _min_gru)
oscillators = Loop(("a",), (("a",), ("v",)), 1, _oscillators)
long_expressive = Loop(("s", "t", "z", "y"), (("s", "t", "z"), ("y",)), 1, _long_expressive)
antisymmetric = Loop(("a", "z"), (("a",),), 0, _antisymmetric, _without_symmetry)
fast_gated = _one("a", 0, _fast_gated)
multiplicative_integration = _one("a", 0, _multiplicative_integration)
highway = Loop(("a", "t"), (("a", "t"), ("a2", "t2")), 0, _highway)
bistable = Loop(("a", "c", "n"), (("a", "c"),), 0, _bistable)
