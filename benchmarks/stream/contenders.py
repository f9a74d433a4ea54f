"""Contenders that predict and learn one row after the other: ours, PyTorch, deep-river and river.

Each is a function of rows ``x [N, I]`` and targets ``t [N]``. It processes them in order, and
returns the predictions ``[N]``, each made before its target was learned. Its state is kept between
calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from carrousel.contracts import Cell, Network, Streaming

RATE, CLIP = 0.01, 3.0
STREAMING = Streaming(rate=RATE, clip=CLIP)
Take = Callable[[np.ndarray, np.ndarray], np.ndarray]


def network(inputs: int, cells: int) -> Network:
    """Describe the net of ``OnlineLSTM``: one cell a block, forget gates, only cells fed back."""
    return Network(inputs, 1, Cell(cells, 1, forget_gate=True), wiring="cells", bias="all")


def kernel(found: Any) -> Take:
    """A stream kernel, with all rows in one call."""

    def take(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        return found.run(np.zeros(len(x), np.int64), x, t[:, None])[:, 0]

    return take


def online_run(model: Any) -> Take:
    """``OnlineLSTM.run``, with all rows in one call."""
    return lambda x, t: np.asarray(model.run(x, t)).ravel()


def online_step(model: Any) -> Take:
    """``OnlineLSTM.step``, with one call for each row."""
    step = model.step
    return lambda x, t: np.array([step(row, target) for row, target in zip(x, t.tolist())])  # noqa: B905


def learner(model: Any) -> Take:
    """A model with river's interface: ``predict_one``, then ``learn_one``, rows as dicts."""

    def take(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        names = [f"x{i}" for i in range(x.shape[1])]
        found = np.zeros(len(x))
        for n, (row, target) in enumerate(zip(x.tolist(), t.tolist(), strict=True)):
            named = dict(zip(names, row, strict=True))
            found[n] = model.predict_one(named)
            model.learn_one(named, target)
        return found

    return take


def deep_river(inputs: int, cells: int) -> Take:
    """deep-river's LSTM regressor with its default window of ten rows and our learning rate."""
    from deep_river.regression import LSTMRegressor

    return learner(LSTMRegressor(n_features=inputs, hidden_size=cells, lr=RATE))


def river_linear() -> Take:
    """River's standardised linear regression, a point of reference without memory."""
    from river import linear_model, preprocessing

    return learner(preprocessing.StandardScaler() | linear_model.LinearRegression())


class _Torch:
    """The same net in PyTorch, with matrices into the hidden units ``[4C, S]`` and the output.

    The rows of ``hidden`` are in the order input gates, forget gates, cells, output gates.
    ``traces`` are the derivatives of each cell's state by the weights into its input gate, its
    forget gate and the cell itself, as in the truncated gradient.
    """

    def __init__(self, net: Network, weights: np.ndarray, dtype: Any) -> None:
        import torch

        parts = {name: torch.tensor(part) for name, part in net.views(weights).items()}
        hidden = [
            parts["hidden_inputs"],
            parts["hidden_recurrent"],
            parts["hidden_bias"][:, None],
        ]
        output = [parts["output_inputs"], parts["output_cells"], parts["output_bias"][:, None]]
        self.cells = net.cell.n_cells  # type: ignore[union-attr]
        self.hidden = torch.cat(hidden, 1).to(dtype).requires_grad_()
        self.output = torch.cat(output, 1).to(dtype).requires_grad_()
        self.optimizer = torch.optim.Adam([self.hidden, self.output], lr=RATE)
        self.dtype = dtype
        self.one = torch.ones(1, dtype=dtype)
        self.y, self.s = torch.zeros((2, self.cells), dtype=dtype)
        self.traces = torch.zeros((3, self.cells, self.hidden.shape[1]), dtype=dtype)

    def take(self, x: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Process rows in order."""
        import torch

        rows = torch.tensor(x, dtype=self.dtype)
        targets = torch.tensor(t, dtype=self.dtype)
        return np.array([self.step(row, target) for row, target in zip(rows, targets)])  # noqa: B905

    def step(self, x: Any, target: Any) -> float:
        """Predict, then learn."""
        raise NotImplementedError


class TorchAutograd(_Torch):
    """Autograd within a step, and traces for the past: the shortest program."""

    def step(self, x: Any, target: Any) -> float:
        import torch

        C = self.cells
        seen = torch.cat([x, self.y, self.one])
        net = (self.hidden @ seen).view(4, C)
        y_in, y_forget, y_out = torch.sigmoid(net[[0, 1, 3]])
        s = y_forget * self.s + y_in * (4 * torch.sigmoid(net[2]) - 2)
        y = y_out * (2 * torch.sigmoid(s) - 1)
        output = self.output @ torch.cat([x, y, self.one])
        error = (target - output.detach()).clamp(-CLIP, CLIP)
        # Cells do not share weights, so the gradient of their sum contains all derivatives of s.
        (now,) = torch.autograd.grad(s.sum(), self.hidden, retain_graph=True)
        self.traces = y_forget.detach()[:, None] * self.traces + now.view(4, C, -1)[:3]
        by_s, hidden, out = torch.autograd.grad(
            output, (s, self.hidden, self.output), grad_outputs=-error
        )
        hidden.view(4, C, -1)[:3] = by_s[:, None] * self.traces
        self.hidden.grad, self.output.grad = hidden, out
        self.optimizer.step()
        self.y, self.s = y.detach(), s.detach()
        return output.item()


class TorchByHand(_Torch):
    """Every derivative written out, without autograd, and Adam in one fused call."""

    def __init__(self, net: Network, weights: np.ndarray, dtype: Any) -> None:
        import torch

        super().__init__(net, weights, dtype)
        self.optimizer = torch.optim.Adam([self.hidden, self.output], lr=RATE, fused=True)
        self.hidden.grad = torch.zeros_like(self.hidden)

    def step(self, x: Any, target: Any) -> float:
        import torch

        with torch.no_grad():
            C = self.cells
            seen = torch.cat([x, self.y, self.one])
            squashed = torch.sigmoid(torch.mv(self.hidden, seen)).view(4, C)
            y_in, y_forget, half_g, y_out = squashed
            slope = squashed * (1 - squashed)
            g = 4 * half_g - 2
            gains = torch.stack([slope[0] * g, slope[1] * self.s, 4 * slope[2] * y_in])
            self.traces.mul_(y_forget[:, None]).add_(gains[:, :, None] * seen)
            self.s = y_forget * self.s + y_in * g
            half_h = torch.sigmoid(self.s)
            h = 2 * half_h - 1
            self.y = y_out * h
            read = torch.cat([x, self.y, self.one])
            output = torch.mv(self.output, read)
            error = (target - output).clamp(-CLIP, CLIP)
            to_cells = -error * self.output[0, len(x) : len(x) + C]
            by_s = to_cells * y_out * 2 * half_h * (1 - half_h)
            assert self.hidden.grad is not None
            grad = self.hidden.grad.view(4, C, -1)
            torch.mul(self.traces, by_s[:, None], out=grad[:3])
            torch.mul((to_cells * h * slope[3])[:, None], seen, out=grad[3])
            self.output.grad = (-error * read)[None]
            self.optimizer.step()
            return output.item()
