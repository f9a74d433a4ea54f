"""The training loop of one net."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import torch

from carrousel.errors import DivergedError
from carrousel.estimators.data.series import Source
from carrousel.estimators.net.augment import Augmentation, RandomChanges
from carrousel.estimators.net.batches import Batch, in_order, make_batch, orders
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.goals import Goal
from carrousel.estimators.net.net import AnytimeNet, NetConfig
from carrousel.shapes import Array, Bools, Floats, Ints


@dataclass(frozen=True)
class TrainConfig:
    """Settings of the training loop, the same for all data.

    Args:
        steps: updates of the weights at most; None: by the number of series.
        batch_size: series of a batch.
        learning_rate: largest rate, after a warm-up over the first tenth; it decays to zero.
        weight_decay: of AdamW.
        clip: largest norm of a gradient.
        patience: share of the steps without a better held-out loss after which training stops.
        augmentation: random changes of training series.
        seconds: time after which training stops; None: no limit.
    """

    steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    clip: float = 1.0
    patience: float = 0.4
    augmentation: Augmentation = field(default_factory=Augmentation)
    seconds: float | None = None


@dataclass(frozen=True)
class Epoch:
    """Progress of training, recorded after one or more epochs, about 40 times.

    ``loss`` is the mean over the updates since the record before. ``held`` is the loss of held-out
    series, or None without any.
    """

    member: int
    step: int
    steps: int
    loss: float
    held: float | None
    seconds: float


@dataclass(eq=False)
class Member:
    """One trained net, with its history and the series that it did not learn."""

    net: AnytimeNet
    history: list[Epoch]
    held: Annotated[Bools, "N"]
    stopped: str = "steps"  # "steps", "seconds", "patience" or "interrupted"


def train_net(
    source: Source,
    targets: Array,
    weights: Annotated[Floats, "N"],
    goal: Goal,
    features: Features,
    sizes: NetConfig,
    config: TrainConfig,
    *,
    seed: int,
    held: Annotated[Bools, "N"] | None = None,
    member: int = 0,
    start: AnytimeNet | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Member:
    """Train one net; Ctrl-C keeps the best weights so far.

    At the end, the last weights are kept, unless at least 20 held-out series were better predicted
    before, by more than one standard error of the difference. All weights are rounded to
    half precision, so that a file of half the size holds them exactly.

    Args:
        source: training series, those held out included.
        targets: ``[N, ...]``, or ``[steps, ...]`` if ``goal.per_step``.
        weights: ``[N]``, weights of the losses.
        goal: the objective.
        features: fitted to the series that are learned.
        sizes: sizes of the net.
        config: settings of the loop.
        seed: of initial weights, order and augmentation.
        held: ``[N]``, series that are not learned but judge the net after each epoch.
        member: number of the net in its ensemble.
        start: net whose weights to start from; None: random weights.
        on_epoch: called with each record of progress.
    """
    held = np.zeros(len(source), bool) if held is None else held
    data = _Data(source, targets, weights, goal, features)
    net = copy.deepcopy(start) if start is not None else _new_net(sizes, seed)
    net.dropout.generator = torch.Generator().manual_seed(seed)
    loop = _Loop(net, data, config, held, np.random.default_rng(seed), member)
    try:
        loop.run(on_epoch)
    except KeyboardInterrupt:
        loop.stopped = "interrupted"
    loop.choose_weights()
    if not all(bool(torch.isfinite(weight).all()) for weight in net.parameters()):
        raise DivergedError(
            f"training of net {member} diverged: its weights are not finite",
            fix="choose a smaller {learning_rate}, {weight_decay} or {noise}",
        )
    net.dropout.generator = None
    round_to_half(net)
    return Member(net.eval(), loop.history, held, loop.stopped)


def _new_net(sizes: NetConfig, seed: int) -> AnytimeNet:
    """Return a net with random weights; torch's global random numbers are left as they were."""
    with _GLOBAL_NUMBERS, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AnytimeNet(sizes)


@dataclass(frozen=True, eq=False)
class _Data:
    """Series, their targets and weights, and how nets see them."""

    source: Source
    targets: Array
    weights: Annotated[Floats, "N"]
    goal: Goal
    features: Features

    def batch(self, indices: Annotated[Ints, "B"], changes: RandomChanges | None = None) -> Batch:
        return make_batch(
            self.source,
            self.targets,
            self.weights,
            self.features,
            indices,
            self.goal.per_step,
            changes,
        )


class _Loop:
    """State of the training of one net."""

    def __init__(
        self,
        net: AnytimeNet,
        data: _Data,
        config: TrainConfig,
        held: Annotated[Bools, "N"],
        rng: np.random.Generator,
        member: int,
    ) -> None:
        self.net, self.data, self.config, self.rng, self.member = net, data, config, rng, member
        self.learned, self.held = np.flatnonzero(~held), np.flatnonzero(held)
        lengths = data.source.lengths[self.learned]
        self.steps = config.steps or default_steps(lengths, config.batch_size)
        self.changes = RandomChanges(
            config.augmentation, data.source.take, self.learned, int(rng.integers(2**31))
        )
        self.optimiser = torch.optim.AdamW(
            net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, config.learning_rate, total_steps=self.steps + 1, pct_start=0.1
        )
        self.history: list[Epoch] = []
        self.done, self.stopped, self.began = 0, "", time.monotonic()
        self.best: _Checkpoint | None = None
        self.last: Annotated[Floats, "held"] | None = None

    def run(self, on_epoch: Callable[[Epoch], None] | None) -> None:
        """Train until all steps are done, time is over, or held-out series stop improving."""
        rounds = math.ceil(len(self.learned) / self.config.batch_size)
        check_every, epoch = max(1, self.steps // _CHECKS // rounds), 0
        losses: list[float] = []
        while not self.stopped:
            losses, epoch = losses + self._epoch(), epoch + 1
            if epoch % check_every and not self.stopped:
                continue
            judged = self._judge() if len(self.held) else None
            loss, seconds = float(np.mean(losses)), time.monotonic() - self.began
            self.history.append(Epoch(self.member, self.done, self.steps, loss, judged, seconds))
            losses = []
            if on_epoch:
                on_epoch(self.history[-1])

    def _epoch(self) -> list[float]:
        """Learn every series once, or fewer if training ends; return the loss of each update."""
        net, goal, losses = self.net, self.data.goal, []
        net.train()
        for some in orders(
            self.data.source.lengths[self.learned], self.config.batch_size, self.rng
        ):
            batch = self.data.batch(self.learned[some], self.changes)
            each = goal.loss(net(batch.inputs, batch.lengths), batch.targets, batch.lengths)
            loss = (each * batch.weights).mean()
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), self.config.clip)
            self.optimiser.step()
            self.schedule.step()
            losses.append(loss.item())
            self.done += 1
            limit = self.config.seconds
            if limit and time.monotonic() - self.began > limit:
                self.stopped = "seconds"
            if self.done == self.steps:
                self.stopped = "steps"
            if self.stopped:
                break
        return losses

    def _judge(self) -> float:
        """Return the mean loss of held-out series; remember the best, stop if it is long ago."""
        losses = held_losses(self.net, self.data, self.held)
        weights = self.data.weights[self.held]
        mean = float(np.average(losses, weights=weights)) if weights.any() else 0.0
        self.last = losses
        if self.best is None or mean < self.best.mean:
            state = copy.deepcopy(self.net.state_dict())
            self.best = _Checkpoint(mean, losses, self.done, state)
        waited = self.done - self.best.step
        if waited > self.config.patience * self.steps and self.best.beats(losses, _CLEARLY):
            self.stopped = self.stopped or "patience"
        return mean

    def choose_weights(self) -> None:
        """Return to the best weights if they are better than the last by more than chance."""
        if self.best is None or self.last is None:
            return
        if self.stopped == "interrupted" or self.best.beats(self.last, 1.0):
            self.net.load_state_dict(self.best.state)


@dataclass(frozen=True, eq=False)
class _Checkpoint:
    """Weights at some step, and the losses of held-out series then."""

    mean: float
    losses: Annotated[Floats, "held"]
    step: int
    state: dict[str, Any]

    def beats(self, losses: Annotated[Floats, "held"], errors: float) -> bool:
        """Return whether other losses are larger by more than some standard errors.

        The losses of few series are no evidence.
        """
        gain = losses - self.losses
        if len(gain) < _EVIDENCE:
            return False
        return bool(gain.mean() > errors * gain.std(ddof=1) / math.sqrt(len(gain)))


_GLOBAL_NUMBERS = threading.Lock()  # modules draw their first weights from torch's global source
_CHECKS = 40  # evaluations of held-out series during a training of all steps
_EVIDENCE = 20  # held-out series below which weights and time of stopping are not chosen
_CLEARLY = 2.0  # standard errors by which old weights must be better to stop training
_LEAST, _MOST, _EPOCHS = 600, 6000, 60
_WORK = 6_000_000  # steps of series that are learned at most, those of one epoch repeated


def default_steps(lengths: Annotated[Ints, "N"], batch_size: int) -> int:
    """Return the number of updates: 60 epochs, at least 600, at most 6,000 or 6 M steps of series.

    >>> default_steps(np.full(270, 16), 32), default_steps(np.full(4000, 40), 32)
    (600, 4687)
    """
    epochs = _EPOCHS * math.ceil(len(lengths) / batch_size)
    work = int(_WORK / (min(batch_size, len(lengths)) * float(np.mean(lengths))))
    return max(min(epochs, _MOST, work), min(_LEAST, max(work, 1)))


@torch.no_grad()
def round_to_half(net: AnytimeNet) -> None:
    """Round weights to the nearest numbers of half precision, in place."""
    for weight in net.parameters():
        weight.copy_(weight.clamp(-65504.0, 65504.0).half().float())


@torch.no_grad()
def held_losses(
    net: AnytimeNet, data: _Data, held: Annotated[Ints, "held"]
) -> Annotated[Floats, "held"]:
    """Return the losses of some series, without random changes."""
    net.eval()
    found = np.empty(len(held))
    for some in in_order(data.source.lengths[held], 256):
        batch = data.batch(held[some])
        losses = data.goal.loss(net(batch.inputs, batch.lengths), batch.targets, batch.lengths)
        found[some] = losses.numpy()
    return found
