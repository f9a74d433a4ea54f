"""Reference of the other gradients in NumPy: BPTT, RTRL, sparse RTRL, SnAp and UORO.

The full state ``q`` of the hidden layer has its activations and its cell states, sizes
``[state]`` below. Its differential is

    dq(t) = D(t) dq(t-1) + I(t) dw,    I(t) = by_net(t) x sources(t).

Back-propagation through time moves an error ``e(t)`` at ``q(t)`` backward: ``e(t-1) = D(t)' e(t)``.
Real-time recurrent learning moves sensitivities ``dq/dw`` forward: ``P(t) = D(t) P(t-1) + I(t)``.
Both compute the same sum. See Werbos 1988, Williams & Zipser 1989, Williams & Peng 1990.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated

import numpy as np

from carrousel.contracts import Cell, Gradient, Network, Training
from carrousel.kernels.reference.layers import HiddenStep, Weights, forward
from carrousel.kernels.signs import Signs
from carrousel.shapes import Floats


class LayerState:
    """Activations ``y [U]`` and cell states ``s`` of a hidden layer, and its forward step."""

    def __init__(self, network: Network, training: Training, dtype: type[np.floating]) -> None:
        self.network, self._training, self._dtype = network, training, dtype
        self.read = np.array(network.cell.read_units)
        self.n = network.cell.n_units + network.cell.n_states

    def start(self) -> None:
        """Reset the layer to its initial state."""
        cell = self.network.cell
        self.y = np.full(cell.n_units, self._training.initial_activation, self._dtype)
        self.s = np.zeros(cell.n_states, self._dtype)

    def step(self, w: Weights, x: Annotated[Floats, "I"]) -> HiddenStep:
        """Advance the layer by one step."""
        self.last = now = forward(self.network, w, self.y, self.s, x)
        self.y, self.s = now.y, now.s
        return now

    def by_state(self, back: Annotated[Floats, "C"]) -> Annotated[Floats, "state"]:
        """Return an error at the units that outputs read as an error at the full state."""
        error = np.zeros(self.n, self._dtype)
        error[self.read] = back
        return error


class BackPropagation:
    """BPTT: stores every step, and goes back from the last one to the first.

    With a ``depth`` it stores that many steps. After every ``stride`` steps, it sends back the
    errors received since the last time: BPTT(h; h') of Williams & Peng 1990.
    """

    def __init__(
        self, network: Network, training: Training, dtype: type[np.floating], gradient: Gradient
    ) -> None:
        self.state, self._gradient = LayerState(network, training, dtype), gradient

    def begin(self) -> None:
        """Start a sequence."""
        self.state.start()
        self._tape: deque[HiddenStep] = deque(maxlen=self._gradient.depth)
        self._errors: list[np.ndarray | None] = []  # one per step since the last backward pass

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> np.ndarray:
        """Process a step; return the activations that outputs read, ``[C]``."""
        self._tape.append(self.state.step(w, x))
        self._errors.append(None)
        return self.state.y[self.state.read]

    def meet(self, back: Annotated[Floats, "C"]) -> None:
        """Receive an error at the units that outputs read."""
        self._errors[-1] = self.state.by_state(back)

    def due(self, w: Weights, last: bool) -> np.ndarray | None:
        """Return minus the gradient ``[U, S]`` of the errors received, if it is time to go back."""
        bounded = self._gradient.depth is not None
        if not last and not (bounded and len(self._errors) == self._gradient.stride):
            return None
        errors, self._errors = self._errors, []
        if all(error is None for error in errors):
            return None
        return self._back_propagate(w, errors)

    def _back_propagate(self, w: Weights, errors: list[np.ndarray | None]) -> np.ndarray:
        recurrent = w.recurrent(self.state.network)
        found, e = np.zeros_like(w.hidden), np.zeros(self.state.n, w.hidden.dtype)
        for back, step in enumerate(reversed(self._tape)):
            if back < len(errors) and (met := errors[-1 - back]) is not None:
                e = e + met
            found += np.outer(step.by_net.T @ e, step.sources)
            e = step.jacobian(recurrent).T @ e
        return found


class Sensitivities:
    """RTRL: moves sensitivities ``P = dq/dw [state, U, S]`` forward; others keep a part of it.

    SnAp-n (Menick et al. 2021) keeps the entries of units and states that a weight can influence
    within ``n`` steps, and sets the others to zero after each step. For large ``n`` it is RTRL.

    Sparse RTRL keeps some recurrent connections in ``D``: see :func:`recurrent_paths`. The
    immediate derivative has ``D = 0``, so ``P(t) = I(t)``.

    Args:
        network, training, dtype: the network and its data type.
        gradient: ``"rtrl"``, ``"sparse"``, ``"snap"`` or ``"immediate"``.
        seed: seed of the connections of ``"sparse"``.
        bound: largest size of ``P``; see :func:`shrink`.
    """

    def __init__(
        self,
        network: Network,
        training: Training,
        dtype: type[np.floating],
        gradient: Gradient,
        seed: int = 0,
        bound: float = np.inf,
    ) -> None:
        self.state, self._kind = LayerState(network, training, dtype), gradient.kind
        self._bound = bound
        self._paths = self._mask = None
        if gradient.kind == "sparse":
            self._paths = recurrent_paths(network, gradient.depth or 1, seed)
        elif gradient.kind == "snap":
            self._mask = reachable(network, gradient.depth or 1)[:, :, None]
        cell = network.cell
        used = {*network.fed_back, *cell.read_units}
        self.used = [*sorted(used), *range(cell.n_units, self.state.n)]
        self._ready: np.ndarray | None = None

    def begin(self) -> None:
        """Start a sequence."""
        self.state.start()
        self.p: np.ndarray | None = None

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> np.ndarray:
        """Process a step; return the activations that outputs read, ``[C]``."""
        now = self.state.step(w, x)
        before, p = self.p, now.by_net[:, :, None] * now.sources
        if before is not None and self._kind != "immediate":
            recurrent = w.recurrent(self.state.network)
            if self._paths is not None:
                recurrent = recurrent * self._paths
            p += np.einsum("pq,qlm->plm", now.jacobian(recurrent), before)
        if self._mask is not None:
            p *= self._mask
        if self._bound < np.inf and self._kind != "immediate":
            squares = float((p[self.used] ** 2).sum())
            p *= shrink(squares, w.hidden.size, self._bound)
        self.p = p
        return self.state.y[self.state.read]

    def meet(self, back: Annotated[Floats, "C"]) -> None:
        """Receive an error at the units that outputs read."""
        assert self.p is not None
        self._ready = np.einsum("q,qlm->lm", self.state.by_state(back), self.p)

    def due(self, w: Weights, last: bool) -> np.ndarray | None:
        """Return minus the gradient ``[U, S]`` of the error received at this step."""
        ready, self._ready = self._ready, None
        return ready


class RankOne:
    """UORO: an unbiased estimate ``P ~ q~ w~'`` of rank one (Tallec & Ollivier 2018).

    With random signs ``v``, ``E[v v'] = 1``. The cross terms of

        q~(t) = r0 D q~(t-1) + r1 v,    w~(t) = w~(t-1) / r0 + (v' I(t)) / r1

    therefore have mean 0 for any ``r0`` and ``r1``, which are chosen to balance the norms.
    """

    def __init__(
        self,
        network: Network,
        training: Training,
        dtype: type[np.floating],
        rng: np.random.Generator | Signs,
        bound: float = np.inf,
    ) -> None:
        self.state, self._rng = LayerState(network, training, dtype), rng
        self._bound = bound
        self._ready: np.ndarray | None = None

    def begin(self) -> None:
        """Start a sequence."""
        self.state.start()
        if isinstance(self._rng, Signs):
            self._rng.begin()
        self._q: np.ndarray = np.zeros(self.state.n, self.state.y.dtype)
        self._w: np.ndarray | None = None

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> np.ndarray:
        """Process a step; return the activations that outputs read, ``[C]``."""
        now = self.state.step(w, x)
        signs = self._rng.choice(np.array([-1.0, 1.0], now.y.dtype), self.state.n)
        jacobian = now.jacobian(w.recurrent(self.state.network))
        self._q, self._w, _, _ = rank_one(now, jacobian, self._q, self._w, signs)
        if self._bound < np.inf:
            squares = float((self._q**2).sum()) * float((self._w**2).sum())
            both = shrink(squares, self._w.size, self._bound) ** 0.5
            self._q, self._w = self._q * both, self._w * both
        return self.state.y[self.state.read]

    def meet(self, back: Annotated[Floats, "C"]) -> None:
        """Receive an error at the units that outputs read."""
        assert self._w is not None
        self._ready = (self.state.by_state(back) @ self._q) * self._w

    def due(self, w: Weights, last: bool) -> np.ndarray | None:
        """Return minus the estimate ``[U, S]`` for the error received at this step."""
        ready, self._ready = self._ready, None
        return ready


def rank_one(
    step: HiddenStep,
    jacobian: np.ndarray,
    q: Annotated[Floats, "state"],
    w: Annotated[Floats, "U S"] | None,
    signs: Annotated[Floats, "state"],
) -> tuple[np.ndarray, np.ndarray, np.floating | float, np.ndarray]:
    """Compute a step of :class:`RankOne` from its factors ``q`` and ``w`` (at first None).

    Returns:
        The new ``q`` and ``w``, the divisor ``r0`` of the old ``w``, and the share of this step in
        the new ``w`` by net inputs, ``[U]``.
    """
    carried, by_net = jacobian @ q, signs @ step.by_net
    immediate = np.outer(by_net, step.sources)
    before = np.zeros_like(immediate) if w is None else w
    r0 = balance(before, carried)
    r1 = balance(immediate, signs)
    return r0 * carried + r1 * signs, before / r0 + immediate / r1, r0, by_net / r1


def balance(weights: np.ndarray, state: np.ndarray) -> np.floating | float:
    """Return the root of the ratio of two norms; 1 if one of them is zero."""
    above, below = np.linalg.norm(weights), np.linalg.norm(state)
    return np.sqrt(above / below) if above > 0 and below > 0 else 1.0


def shrink(squares: float, weights: int, bound: float) -> float:
    """Return the factor that shrinks sensitivities to a largest size; 1 if they are below it.

    The size is the root of the mean, over weights, of the squared norm of a weight's sensitivities.
    Sensitivities grow exponentially while the Jacobian of the layer expands their direction, as in
    a chaotic layer, and then have no information about their stream. All are shrunk by the same
    factor, so that their direction is kept.

    Args:
        squares: sum of the squares of all sensitivities, of cell states and of units that are fed
            back or read by outputs.
        weights: number of weights.
        bound: largest size.

    >>> shrink(16.0, 1, 8.0), shrink(16.0, 1, 2.0)
    (1.0, 0.5)
    """
    most = bound * weights**0.5
    size = squares**0.5
    return 1.0 if size <= most else most / size


def recurrent_paths(network: Network, k: int, seed: int = 0) -> np.ndarray:
    """Return the recurrent connections along which ``sparse:k`` moves sensitivities.

    Each memory block, or simple unit, keeps its connections from ``k`` of the units that are fed
    back, drawn without replacement; all if there are no more than ``k``. The units drawn for ``k``
    are among those drawn for ``k + 1``.

    Returns:
        bool ``[U, U]``: receiving unit, sending unit.

    Shalev-Merin 2026, "Massive redundancy in gradient transport enables sparse online learning"
    (arXiv 2603.15195), moves sensitivities along a random ``k`` of ``n`` recurrent paths. Which
    paths hardly matters there; so they are drawn once. Its abstract leaves open what a path of a
    layer of memory cells is. Here all gates and cells of a block receive from the same units, and
    the inner path of a cell through its forget gate, which costs no more, is always kept.

    >>> from carrousel.contracts import Simple
    >>> recurrent_paths(Network(1, 1, Simple(5)), 2).sum(axis=1).tolist()
    [2, 2, 2, 2, 2]
    """
    cell, fed = network.cell, list(network.fed_back)
    blocks = cell.blocks if isinstance(cell, Cell) else cell.units
    ranks = np.random.default_rng(seed).random((blocks, len(fed))).argsort(axis=1).argsort(axis=1)
    kept = np.zeros((cell.n_units, cell.n_units), bool)
    for group in cell.groups.values():
        units = np.array(group)
        owners = np.arange(len(units)) * blocks // len(units)
        kept[np.ix_(units, np.array(fed, int))] = ranks[owners] < k
    return kept


def reachable(network: Network, steps: int) -> np.ndarray:
    """Return which entries of ``q`` a weight into each unit can influence within ``steps`` steps.

    Returns:
        bool ``[state, U]``.

    >>> from carrousel.contracts import Simple
    >>> reachable(Network(1, 1, Simple(2)), 1).tolist()
    [[True, False], [False, True]]
    >>> bool(reachable(Network(1, 1, Simple(2)), 2).all())
    True
    """
    cell = network.cell
    sources = network.n_inputs + cell.n_units + 1
    generic = np.full(network.n_weights, 0.5 / sources)  # no derivative is zero or saturated
    w = Weights.unpack(network, generic)
    y, s, x = np.full(cell.n_units, 0.25), np.full(cell.n_states, 0.25), np.ones(network.n_inputs)
    step = forward(network, w, y, s, x)
    reached = step.by_net != 0
    one = (step.jacobian(w.recurrent(network)) != 0).astype(np.int64)
    for _ in range(steps - 1):
        more = reached | (one @ reached > 0)
        if (more == reached).all():
            break
        reached = more
    return reached
