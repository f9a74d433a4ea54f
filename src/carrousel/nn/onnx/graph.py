"""All layers of one step as one ONNX graph. Importing this module requires onnx."""

from __future__ import annotations

import numpy as np

from carrousel.contracts import CELLS, Recurrence
from carrousel.kernels.autograd.cells import sources_of
from carrousel.nn.onnx.cells import NetNames, StepNames, write_cell, write_source
from carrousel.nn.onnx.writer import Names, Writer

Arrays = dict[str, np.ndarray]


def write_layers(R: Recurrence, layers: list[Arrays], zones: tuple[float, float]) -> Writer:
    """Write nodes from ``x``, ``h_in`` and ``c_in`` to ``y``, ``h_out`` and ``c_out``."""
    g = Writer(layers[0]["w_ih"].dtype)
    hs = _layers_of(g, "h_in", len(layers))
    ss = _layers_of(g, "c_in", len(layers)) if R.n_states else [""] * len(layers)
    x, new_h, new_s = "x", [], []
    for index, weights in enumerate(layers):
        layer = _Layer(g, R, weights, index)
        h, s = layer.step(x, hs[index], ss[index], zones)
        new_h.append(h)
        new_s.append(s)
        x = h
        if R.n_sources != R.n_outputs:
            x = g.split(h, (R.n_outputs, R.n_sources - R.n_outputs), 1)[0]
    g("Identity", x, name="y")
    _stack(g, "h_out", new_h)
    if R.n_states:
        _stack(g, "c_out", new_s)
    g.prune(("y", "h_out", *(("c_out",) if R.n_states else ())))
    return g


def _layers_of(g: Writer, name: str, count: int) -> Names:
    """Split a stacked state into one ``[B, *]`` for each layer."""
    axis = g.indices([0])
    return [g("Squeeze", part, axis) for part in g.split(name, (1,) * count, 0)]


def _stack(g: Writer, name: str, parts: Names) -> None:
    """Stack the states of all layers."""
    axis = g.indices([0])
    if len(parts) == 1:
        g("Unsqueeze", parts[0], axis, name=name)
    else:
        g("Concat", *[g("Unsqueeze", part, axis) for part in parts], axis=0, name=name)


class _Layer:
    """Writes one layer: its weights as constants, and the nodes of its step."""

    def __init__(self, g: Writer, R: Recurrence, weights: Arrays, index: int) -> None:
        self.g, self.R, self.weights, self.index = g, R, weights, index
        # Cells that read only the sums of the two parts of their net inputs.
        self.sums = R.cell in CELLS and R.cell != "gru"

    def step(self, x: str, h: str, s: str, zones: tuple[float, float]) -> tuple[str, str]:
        """Return the names of the new hidden state and of the other new states."""
        g, R = self.g, self.R
        states = g.split(s, (R.units,) * len(R.kind.states), 1) if s else []
        unit = self.weights.get("unit")
        parameters = (
            [] if unit is None else [self._keep(f"unit_{k}", u) for k, u in enumerate(unit)]
        )
        given = StepNames(R, states, h, parameters, self._norm_of_state)
        nets = self._nets(x, h)
        for number, function in enumerate(sources_of(R.cell), 1):
            nets = self._with_product(nets, number, write_source(g, function, nets, given))
        new_states, m, sources = write_cell(g, nets, given)
        if sources:
            m = g("Concat", m, *sources, axis=1)
        elif R.projection:
            m = g("MatMul", m, self._keep("w_hr", self.weights["w_hr"].T))
        joined = new_states[0] if len(new_states) == 1 else ""
        if len(new_states) > 1:
            joined = g("Concat", *new_states, axis=1)
        return self._mix(m, h, zones[0]), self._mix(joined, s, zones[1]) if s else ""

    def _nets(self, x: str, h: str) -> NetNames:
        g, R, w = self.g, self.R, self.weights
        bias = self._keep("bias", w["bias"]) if "bias" in w else ""
        if self.sums and not R.layer_norm:  # one product for inputs and hidden state
            both = np.concatenate((w["w_ih"], w["w_hh"]), axis=1)
            source = g("Concat", x, h, axis=1)
            inputs = (source, self._keep("w_ih_hh", both.T), *((bias,) if bias else ()))
            return NetNames(g.split(g("Gemm", *inputs), R.widths, 1), [])
        of_x = g("MatMul", x, self._keep("w_ih", w["w_ih"].T))
        rows = R.product_rows[0]
        of_h = g("MatMul", h, self._keep("w_hh", w["w_hh"][:rows].T)) if rows else ""
        if R.layer_norm:
            of_x = g.norm(of_x, self._keep("ln_ih", w["ln_ih"]))
            of_h = g.norm(of_h, self._keep("ln_hh", w["ln_hh"]))
        if bias:
            of_x = g("Add", of_x, bias)
        if self.sums:
            return NetNames(g.split(g("Add", of_x, of_h), R.widths, 1), [])
        # Parts of later products are added when their source is known.
        widths = R.widths[: R.kind.products[0]] if R.kind.products else R.widths
        missing = [""] * (len(R.widths) - len(widths))
        of_sources = [*g.split(of_h, widths, 1), *missing] if widths else missing
        return NetNames(g.split(of_x, R.widths, 1), of_sources)

    def _with_product(self, nets: NetNames, number: int, source: str) -> NetNames:
        """Return the net inputs with the parts of one more recurrent product."""
        R, g = self.R, self.g
        first = sum(R.kind.products[:number])
        count = R.kind.products[number]
        weights = self.weights["w_hh"][first * R.units : (first + count) * R.units]
        product = g("MatMul", source, self._keep(f"w_hh_{number}", weights.T))
        r = list(nets.r)
        r[first : first + count] = g.split(product, (R.units,) * count, 1)
        return nets._replace(r=r)

    def _norm_of_state(self, state: str) -> str:
        if "ln_c" not in self.weights:
            return state
        scale, shift = self.weights["ln_c"]
        return self.g.norm(state, self._keep("scale_c", scale), self._keep("shift_c", shift))

    def _mix(self, new: str, old: str, share: float) -> str:
        """Mix the previous and the new value, as zoneout does in evaluation."""
        if not share:
            return new
        g = self.g
        kept = g("Mul", g.number(share), old)
        return g("Add", kept, g("Mul", g.number(1 - share), new))

    def _keep(self, name: str, value: np.ndarray) -> str:
        return self.g.constant(value, f"{name}_l{self.index}")
