"""Objectives: what outputs mean, and the loss of a series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Goal(Protocol):
    """What the outputs of a net mean.

    Attributes:
        n_outputs: ``O``.
        per_step: whether targets are given for each step rather than for each series.
    """

    @property
    def n_outputs(self) -> int: ...
    @property
    def per_step(self) -> bool: ...

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor) -> Annotated[Tensor, "B"]:
        """Return the loss of each series, ``[B]``.

        Args:
            outputs: ``[T, B, O]``.
            targets: ``[B, ...]``, or ``[T, B, ...]`` if ``per_step``.
            lengths: ``[B]``.
        """
        ...


def over_steps(losses: Tensor, lengths: Tensor, *, end: float = 0.5) -> Annotated[Tensor, "B"]:
    """Average the losses ``[T, B]`` of all steps of a series; ``end`` is the weight of the last.

    >>> over_steps(torch.tensor([[4.0], [0.0], [2.0], [9.0]]), torch.tensor([3]))
    tensor([2.])
    """
    inside = torch.arange(len(losses))[:, None] < lengths
    every = torch.where(inside, losses, torch.zeros(())).sum(0) / lengths
    last = losses.gather(0, (lengths - 1)[None])[0]
    return (1.0 - end) * every + end * last


@dataclass(frozen=True)
class ClassGoal:
    """One of ``n_classes`` classes for a series; outputs are logits, targets int64 ``[B]``.

    In training, a share ``smoothing`` of the target is spread over all classes (Szegedy et al.
    2016, "Rethinking the inception architecture").
    """

    n_classes: int
    per_step: bool = False
    smoothing: float = 0.1

    @property
    def n_outputs(self) -> int:
        return self.n_classes

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor) -> Annotated[Tensor, "B"]:
        T, B, n = outputs.shape
        losses = functional.cross_entropy(
            outputs.reshape(-1, n),
            targets.expand(T, B).reshape(-1),
            reduction="none",
            label_smoothing=self.smoothing,
        )
        return over_steps(losses.view(T, B), lengths)


@dataclass(frozen=True)
class ValueGoal:
    """``n_targets`` standardised values for a series; targets float32 ``[B, n_targets]``."""

    n_targets: int
    per_step: bool = False

    @property
    def n_outputs(self) -> int:
        return self.n_targets

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor) -> Annotated[Tensor, "B"]:
        return over_steps((outputs - targets).square().mean(-1), lengths)


@dataclass(frozen=True)
class TagGoal:
    """A class at every step; targets int64 ``[T, B]``, -1 where a step has none.

    ``weights`` has a factor for the losses of each class; None: 1.
    """

    n_classes: int
    per_step: bool = True
    weights: tuple[float, ...] | None = None

    @property
    def n_outputs(self) -> int:
        return self.n_classes

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor) -> Annotated[Tensor, "B"]:
        T, B, n = outputs.shape
        weight = None if self.weights is None else outputs.new_tensor(self.weights)
        losses = functional.cross_entropy(
            outputs.reshape(-1, n), targets.reshape(-1), weight, reduction="none", ignore_index=-1
        ).view(T, B)
        return losses.sum(0) / (targets >= 0).sum(0).clamp(min=1)


@dataclass(frozen=True)
class StepValueGoal:
    """``n_targets`` standardised values at every step; targets ``[T, B, n_targets]``, NaN: none."""

    n_targets: int
    per_step: bool = True

    @property
    def n_outputs(self) -> int:
        return self.n_targets

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor) -> Annotated[Tensor, "B"]:
        known = torch.isfinite(targets)
        errors = torch.where(known, outputs - torch.nan_to_num(targets), torch.zeros(()))
        return errors.square().sum((0, 2)) / known.sum((0, 2)).clamp(min=1)
