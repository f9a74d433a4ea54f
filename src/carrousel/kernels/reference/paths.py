"""The untruncated gradients in NumPy, written to be read: backwards, forwards, cheaper forwards.

The hidden layer's full state ``q`` are its activations and cell states, ``n = H + C`` numbers. With

    dq(t) = D(t) dq(t-1) + I(t) dw,    I(t) = by_net(t) x sources(t),

an error ``e(t)`` by ``q(t)`` can be sent back, ``e(t-1) = D(t)' e(t)`` (back-propagation through
time), or the sensitivities ``P = dq/dw`` forward, ``P(t) = D(t) P(t-1) + I(t)`` (real-time
recurrent learning): one sum, gathered from either end. See Werbos 1988, Williams & Zipser 1989,
Williams & Peng 1990.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated

import numpy as np

from carrousel.contracts import Gradient, Network, Training
from carrousel.kernels.reference.layers import Step, Weights, forward
from carrousel.kernels.signs import Signs
from carrousel.shapes import Floats


class _Path:
    """Goes forward through a sequence; what is remembered on the way is up to the rule."""

    def __init__(self, network: Network, training: Training, dtype: type[np.floating]) -> None:
        self.network, self._training, self._dtype = network, training, dtype
        self.read = np.array(network.cell.read_units)
        self.n = network.cell.n_units + network.cell.n_states

    def start(self) -> None:
        """Put the layer where it stands before the first step."""
        cell = self.network.cell
        self.y = np.full(cell.n_units, self._training.initial_activation, self._dtype)
        self.s = np.zeros(cell.n_states, self._dtype)

    def step(self, w: Weights, x: Annotated[Floats, "I"]) -> Step:
        """Advance the layer."""
        now = forward(self.network, w, self.y, self.s, x)
        self.y, self.s = now.y, now.s
        return now

    def by_state(self, back: Annotated[Floats, "R"]) -> Annotated[Floats, "n"]:
        """An error at the units that outputs see, as an error by the full state."""
        error = np.zeros(self.n, self._dtype)
        error[self.read] = back
        return error


class BackPropagation:
    """BPTT: store every step, and go back from the last one to the first, or ``depth`` of them.

    With a bounded depth it goes back at each ``stride``-th step, from that step on, for the errors
    met since it last did: BPTT(h; h') of Williams & Peng. Memory grows with the steps stored.
    """

    def __init__(
        self, network: Network, training: Training, dtype: type[np.floating], gradient: Gradient
    ) -> None:
        self._path, self._gradient = _Path(network, training, dtype), gradient

    def begin(self) -> None:
        """A sequence starts."""
        self._path.start()
        self._tape: deque[Step] = deque(maxlen=self._gradient.depth)
        self._errors: list[np.ndarray | None] = []  # one for each step since it last went back

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> np.ndarray:
        """One time step; return what outputs see of the hidden layer, ``[R]``."""
        self._tape.append(self._path.step(w, x))
        self._errors.append(None)
        return self._path.y[self._path.read]

    def meet(self, back: Annotated[Floats, "R"]) -> None:
        """An error arrives at the units that outputs see."""
        self._errors[-1] = self._path.by_state(back)

    def due(self, w: Weights, last: bool) -> np.ndarray | None:
        """Return the gradient ``[H, S]`` of the errors met, if it is time to go back."""
        bounded = self._gradient.depth is not None
        if not last and not (bounded and len(self._errors) == self._gradient.stride):
            return None
        errors, self._errors = self._errors, []
        if all(error is None for error in errors):
            return None
        return self._go_back(w, errors)

    def _go_back(self, w: Weights, errors: list[np.ndarray | None]) -> np.ndarray:
        recurrent = w.recurrent(self._path.network)
        found, e = np.zeros_like(w.hidden), np.zeros(self._path.n, w.hidden.dtype)
        for back, step in enumerate(reversed(self._tape)):
            if back < len(errors) and (met := errors[-1 - back]) is not None:
                e = e + met
            found += np.outer(step.by_net.T @ e, step.sources)
            e = step.jacobian(recurrent).T @ e
        return found


class Sensitivities:
    """RTRL: carry ``P = dq/dw``, ``[n, H, S]``, forward. SnAp keeps only a part of it.

    SnAp-n (Menick et al. 2021) keeps the entries through which a weight can reach a unit or state
    within ``n`` steps, and drops the others after each step; for ``n`` large enough it is RTRL.
    """

    def __init__(
        self, network: Network, training: Training, dtype: type[np.floating], gradient: Gradient
    ) -> None:
        self._path, self._depth = _Path(network, training, dtype), gradient.depth
        self._mask: np.ndarray | None = None
        self._ready: np.ndarray | None = None

    def begin(self) -> None:
        """A sequence starts."""
        self._path.start()
        self.p: np.ndarray | None = None

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> np.ndarray:
        """One time step; return what outputs see of the hidden layer, ``[R]``."""
        now = self._path.step(w, x)
        immediate = now.by_net[:, :, None] * now.sources
        if self.p is None:
            self.p = immediate
        else:
            recurrent = w.recurrent(self._path.network)
            self.p = np.einsum("pq,qlm->plm", now.jacobian(recurrent), self.p) + immediate
        if self._depth is not None:
            if self._mask is None:
                self._mask = reachable(self._path.network, self._depth)
            self.p = self.p * self._mask[:, :, None]
        return self._path.y[self._path.read]

    def meet(self, back: Annotated[Floats, "R"]) -> None:
        """An error arrives at the units that outputs see."""
        assert self.p is not None
        self._ready = np.einsum("q,qlm->lm", self._path.by_state(back), self.p)

    def due(self, w: Weights, last: bool) -> np.ndarray | None:
        """Return the gradient ``[H, S]`` of the errors met: it is known at once."""
        ready, self._ready = self._ready, None
        return ready


class RankOne:
    """UORO: an unbiased estimate ``P ~ q~ w~'`` of rank one (Tallec & Ollivier 2018).

    With random signs ``v``, ``E[v v'] = 1``, so the cross terms of

        q~(t) = r0 D q~(t-1) + r1 v,    w~(t) = w~(t-1) / r0 + (v' I(t)) / r1

    vanish in the mean, whatever ``r0`` and ``r1``; they are chosen to balance the norms.
    """

    def __init__(
        self,
        network: Network,
        training: Training,
        dtype: type[np.floating],
        rng: np.random.Generator | Signs,
    ) -> None:
        self._path, self._rng = _Path(network, training, dtype), rng
        self._ready: np.ndarray | None = None

    def begin(self) -> None:
        """A sequence starts."""
        self._path.start()
        if isinstance(self._rng, Signs):
            self._rng.begin()
        self._q: np.ndarray = np.zeros(self._path.n, self._path.y.dtype)
        self._w: np.ndarray | None = None

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> np.ndarray:
        """One time step; return what outputs see of the hidden layer, ``[R]``."""
        now = self._path.step(w, x)
        signs = self._rng.choice(np.array([-1.0, 1.0], now.y.dtype), self._path.n)
        jacobian = now.jacobian(w.recurrent(self._path.network))
        self._q, self._w, _, _ = rank_one(now, jacobian, self._q, self._w, signs)
        return self._path.y[self._path.read]

    def meet(self, back: Annotated[Floats, "R"]) -> None:
        """An error arrives at the units that outputs see."""
        assert self._w is not None
        self._ready = (self._path.by_state(back) @ self._q) * self._w

    def due(self, w: Weights, last: bool) -> np.ndarray | None:
        """Return the estimate ``[H, S]`` for the errors met: it is known at once."""
        ready, self._ready = self._ready, None
        return ready


def rank_one(
    step: Step,
    jacobian: np.ndarray,
    q: Annotated[Floats, "n"],
    w: Annotated[Floats, "H S"] | None,
    signs: Annotated[Floats, "n"],
) -> tuple[np.ndarray, np.ndarray, np.floating | float, np.ndarray]:
    """One step of :class:`RankOne` from its factors ``q`` and ``w`` (None before the first).

    Returns:
        the new factors; what the old ``w`` was divided by; and what this step put into the new
        one, by net inputs ``[H]``.
    """
    carried, by_net = jacobian @ q, signs @ step.by_net
    immediate = np.outer(by_net, step.sources)
    before = np.zeros_like(immediate) if w is None else w
    r0 = balance(before, carried)
    r1 = balance(immediate, signs)
    return r0 * carried + r1 * signs, before / r0 + immediate / r1, r0, by_net / r1


def balance(weights: np.ndarray, state: np.ndarray) -> np.floating | float:
    """Return the factor that makes two norms equal; 1 where one of them is zero."""
    above, below = np.linalg.norm(weights), np.linalg.norm(state)
    return np.sqrt(above / below) if above > 0 and below > 0 else 1.0


def reachable(network: Network, steps: int) -> np.ndarray:
    """Which entries of ``q`` a weight into each unit can influence within ``steps``, ``[n, H]``.

    >>> from carrousel.contracts import Simple
    >>> reachable(Network(1, 1, Simple(2)), 1).tolist()
    [[True, False], [False, True]]
    >>> bool(reachable(Network(1, 1, Simple(2)), 2).all())
    True
    """
    cell = network.cell
    sources = network.n_inputs + cell.n_units + 1
    generic = np.full(network.n_weights, 0.5 / sources)  # no derivative is zero, nothing saturates
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
