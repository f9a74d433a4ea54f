"""Reference for streams against automatic differentiation."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from carrousel.contracts import SQUASHES, Cell, Gradient, Network, Streaming
from carrousel.kernels import ReferenceStream
from carrousel.kernels.reference.paths import recurrent_paths
from support.case import each
from support.kernels.scales import without_outliers
from support.kernels.stream_cases import HEADS, OPTIMIZERS, WIRINGS, StreamCase, case_of

torch = pytest.importorskip("torch")

QUIET, LEARNED = 3, 9  # steps without a target, so that states and traces are not zero; with one


# --- independent implementation ------------------------------------------------------------------


class Autograd:
    """A stream in which every step has a separate copy of the current weights.

    The update of a step is the sum of the derivatives of its loss by all copies so far. With
    constant recurrent activations this is the truncated gradient, with constant states as well the
    immediate derivative, otherwise that of RTRL. Sparse RTRL has some constant connections.
    """

    def __init__(self, case: StreamCase) -> None:
        self.case, self.network, self.how = case, case.network, case.streaming
        self.weights = torch.tensor(case.weights)
        self.copies = []
        self.y = torch.zeros(self.network.cell.n_units).double()
        self.s = torch.zeros(self.network.cell.n_cells).double()
        self.met: list[np.ndarray] = []  # inputs so far
        self.learned: list[np.ndarray] = []  # targets so far
        how, group = self.how, [self.weights]
        self.optimizer = {
            "sgd": lambda: torch.optim.SGD(group, how.rate),
            "rmsprop": lambda: torch.optim.RMSprop(group, how.rate, how.second, how.epsilon),
            "adam": lambda: torch.optim.Adam(
                group, how.rate, (how.momentum, how.second), how.epsilon
            ),
        }[how.optimizer]()

    def standardised(self, x: np.ndarray) -> np.ndarray:
        """Standardise by earlier inputs."""
        if not self.case.scaled.any():
            return x
        if len(self.met) < 2:
            return np.zeros_like(x)
        z = (x - np.mean(self.met, axis=0)) / np.std(self.met, axis=0)
        return np.clip(z, -self.how.largest, self.how.largest)

    def advance(self, x: np.ndarray) -> np.ndarray:
        copy = self.weights.clone().requires_grad_()
        self.copies.append(copy)
        parts = {k: copy[p.start : p.stop].reshape(p.shape) for k, p in self.network.layout.items()}
        seen = torch.tensor(self.standardised(x))
        self.met.append(x)
        gradient, fed_back = Gradient.named(self.how.gradient), list(self.network.fed_back)
        cut = self.y.detach()
        before = cut if gradient.kind in ("truncated", "immediate") else self.y
        if gradient.kind == "immediate":
            self.s = self.s.detach()
        net = parts["hidden_inputs"] @ seen + parts["hidden_bias"]
        recurrent = parts["hidden_recurrent"]
        if gradient.kind == "sparse":
            open_to = recurrent_paths(self.network, gradient.depth or 1)[:, fed_back]
            net = net + (recurrent * torch.tensor(~open_to)) @ cut[fed_back]
            recurrent = recurrent * torch.tensor(open_to)
        cells = self._layer(net + recurrent @ before[fed_back])
        self.net = parts["output_cells"] @ cells + parts["output_bias"]
        if self.network.direct:
            self.net = self.net + parts["output_inputs"] @ seen
        y = self._outputs().detach().numpy()
        return self._scale()[0] + self._scale()[1] * y

    def _layer(self, net):
        cell = self.network.cell
        assert isinstance(cell, Cell)
        first, C, size = cell.read_units.start, cell.n_cells, cell.block_size
        gates, g = torch.sigmoid(net), squash(cell.g, net[first : first + C])
        kept = gates[cell.blocks : first].repeat_interleave(size) if cell.forget_gate else 1.0
        self.s = kept * self.s + gates[: cell.blocks].repeat_interleave(size) * g
        cells = gates[first + C :].repeat_interleave(size) * squash(cell.h, self.s)
        self.y = torch.cat([gates[:first], cells, gates[first + C :]])
        return cells

    def _outputs(self):
        if self.how.head == "linear":
            return self.net
        return torch.softmax(self.net, 0) if self.how.head == "softmax" else torch.sigmoid(self.net)

    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.how.scale_targets or not self.learned:
            return np.zeros(1), np.ones(1)
        many = len(self.learned) > 1
        return np.mean(self.learned, axis=0), np.std(self.learned, axis=0) if many else np.ones(1)

    def _loss(self, target: np.ndarray):
        functional = torch.nn.functional
        net = self.net
        if self.how.head in ("softmax", "logistic"):
            self._cut(net)  # the derivative for the net input is y - t
            if self.how.head == "softmax":
                return functional.cross_entropy(net[None], torch.tensor(target).long())
            goal = torch.tensor(target)
            return functional.binary_cross_entropy_with_logits(net, goal, reduction="sum")
        self.learned.append(target)
        mean, deviation = self._scale()
        y, goal = self._outputs(), torch.tensor((target - mean) / deviation)
        if self.how.head == "linear" and self.how.clip is not None:
            return functional.huber_loss(y, goal, reduction="sum", delta=self.how.clip)
        self._cut(y)
        return 0.5 * functional.mse_loss(y, goal, reduction="sum")

    def _cut(self, values) -> None:
        clip = self.how.clip
        if clip is not None:
            values.register_hook(lambda e: e.clamp(-clip, clip))

    def gradient(self, target: np.ndarray):
        loss = self._loss(target)
        parts = torch.autograd.grad(loss, self.copies, retain_graph=True, materialize_grads=True)
        return torch.stack(parts).sum(0)

    def learn(self, target: np.ndarray) -> None:
        self.weights.grad = self.gradient(target)
        self.optimizer.step()


def squash(kind: str, x):
    scale_shift = SQUASHES[kind]
    return x if scale_shift is None else scale_shift[0] * torch.sigmoid(x) + scale_shift[1]


def assert_agrees(case: StreamCase) -> None:
    """Compare outputs and weights of every step, from a non-zero state.

    Two float64 programs differ by some hundred roundings per step. Adam divides by the root of a
    square plus an epsilon of 1e-3.
    """
    ours, theirs = case.reference(), Autograd(case)
    for n, (x, target) in enumerate(zip(case.rows.x, case.rows.targets, strict=True)):
        y = theirs.advance(x)
        np.testing.assert_allclose(ours.advance(0, x), y, rtol=1e-9, atol=1e-10, err_msg=str(n))
        if n < QUIET:
            continue
        ours.learn(0, target)
        theirs.learn(target)
        flat = theirs.weights.numpy()
        np.testing.assert_allclose(ours.weights, flat, rtol=1e-9, atol=1e-10, err_msg=str(n))
    assert np.abs(ours.weights - case.weights).max() > 1e-3  # something has been learned
    assert np.abs(theirs.s.detach().numpy()).max() > 1e-2


def learning(network: Network, how: Streaming, seed: int = 0, scaled: bool = False) -> StreamCase:
    """Return a case in which every row has a target; the first few are not used."""
    case = case_of(network, how, seed, QUIET + LEARNED, scaled=scaled)
    rng = np.random.default_rng(seed)
    goals = rng.uniform(0, 1, case.rows.targets.shape)
    if how.head == "softmax":
        goals = rng.integers(0, network.n_outputs, goals.shape).astype(float)
    else:
        goals[QUIET:] = without_outliers(goals[QUIET:])
    return replace(case, rows=replace(case.rows, x=without_outliers(case.rows.x), targets=goals))


def rate_of(how: str) -> float:
    return {"sgd": 0.3, "rmsprop": 0.02, "adam": 0.03}[how]


EVERY = list(itertools.product(HEADS, OPTIMIZERS, (None, 0.3), (True, False), WIRINGS))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@each("clip", (None, 0.3))
@each("forget", (True, False))
@each("wiring", WIRINGS)
def test_steps_agree_with_autograd(head, optimizer, clip, forget, wiring):
    place = EVERY.index((head, optimizer, clip, forget, wiring))
    cell = Cell(2, 1 + place % 2, forget_gate=forget)
    network = Network(2, 3, cell, wiring=wiring, bias="all")
    how = Streaming(head, optimizer, rate_of(optimizer), 0.8, 0.95, epsilon=1e-3, clip=clip)
    assert_agrees(learning(network, how, place, scaled=bool(place % 3)))


@pytest.mark.parametrize("head", HEADS)
@each("optimizer", OPTIMIZERS)
@each("forget", [True, False])
def test_other_gradients_agree_with_autograd(head, optimizer, forget):
    for wiring, gradient in itertools.product(WIRINGS, ("rtrl", "immediate", "sparse:1")):
        network = Network(2, 2, Cell(2, 1, forget_gate=forget), wiring=wiring, bias="all")
        how = Streaming(head, optimizer, rate_of(optimizer), epsilon=1e-3, gradient=gradient)
        case = learning(network, how, HEADS.index(head))
        assert_agrees(case)


def test_the_gradients_differ():
    """Otherwise the tests above would be the same."""
    network = Network(2, 2, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")
    case = learning(network, Streaming(optimizer="sgd", rate=0.3))
    kernels = [
        replace(case, streaming=replace(case.streaming, gradient=name)).reference()
        for name in ("truncated", "rtrl", "immediate", "sparse:1")
    ]
    for kernel in kernels:
        case.run(kernel)
    for one, other in itertools.combinations(kernels, 2):
        assert np.abs(one.weights - other.weights).max() > 1e-4


@each("g", SQUASHES)
@each("h", SQUASHES)
def test_every_squashing_function(g, h):
    network = Network(2, 1, Cell(2, 2, g, h, forget_gate=True), wiring="cells", bias="all")
    assert_agrees(learning(network, Streaming("logistic", "sgd", 0.1), scaled=True))


@each("optimizer", OPTIMIZERS)
@each("clip", [None, 0.3])
def test_scaled_targets(optimizer, clip):
    network = Network(2, 2, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")
    how = Streaming("linear", optimizer, rate_of(optimizer), epsilon=1e-3, clip=clip)
    assert_agrees(learning(network, replace(how, scale_targets=True), scaled=True))


def test_uoro_is_unbiased():
    """One update after some steps with constant weights: the mean of 300 seeds of the signs is
    within its standard error of the exact one."""
    network = Network(1, 1, Cell(1, 1, forget_gate=True), wiring="cells", bias="all")
    how = Streaming(optimizer="sgd", rate=1.0, gradient="uoro")
    rng, seeds = np.random.default_rng(2), 300
    weights, x = rng.normal(0, 1, network.n_weights), rng.normal(0, 1, (4, 1))

    def change(kernel: ReferenceStream) -> np.ndarray:
        for row in x:
            kernel.advance(0, row)
        kernel.learn(0, np.array([3.0]))
        return kernel.weights - weights

    exact = change(ReferenceStream(network, replace(how, gradient="rtrl"), weights))
    found = np.array(
        [change(ReferenceStream(network, how, weights, seed=seed)) for seed in range(seeds)]
    )
    noisy = found.std(axis=0) > 1e-12
    hidden = network.layout["output_inputs"].start
    np.testing.assert_array_equal(np.flatnonzero(noisy), np.arange(hidden))
    np.testing.assert_allclose(found[0, ~noisy], exact[~noisy], rtol=1e-12)
    z = (found.mean(axis=0) - exact)[noisy] / (found.std(axis=0)[noisy] / np.sqrt(seeds))
    assert np.abs(z).max() < 4.2  # 12 entries, each beyond it once in 37,000 times
    again = change(ReferenceStream(network, how, weights, seed=3))
    np.testing.assert_array_equal(again, found[3])


def test_decay_equals_setting_the_rate():
    network = Network(2, 1, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")
    weights = np.linspace(-0.5, 0.5, network.n_weights)
    falling, by_hand = (
        ReferenceStream(network, Streaming(rate=0.05, epsilon=1e-3, decay=decay), weights)
        for decay in (3.0, 0.0)
    )
    rng = np.random.default_rng(0)
    for n in range(400):
        by_hand.rate = 0.05 * max(0.1, (1 + n / 3) ** -0.5)
        x, target = rng.normal(size=2), rng.normal(size=1)
        for kernel in (falling, by_hand):
            kernel.advance(0, x)
            kernel.learn(0, target)
    np.testing.assert_allclose(falling.weights, by_hand.weights, rtol=1e-12)
