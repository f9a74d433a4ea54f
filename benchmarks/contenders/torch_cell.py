"""The cell of 1997 in eager PyTorch: a loop over time with ``detach``, autograd, plain descent."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from benchmarks.contenders import Outcome
from benchmarks.contenders.padding import joined, pad
from benchmarks.lanes.cases import Case

from carrousel.contracts import SQUASHES
from carrousel.errors import SettingError
from carrousel.sequences import Sequences
from carrousel.shapes import Floats


class Row(NamedTuple):
    """One sequence of each lane: :class:`benchmarks.contenders.padding.Padded` without axis 0."""

    inputs: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor
    has_target: torch.Tensor


class TorchCell:
    """A batch of nets that learn one sequence each at a time, with batched products.

    Weights are ``start + drift``. Autograd differentiates by ``start``, which is constant within a
    sequence. Derivatives of a cell state therefore refer to the weights at the time they were
    computed, as in the algorithm of 1997.

    Args:
        case: the learning task.
        lanes: number of nets.
        sequences: sequences of each lane that :meth:`draw` makes.

    Raises:
        SettingError: this program does not support the network or training.
    """

    name = "PyTorch eager loop"
    exact = True

    def __init__(self, case: Case, lanes: int, sequences: int) -> None:
        cell, training = case.network.cell, case.training
        if not cell.output_gate or cell.forget_gate:
            raise SettingError(f"{case.name}: only cells with output gates, without forget gates")
        if case.network.wiring != "full" or training.update == "epoch":
            raise SettingError(f"{case.name}: only full wiring and online weight changes")
        self.case, self.n_lanes, self.sequences = case, lanes, sequences
        self.detail = f"autograd, {lanes} net{'s' if lanes > 1 else ''}"
        self._g, self._h = SQUASHES[cell.g], SQUASHES[cell.h]
        self._start: dict[str, torch.Tensor] = {}
        self._drift: dict[str, torch.Tensor] = {}
        self._sum_sq: list[torch.Tensor] = []

    def draw(self, rng: np.random.Generator) -> list[Sequences]:
        """Draw one part for all lanes."""
        return [self.case.task.sample(rng, self.n_lanes * self.sequences)]

    def pack(self, parts: list[Sequences]) -> list[Row]:
        """Pad each row of sequences, one for each lane, to the longest of them."""
        data = joined(parts)
        order = np.arange(len(data)).reshape(self.n_lanes, -1)
        rows = [data.take(order[:, n]) for n in range(order.shape[1])]
        return [
            Row(*(torch.from_numpy(np.ascontiguousarray(a[0])) for a in pad([row], len(row))))
            for row in rows
        ]

    def start(self, weights: Annotated[Floats, "B W"]) -> None:
        """Reset to these weights."""
        parts = self.case.network.views(weights)
        self._start = {name: torch.from_numpy(part.copy()) for name, part in parts.items()}
        self._drift = {name: torch.zeros_like(part) for name, part in self._start.items()}

    def learn(self, packed: list[Row]) -> None:
        """Learn one row of sequences after the other."""
        self._sum_sq = [self._learn_one(row) for row in packed]

    def outcome(self) -> Outcome:
        """Return the current weights and the errors of the last :meth:`learn`."""
        flat = np.zeros((self.n_lanes, self.case.network.n_weights), np.float32)
        for name, part in self.case.network.views(flat).items():
            part[:] = self._start[name].numpy()
        return Outcome(flat, torch.stack(self._sum_sq, dim=1).numpy())

    def _learn_one(self, row: Row) -> torch.Tensor:
        """One sequence of each lane; returns their squared errors ``[B]``."""
        start = {name: part.detach().requires_grad_() for name, part in self._start.items()}
        last_only = row.targets.ndim == 2
        total = (self._learn_at_end if last_only else self._learn_at_steps)(start, row)
        for name, drift in self._drift.items():
            self._start[name] = start[name].detach() + drift
            drift.zero_()
        return total

    def _learn_at_end(self, start: dict[str, torch.Tensor], row: Row) -> torch.Tensor:
        inputs, state, cells = self._project(start, row.inputs), self._rest(), []
        for t in range(int(row.lengths.max())):
            state = self._advance(start, *state[:2], inputs[t])
            cells.append(state[2])
        # Shorter sequences continued after their end; the results there are ignored.
        y_cell = torch.stack(cells)[row.lengths.long() - 1, torch.arange(self.n_lanes)]
        into = self._into_outputs(start, y_cell)
        error = row.targets - into.sigmoid()
        self._descend(self._loss(error, into, row.targets, torch.ones(())), start)
        return error.detach().square().sum(1)

    def _learn_at_steps(self, start: dict[str, torch.Tensor], row: Row) -> torch.Tensor:
        each_step, steps = self.case.training.update == "step", int(row.lengths.max())
        weights, state = start, self._rest()
        inputs = self._project(start, row.inputs[:steps])
        total, loss = torch.zeros(self.n_lanes), torch.zeros(())
        for t in range(steps):
            if each_step:
                weights = {name: part + self._drift[name] for name, part in start.items()}
                inputs = self._project(weights, row.inputs[t : t + 1])
            state = self._advance(weights, *state[:2], inputs[0 if each_step else t])
            has = row.has_target[t][:, None]
            into = self._into_outputs(weights, state[2])
            error = (row.targets[t] - into.sigmoid()) * has
            total += error.detach().square().sum(1)
            now = self._loss(error, into, row.targets[t], has)
            if each_step:
                self._descend(now, start, retain=t + 1 < steps)
            loss = loss + now
        if not each_step:
            self._descend(loss, start)
        return total

    def _project(self, w: dict[str, torch.Tensor], x: Any) -> torch.Tensor:
        """Contribution of inputs and biases to the net inputs, ``[T, B, 1, U]``."""
        into = w["hidden_inputs"]  # [B, U, I]
        if x.ndim == 2:
            rows = into.transpose(1, 2)  # [B, I, U]
            looked_up = rows[torch.arange(self.n_lanes), x.long()]  # [T, B, U]
        else:
            looked_up = torch.einsum("tbi,bhi->tbh", x, into)
        if "hidden_bias" in w:
            units = list(self.case.network.biased_units)
            if len(units) == into.shape[1]:
                looked_up = looked_up + w["hidden_bias"]
            else:
                bias = torch.zeros(into.shape[:2]).index_copy(
                    1, torch.tensor(units), w["hidden_bias"]
                )
                looked_up = looked_up + bias
        return looked_up.unsqueeze(2)

    def _rest(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        cell = self.case.network.cell
        s = torch.zeros(self.n_lanes, cell.blocks, cell.block_size)
        return torch.zeros(self.n_lanes, 1, cell.n_units), s, s.flatten(1)

    def _advance(
        self, w: dict[str, torch.Tensor], y: torch.Tensor, s: torch.Tensor, into: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Equations (7) to (9); returns ``y [B, 1, U]`` for the next step, ``s``, ``y_cell``."""
        blocks = self.case.network.cell.blocks
        net = torch.baddbmm(into, y, w["hidden_recurrent"].transpose(1, 2))
        f = net.sigmoid()[:, 0]
        y_in, y_out = f[:, :blocks, None], f[:, -blocks:, None]
        cells = net[:, 0] if self._g is None else _stretched(f, self._g)
        s = s + y_in * cells[:, blocks:-blocks].view(s.shape)
        h = s if self._h is None else _stretched(s.sigmoid(), self._h)
        y_cell = (y_out * h).flatten(1)
        with torch.no_grad():  # the truncation
            y = torch.cat([f[:, :blocks], y_cell, f[:, -blocks:]], 1).unsqueeze(1)
        return y, s, y_cell

    def _into_outputs(self, w: dict[str, torch.Tensor], y_cell: torch.Tensor) -> torch.Tensor:
        into = torch.einsum("boc,bc->bo", w["output_cells"], y_cell)
        return into + w["output_bias"] if "output_bias" in w else into

    def _loss(
        self, error: torch.Tensor, into: torch.Tensor, target: torch.Tensor, has: torch.Tensor
    ) -> torch.Tensor:
        """Half the squared error; without f' of equation (19), the function with that gradient."""
        if self.case.training.output_derivative:
            return error.square().sum() / 2
        cross = torch.nn.functional.softplus(into) - target * into
        return (cross * has).sum()

    def _descend(
        self, loss: torch.Tensor, start: dict[str, torch.Tensor], retain: bool = False
    ) -> None:
        grads = torch.autograd.grad(loss, list(start.values()), retain_graph=retain)
        for name, grad in zip(start, grads, strict=True):
            self._drift[name] = self._drift[name] - self.case.training.rate * grad


def _stretched(f: torch.Tensor, scale_shift: tuple[float, float]) -> torch.Tensor:
    """Scale and shift the logistic values ``f``; (1, 0) costs nothing."""
    scale, shift = scale_shift
    f = f if scale == 1.0 else scale * f
    return f + shift if shift else f
