"""Explanation of one prediction: which steps and channels it depends on."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from carrousel.errors import DataError, SettingError
from carrousel.estimators.data.series import Series
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.net import AnytimeNet
from carrousel.inspection import credit_of_writes, writes_of
from carrousel.shapes import Array, Floats


@dataclass(frozen=True, eq=False)
class Explanation:
    """Shares of steps in the outputs for one series after step ``at``.

    The shares are exact: ``outputs = base + carrousel.sum(0) + direct.sum(0)``. Outputs are raw
    (logits for classes), and means over members.

    Args:
        at: index of the step whose outputs are explained.
        outputs: ``[O]``.
        base: ``[O]``, the bias of the read-out.
        carrousel: ``[T, O]``, what each step wrote into the cells of the top layer, times the
            forget gates since then, as the read-out weighs it: now and in the mean over steps.
        direct: ``[T, O]``, the share of a step's input to the LSTM in the mean that the read-out
            sees.
        kept: ``[T]``, the mean over cells of the product of the forget gates from the step after
            this one to ``at``. 1: the step is kept entirely. NaN after ``at``.
        output: which output ``channels`` belongs to.
        channels: ``[T, I]``, gradient times input, of the channel's value and its age together. It
            is an approximation, whose baseline is the mean of the channel.
        names: of the channels.
    """

    at: int
    outputs: Annotated[Floats, "O"]
    base: Annotated[Floats, "O"]
    carrousel: Annotated[Floats, "T O"]
    direct: Annotated[Floats, "T O"]
    kept: Annotated[Floats, "T"]
    output: int
    channels: Annotated[Floats, "T I"]
    names: tuple[str, ...]

    def scaled(self, scale: Annotated[Floats, "O"], shift: Annotated[Floats, "O"]) -> Explanation:
        """Return the explanation of ``scale * outputs + shift``, such as values in their units."""
        return replace(
            self,
            outputs=self.outputs * scale + shift,
            base=self.base * scale + shift,
            carrousel=self.carrousel * scale,
            direct=self.direct * scale,
            channels=self.channels * scale[self.output],
        )

    def toward(
        self, output: int | None = None, against: int | None = None
    ) -> Annotated[Floats, "T"]:
        """Return how far each step moved one output away from another.

        Args:
            output: None: :attr:`output`.
            against: None: the mean of all outputs.

        Returns:
            ``[T]``; with the share of the bias its sum is the difference of the two outputs.
        """
        shares = self.carrousel + self.direct
        k = self.output if output is None else output
        other = shares.mean(axis=1) if against is None else shares[:, against]
        return shares[:, k] - other


def explain(
    ensemble: Ensemble, series: Series, *, step: int = -1, output: int | None = None
) -> Explanation:
    """Explain the outputs for one series after one of its steps.

    Args:
        ensemble: trained nets.
        series: one series.
        step: index of a step; negative: from the end.
        output: output whose dependence on channels is computed; None: the largest.

    Raises:
        DataError: ``series`` is not one series.
        SettingError: there is no such step or output, or the nets have parts unknown here.

    Source: the decomposition is that of :mod:`carrousel.inspection.writes`. Gradient times input is
    from Shrikumar et al. 2016.

    >>> from carrousel.estimators.net.goals import ClassGoal
    >>> from carrousel.estimators.net.net import NetConfig
    >>> from carrousel.estimators.net.train import Member
    >>> series = Series.of([[[1.0], [2.0], [4.0]]])
    >>> features = Features.fit(series)
    >>> net = AnytimeNet(NetConfig(features.n_inputs, 2)).eval()
    >>> ensemble = Ensemble(features, ClassGoal(2), [Member(net, [], np.zeros(1, bool))])
    >>> found = explain(ensemble, series)
    >>> total = found.base + (found.carrousel + found.direct).sum(axis=0)
    >>> bool(np.allclose(total, found.outputs)), found.channels.shape
    (True, (3, 1))
    """
    if len(series) != 1:
        raise DataError(
            f"there are {len(series)} series, expected one",
            argument="series",
            fix="call explain for each of them: series[n]",
        )
    at = _index("step", step, series.n_steps)
    inputs, _ = ensemble.features.batch(series, np.array([0]))
    runs = [_Run.of(member.net, inputs) for member in ensemble.members]
    outputs = np.mean([run.outputs[at].detach().numpy() for run in runs], axis=0)
    which = int(outputs.argmax()) if output is None else _index("output", output, len(outputs))
    parts = [run.shares(at) for run in runs]
    base, carrousel, direct, kept = (np.mean(each, axis=0) for each in zip(*parts, strict=True))
    total = base + (carrousel + direct).sum(axis=0)
    if not np.allclose(total, outputs, rtol=1e-6, atol=1e-6):
        raise SettingError(
            "the shares of all steps do not add up to the outputs: the nets have parts that an "
            "explanation does not know",
            argument="ensemble",
        )
    slopes = np.mean([run.slopes(at, which) for run in runs], axis=0)
    channels = _by_channel(slopes, ensemble.features)
    return Explanation(at, outputs, base, carrousel, direct, kept, which, channels, series.channels)


@dataclass(frozen=True, eq=False)
class _Run:
    """One pass of one net in float64, with what its parts received and returned.

    Args:
        net: a copy of the net.
        given: ``[T, 1, F]``, inputs, or the embedded symbols, with gradients.
        x, h: ``[T, inner]`` and ``[T, S]``, inputs and outputs of the LSTM.
        keeps, states: of each direction of its top layer, ``[T, C]``.
        opens: output gates, likewise.
        outputs: ``[T, O]``, with gradients.
    """

    net: AnytimeNet
    given: Tensor
    x: np.ndarray
    h: np.ndarray
    keeps: list[np.ndarray]
    states: list[np.ndarray]
    opens: list[np.ndarray]
    outputs: Tensor

    @staticmethod
    def of(net: AnytimeNet, inputs: Annotated[Array, "T 1 F"]) -> _Run:
        net = copy.deepcopy(net).double().eval()
        x, lengths = torch.from_numpy(inputs), torch.tensor([len(inputs)])
        seen: dict[str, Tensor] = {}

        def at_lstm(_: Any, arguments: tuple[Any, ...], found: Any) -> None:
            seen["x"], seen["h"] = arguments[0], found[0]

        def at_embedding(_: Any, __: Any, found: Any) -> None:
            seen["given"] = found

        net.lstm.register_forward_hook(at_lstm)
        if net.embedding is not None:
            net.embedding.register_forward_hook(at_embedding)
        else:
            seen["given"] = x = x.double().requires_grad_()
        outputs = net(x, lengths)[:, 0]
        with torch.no_grad():
            _, _, steps = net.lstm(seen["x"].detach(), return_states=True)
        top = steps[-2:] if net.config.bidirectional else steps[-1:]
        return _Run(
            net,
            seen["given"],
            seen["x"].detach()[:, 0].numpy(),
            seen["h"].detach()[:, 0].numpy(),
            [one.gates["forget"][:, 0].numpy() for one in top],
            [one.states["c"][:, 0].numpy() for one in top],
            [one.gates["output"][:, 0].numpy() for one in top],
            outputs,
        )

    def shares(self, at: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the bias ``[O]``, shares of cells and of inputs ``[T, O]``, and what is kept."""
        w = self.net.readout.weight.detach().numpy()
        T, S = self.h.shape
        counted = (np.arange(T) <= at)[:, None, None] / (at + 1.0)
        by_h = counted * w[:, S : 2 * S]  # [T, O, S]
        by_h[at] += w[:, :S]
        direct = np.einsum("toi,ti->to", counted * w[:, 2 * S :], self.x)
        cells = sum(self._cells(d, by_h) for d in range(len(self.keeps)))
        kept = np.full(T, np.nan)
        after = np.cumprod(self.keeps[0][1 : at + 1][::-1], axis=0)[::-1].mean(axis=1)
        kept[: at + 1] = [*after, 1.0]
        return self.net.readout.bias.detach().numpy(), np.asarray(cells), direct, kept

    def _cells(self, direction: int, by_h: np.ndarray) -> np.ndarray:
        """Return the shares ``[T, O]`` of what each step wrote into the cells of a direction."""
        order = slice(None, None, -1 if direction else 1)
        c, keeps, opens = (each[direction][order] for each in (self.states, self.keeps, self.opens))
        C = c.shape[1]
        mine = slice(direction * C, (direction + 1) * C)
        h, by_h = self.h[order, mine], by_h[order, :, mine]
        ratio = np.where(np.abs(c) > 1e-200, h / np.where(c == 0.0, 1.0, c), opens)
        wide = np.broadcast_to(keeps[:, None], by_h.shape)
        writes = np.broadcast_to(writes_of(c, keeps)[:, None], by_h.shape)
        found = credit_of_writes(wide, writes, by_h * ratio[:, None])
        return found.sum(axis=2)[order]

    def slopes(self, at: int, output: int) -> np.ndarray:
        """Return gradient times input, ``[T, F]`` (the embedding's width for symbols)."""
        (gradient,) = torch.autograd.grad(self.outputs[at, output], self.given, retain_graph=True)
        return (gradient * self.given).detach()[:, 0].numpy()


def _by_channel(slopes: Annotated[Floats, "T F"], features: Features) -> Annotated[Floats, "T I"]:
    """Add the parts of a channel: its value and its age, or the components of an embedding."""
    if features.n_symbols:
        return slopes.sum(axis=1, keepdims=True)
    n = len(features.mean)
    return slopes[:, :n] + slopes[:, n : 2 * n]


def _index(name: str, value: int, size: int) -> int:
    if not -size <= value < size:
        raise SettingError(argument=name, got=value, expected=f"{-size} to {size - 1}")
    return range(size)[value]
