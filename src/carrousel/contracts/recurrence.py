"""One direction of one recurrent layer, for whole batches: what is computed, step by step.

Letters: ``T`` steps, ``B`` sequences of the batch, ``I`` inputs, ``M`` units (memory cells),
``N`` net inputs, ``K`` recurrent sources, ``S`` state vectors besides the hidden state.

At step ``t``, for every sequence of the batch (``h'`` and ``s'`` are those of the step before):

1. where the sequence is reset, be the step active or not, ``h'`` and ``s'`` become the fresh state;
2. ``x = LN(w_ih x_t) + bias`` and ``r = LN(w_hh (h' * drop))``, each LN only with ``layer_norm``,
   over all ``N`` as one vector, scaled but not shifted;
3. the cell's equations give new states ``s`` and the cell output ``m`` (table :data:`CELLS`);
4. ``h = w_hr m`` with a projection, else ``h = m``;
5. zoneout keeps ``h'`` and ``s'`` where its masks say so, or where it has none mixes old and new;
   ``m`` comes from the state before zoneout (Krueger et al. 2017);
6. where the step is not active (padding), ``h = h'``, ``s = s'`` and the output is zero; elsewhere
   the output is ``h``.

In the equations ``a = x + r``, ``sigma`` is the logistic function and ``L`` the second layer
normalisation, of the state that leaves through the output gate (without ``layer_norm``: nothing).

==============  =================================================================================
lstm            i, f, o = sigma(a_i, a_f, a_o); g = tanh(a_g); c = f c' + i g; m = o tanh(L(c))
peephole        the same with i = sigma(a_i + p_i c'), f = sigma(a_f + p_f c'),
                o = sigma(a_o + p_o c) (Gers, Schraudolph & Schmidhuber 2002)
coupled         f = 1 - i; else as lstm (Greff et al. 2017)
no_output_gate  m = tanh(L(c)); else as lstm
lstm97          c = c' + i g(a_g); m = o h(L(c)); one i and o for each block of cells; g and h are
                logistic functions scaled to a range (Hochreiter & Schmidhuber 1997, eqs. 3-9).
                With ``gate_sources`` the gates are recurrent sources too: h = (m, i, o)
gru             r, z = sigma(a_r, a_z); n = tanh(x_n + r (r_n + b)); h = (1 - z) n + z h'
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
        net_inputs: names of what has a net input, in the order of the rows of the weights.
        states: names of the states handed on besides the hidden state.
        unit_parameters: names of learned vectors with one entry a unit.
        state_norm: whether layer normalisation has a state to normalise.
        projects: whether a projection of the cell output makes sense.
    """

    net_inputs: tuple[str, ...]
    states: tuple[str, ...] = ()
    unit_parameters: tuple[str, ...] = ()
    state_norm: bool = False
    projects: bool = False


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
    """Make a cell from a user's equations known by its name, which must start with ``user:``.

    Raises:
        SettingError: the name lacks the prefix, or stands for other equations already.
    """
    if not name.startswith("user:"):
        raise SettingError(f"name is {name!r}, expected a name that starts with 'user:'")
    if _described.setdefault(name, kind) != kind:
        raise SettingError(f"name {name!r} stands for another cell already; choose another name")


def cell_kind(name: str) -> CellKind:
    """Return the kind of a built-in or described cell, or raise ``UnknownNameError``.

    >>> cell_kind("gru").net_inputs
    ('reset', 'update', 'new')
    """
    known = {**CELLS, **_described}
    return known[check_choice("cell", name, known)]


ACTIVE, RESET = 1, 2
"""Bits of the flags ``[T, B]`` of a call: the step counts; the state is reset before the step."""

NORM_EPSILON = 1e-5
"""Added to the variance by every layer normalisation inside a cell."""


@dataclass(frozen=True)
class Recurrence:
    """Which equations one direction of a layer follows, and its sizes.

    Args:
        cell: a name of :data:`CELLS`, or ``user:...`` of a described cell.
        units: ``M``, number of units (memory cells).
        projection: ``K`` with a projection, or 0.
        block_size: of ``lstm97``: cells that share an input gate and an output gate.
        g_range, h_range: of ``lstm97``: half the width of the range of g and of h.
        gate_sources: of ``lstm97``: gates feed the layer's units at the next step.
        layer_norm: layer normalisation of net inputs and of the state.

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
    """The description as one string, for interfaces that carry nothing richer."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", cell_kind(self.cell))
        check_int("units", self.units, minimum=1, maximum=2**24)
        check_int("projection", self.projection, minimum=0, maximum=2**24)
        check_int("block_size", self.block_size, minimum=1, maximum=self.units)
        if self.units % self.block_size:
            raise SettingError(
                f"block_size is {self.block_size}, expected a divisor of the {self.units} units"
            )
        blocks = self.block_size > 1 or self.gate_sources
        if self.cell != "lstm97" and (blocks or (self.g_range, self.h_range) != (2.0, 1.0)):
            raise SettingError(
                f"cell {self.cell!r} has no block_size, g_range, h_range or gate_sources; "
                "these belong to cell 'lstm97'"
            )
        if self.projection and (not self.kind.projects or self.gate_sources):
            raise SettingError(
                f"cell {self.cell!r} takes no projection here; cells that do: "
                + ", ".join(name for name, kind in CELLS.items() if kind.projects)
                + ", without gate_sources"
            )

        parts = (
            *(self.cell, self.units, self.projection, self.block_size, self.g_range, self.h_range),
            *(int(self.gate_sources), int(self.layer_norm)),
        )
        object.__setattr__(self, "key", ";".join(str(part) for part in parts))

    @property
    def n_blocks(self) -> int:
        """Blocks of cells; each has one of every gate of ``lstm97``."""
        return self.units // self.block_size

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Rows of the weights of each net input, in order: ``M``, or one a block for its gates."""
        gates = self.n_blocks
        return tuple(
            self.units if name == "cell" or self.cell != "lstm97" else gates
            for name in self.kind.net_inputs
        )

    @property
    def n_net_inputs(self) -> int:
        """``N``: rows of ``w_ih`` and ``w_hh``."""
        return sum(self.widths)

    @property
    def n_sources(self) -> int:
        """``K``: columns of ``w_hh``, width of the hidden state."""
        return self.projection or self.units + self.gate_sources * 2 * self.n_blocks

    @property
    def n_outputs(self) -> int:
        """How many of the ``K`` sources a layer shows: all but the gates."""
        return self.projection or self.units

    @property
    def n_states(self) -> int:
        """``S M``: width of the states beside the hidden state."""
        return len(self.kind.states) * self.units

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(key: str) -> Recurrence:
        """The description whose :attr:`key` is given."""
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
    """Where errors are cut on their way back: 0 nowhere, -1 truncated, ``k`` every ``k`` steps.

    ``"truncated"``: an error that has reached a net input goes no further back (Hochreiter &
    Schmidhuber 1997, appendix A.1); it flows through the cells' own states alone (for ``gru``:
    through ``z h'``). That cuts recurrent weights and peepholes as ways back, not as things to
    learn. ``"tbptt:k"``: nothing flows from step ``n k`` to the step before it, for
    ``n = 1, 2, ...``, counted in the order of processing, as if states were detached there.

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
        f"gradient is {gradient!r}, expected 'bptt', 'truncated' or 'tbptt:k' with a whole number "
        "k of at least 1"
    )
