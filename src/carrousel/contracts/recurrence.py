"""One direction of one recurrent layer, for whole batches: its equations, step by step.

Letters are those of :mod:`carrousel.shapes`: ``T`` steps, ``B`` sequences of the batch, ``I``
inputs, ``C`` memory cells, ``U`` hidden units (rows of the weights: gates and cells), ``H``
components of the hidden state that is fed back, ``D`` state vectors besides it, ``P`` further
parameters of a cell.

Step ``t`` for each sequence of the batch, with ``h'`` and ``s'`` from the previous step:

1. If the sequence is reset, ``h'`` and ``s'`` become the fresh state, also at inactive steps.
2. ``x = LN(w_ih x_t) + bias`` and ``r = LN(w_hh (h' * drop))``. Each LN exists only with
   ``layer_norm``; it normalises all ``U`` components as one vector, with a scale and no shift.
   Cells from equations may multiply some rows of ``w_hh`` by vectors ``v [C]`` that they compute
   in the step, instead of ``h' * drop`` (:attr:`CellKind.products`).
3. The cell's equations give new states ``s`` and the cell output ``m`` (table below).
4. ``h = w_hr m`` with a projection, else ``h = m``.
5. Zoneout keeps ``h'`` and ``s'`` where its masks are 1; without masks it mixes old and new by a
   fixed share. ``m`` is computed from the state before zoneout (Krueger et al. 2017).
6. At an inactive step (padding), ``h = h'``, ``s = s'`` and the output is zero; else the output is
   ``h``.

In the equations ``a = x + r``, ``sigma`` is the logistic function, and ``L`` is the layer
normalisation of the state that passes the output gate (the identity without ``layer_norm``).

==============  =================================================================================
lstm            i, f, o = sigma(a_i, a_f, a_o); g = tanh(a_g); c = f c' + i g; m = o tanh(L(c))
peephole        as lstm, with i = sigma(a_i + p_i c'), f = sigma(a_f + p_f c'),
                o = sigma(a_o + p_o c) (Gers, Schraudolph & Schmidhuber 2002)
coupled         as lstm, with f = 1 - i (Greff et al. 2017)
no_output_gate  as lstm, with m = tanh(L(c))
lstm97          c = c' + i g(a_g); m = o h(L(c)); one i and o per block of cells; g and h are
                logistic functions scaled to a range (Hochreiter & Schmidhuber 1997, eqs. 3-9).
                With ``gate_sources`` the gates are fed back too: h = (m, i, o)
gru             r, z = sigma(a_r, a_z); n = tanh(x_n + r (r_n + b)); h = (1 - z) n + z h'
                (Cho et al. 2014; the bias b inside the product as in torch)
rnn_tanh        h = tanh(a)
rnn_relu        h = max(a, 0)
==============  =================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from carrousel.checks import check_choice, check_int
from carrousel.errors import SettingError


@dataclass(frozen=True)
class CellKind:
    """The parts of a cell's equations that shapes depend on.

    Args:
        net_inputs: names of gates and cells with a net input, in the order of the weights' rows.
        states: names of the ``D`` state vectors besides the hidden state.
        unit_parameters: names of the ``P`` learned vectors with one entry per memory cell.
        state_norm: whether there is a state for layer normalisation.
        projects: whether the cell output may be projected.
        scalars: names of the last unit parameters, whose entries are one number for all cells.
        without_x: net inputs whose part ``x`` no equation reads.
        without_r: net inputs whose part ``r`` no equation reads.
        products: numbers of net inputs of each recurrent product, in order. The first product
            multiplies ``h'``, the others multiply vectors computed in the step. Empty: one product.
        matrices: net inputs whose rows of ``w_hh`` are ``a W + b W.T + c I`` for the parameter
            ``W``, with ``(a, b, c)``.
    """

    net_inputs: tuple[str, ...]
    states: tuple[str, ...] = ()
    unit_parameters: tuple[str, ...] = ()
    state_norm: bool = False
    projects: bool = False
    scalars: tuple[str, ...] = ()
    without_x: tuple[str, ...] = ()
    without_r: tuple[str, ...] = ()
    products: tuple[int, ...] = ()
    matrices: tuple[tuple[str, tuple[float, float, float]], ...] = ()


_IFGO = ("input", "forget", "cell", "output")
CELLS: Mapping[str, CellKind] = {
    "lstm": CellKind(_IFGO, ("c",), (), True, True),
    "lstm97": CellKind(("input", "cell", "output"), ("c",), (), True, True),
    "peephole": CellKind(_IFGO, ("c",), ("p_i", "p_f", "p_o"), True, True),
    "coupled": CellKind(("input", "cell", "output"), ("c",), (), True, True),
    "no_output_gate": CellKind(("input", "forget", "cell"), ("c",), (), True, True),
    "gru": CellKind(("reset", "update", "new"), (), ("b_hn",)),
    "rnn_tanh": CellKind(("net",)),
    "rnn_relu": CellKind(("net",)),
}
"""Built-in cells; the order of net inputs is torch's wherever torch has the cell."""

_described: dict[str, CellKind] = {}


def describe_cell(name: str, kind: CellKind) -> None:
    """Register a cell made from a user's equations.

    Args:
        name: its name, which must start with ``user:``.
        kind: its parts.

    Raises:
        SettingError: the name lacks the prefix, or another cell is registered under it.
    """
    if not name.startswith("user:"):
        raise SettingError(argument="name", got=name, expected="a name that starts with 'user:'")
    if _described.setdefault(name, kind) != kind:
        raise SettingError(
            f"name {name!r} stands for another cell already",
            argument="name",
            got=name,
            fix="choose another name",
        )


def cell_kind(name: str) -> CellKind:
    """Return the parts of a built-in or registered cell.

    Raises:
        UnknownNameError: there is no such cell.

    >>> cell_kind("gru").net_inputs
    ('reset', 'update', 'new')
    """
    known = {**CELLS, **_described}
    return known[check_choice("cell", name, known)]


ACTIVE, RESET = 1, 2
"""Bits of the flags ``[T, B]`` of a call: not padding; the state is reset before the step."""

NORM_EPSILON = 1e-5
"""Added to the variance in every layer normalisation inside a cell."""


@dataclass(frozen=True)
class Recurrence:
    """Equations and sizes of one direction of a layer.

    Args:
        cell: a name of :data:`CELLS`, or ``user:...`` of a registered cell.
        units: ``C``, number of memory cells (or simple units).
        projection: ``H`` with a projection, or 0.
        block_size: ``lstm97`` only: cells that share an input gate and an output gate.
        g_range, h_range: ``lstm97`` only: half the width of the range of g and of h.
        gate_sources: ``lstm97`` only: whether gates are fed back too.
        layer_norm: layer normalisation of net inputs and of the state.

    Raises:
        SettingError: a number is out of range, or an option does not belong to this cell.
        UnknownNameError: there is no such cell.

    >>> lstm = Recurrence("lstm", 8)
    >>> lstm.n_net_inputs, lstm.n_sources, lstm.n_states
    (32, 8, 8)
    >>> blocks = Recurrence("lstm97", 8, block_size=2, gate_sources=True)
    >>> blocks.n_net_inputs, blocks.n_sources
    (16, 16)
    >>> Recurrence.parse(blocks.key) == blocks
    True
    """

    cell: str
    units: int
    projection: int = 0
    block_size: int = 1
    g_range: float = 2.0
    h_range: float = 1.0
    gate_sources: bool = False
    layer_norm: bool = False
    kind: CellKind = field(init=False, repr=False, compare=False)
    key: str = field(init=False, repr=False, compare=False)
    """The description as one string, which :meth:`parse` reads; torch operations pass it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", cell_kind(self.cell))
        check_int("units", self.units, minimum=1, maximum=2**24)
        check_int("projection", self.projection, minimum=0, maximum=2**24)
        check_int("block_size", self.block_size, minimum=1, maximum=self.units)
        if self.units % self.block_size:
            raise SettingError(
                argument="block_size",
                got=self.block_size,
                expected=f"a divisor of the {self.units} units",
            )
        blocks = self.block_size > 1 or self.gate_sources
        if self.cell != "lstm97" and (blocks or (self.g_range, self.h_range) != (2.0, 1.0)):
            raise SettingError(
                f"cell {self.cell_name!r} has no block_size, g_range, h_range or gate_sources",
                argument="cell",
                got=self.cell,
                fix="these belong to {cell} 'lstm97'",
            )
        if self.projection and (not self.kind.projects or self.gate_sources):
            raise SettingError(
                f"cell {self.cell_name!r} takes no projection here",
                argument="projection",
                got=self.projection,
                fix="cells that do: "
                + ", ".join(name for name, kind in CELLS.items() if kind.projects)
                + ", without {gate_sources}; cells from equations that use neither h_prev nor a "
                "matrix other than W @ h_prev",
            )
        if self.layer_norm and self.kind.products:
            raise SettingError(
                f"cell {self.cell_name!r} has several recurrent products, which cannot be "
                "normalised as one vector",
                argument="layer_norm",
                got=self.layer_norm,
                fix="set {layer_norm}=False",
            )
        parts = (
            *(self.cell, self.units, self.projection, self.block_size, self.g_range, self.h_range),
            *(int(self.gate_sources), int(self.layer_norm)),
        )
        object.__setattr__(self, "key", ";".join(str(part) for part in parts))

    @property
    def cell_name(self) -> str:
        """The name of the cell for messages: that of ``Equations``, without the hash.

        >>> describe_cell("user:unit-0a1b", CellKind(("z",)))
        >>> Recurrence("user:unit-0a1b", 3).cell_name, Recurrence("lstm", 3).cell_name
        ('unit', 'lstm')
        """
        own = self.cell.startswith("user:")
        return self.cell.removeprefix("user:").rsplit("-", 1)[0] if own else self.cell

    @property
    def n_blocks(self) -> int:
        """Blocks of cells; in ``lstm97`` each has one input gate and one output gate."""
        return self.units // self.block_size

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Rows of the weights per net input, in order: ``C``, or one per block for its gates."""
        gates = self.n_blocks
        return tuple(
            self.units if name == "cell" or self.cell != "lstm97" else gates
            for name in self.kind.net_inputs
        )

    @property
    def n_net_inputs(self) -> int:
        """``U``: rows of ``w_ih`` and ``w_hh``."""
        return sum(self.widths)

    @property
    def without_x(self) -> tuple[str, ...]:
        """Net inputs that have no rows in ``weight_ih``; layer normalisation needs all rows."""
        return () if self.layer_norm else self.kind.without_x

    @property
    def without_r(self) -> tuple[str, ...]:
        """Net inputs that have no rows in ``weight_hh``."""
        absent = self.kind.without_r
        return () if self.layer_norm and len(absent) < len(self.kind.net_inputs) else absent

    @property
    def forget_gate(self) -> str:
        """The net input of the forget gate, ``forget`` or ``f``; empty if there is none."""
        present = set(self.kind.net_inputs) - set(self.without_x)
        return next((name for name in ("forget", "f") if name in present), "")

    @cached_property
    def product_rows(self) -> tuple[int, ...]:
        """Rows of ``w_hh`` that each recurrent product multiplies, in order."""
        return tuple(n * self.units for n in self.kind.products) or (self.n_net_inputs,)

    @property
    def reads_product(self) -> bool:
        """Whether an equation reads a part of ``w_hh h'``, the first recurrent product."""
        names = self.kind.net_inputs
        first = self.kind.products[0] if self.kind.products else len(names)
        return self.layer_norm or not set(names[:first]) <= set(self.kind.without_r)

    @property
    def n_sources(self) -> int:
        """``H``: columns of ``w_hh``, width of the hidden state."""
        return self.projection or self.units + self.gate_sources * 2 * self.n_blocks

    @property
    def n_outputs(self) -> int:
        """Width of the output: all ``H`` components but the gates."""
        return self.projection or self.units

    @property
    def n_states(self) -> int:
        """``D*C``: width of the states besides the hidden state."""
        return len(self.kind.states) * self.units

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(key: str) -> Recurrence:
        """Return the description with a given :attr:`key`."""
        cell, units, projection, block_size, g, h, gate_sources, layer_norm = key.split(";")
        return Recurrence(
            cell,
            int(units),
            int(projection),
            int(block_size),
            float(g),
            float(h),
            bool(int(gate_sources)),
            bool(int(layer_norm)),
        )


def gradient_cut(gradient: str) -> int:
    """Parse the name of a gradient: 0 for ``"bptt"``, -1 for ``"truncated"``, k for ``"tbptt:k"``.

    - ``"bptt"``: exact.
    - ``"truncated"``: errors at net inputs flow no further back; they flow back only through the
      states of the cells (for ``gru``: through ``z h'``). Recurrent weights and peepholes still
      learn (Hochreiter & Schmidhuber 1997, appendix A.1).
    - ``"tbptt:k"``: states are detached before every ``k``-th step, in the order of processing.

    Raises:
        SettingError: the name is none of these.

    >>> [gradient_cut(name) for name in ("bptt", "truncated", "tbptt:20")]
    [0, -1, 20]
    >>> gradient_cut("tbptt")
    Traceback (most recent call last):
        ...
    carrousel.errors.SettingError: gradient is 'tbptt', expected 'bptt', 'truncated' or 'tbptt:k' \
with a whole number k of at least 1
    """
    if gradient == "bptt":
        return 0
    if gradient == "truncated":
        return -1
    name, _, steps = gradient.partition(":") if isinstance(gradient, str) else ("", "", "")
    if name == "tbptt" and steps.isascii() and steps.isdecimal() and 1 <= int(steps) < 2**31:
        return int(steps)
    raise SettingError(
        argument="gradient",
        got=gradient,
        expected="'bptt', 'truncated' or 'tbptt:k' with a whole number k of at least 1",
    )
