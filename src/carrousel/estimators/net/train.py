"""The training loop of one net."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import torch

from carrousel.estimators.data.series import Series
from carrousel.estimators.net.batches import Augmentation, in_order, make_batch, orders
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.goals import Goal
from carrousel.estimators.net.net import AnytimeNet, NetConfig
from carrousel.shapes import Array, Bools, Floats


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
    """Progress of training: losses are per series; ``held`` is None without held-out series."""

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
    series: Series,
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

    Args:
        series: training series, those held out included.
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
        on_epoch: called after each epoch.
    """
    rng, began = np.random.default_rng(seed), time.monotonic()
    held = np.zeros(len(series), bool) if held is None else held
    learned = np.flatnonzero(~held)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = copy.deepcopy(start) if start is not None else AnytimeNet(sizes)
        rounds = math.ceil(len(learned) / config.batch_size)
        steps = config.steps or default_steps(len(learned), config.batch_size)
        optimiser = torch.optim.AdamW(
            net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, config.learning_rate, total_steps=steps + 1, pct_start=0.1
        )
        best: tuple[float, int, dict[str, Any] | None] = (math.inf, 0, None)
        history: list[Epoch] = []
        done, stopped = 0, "steps"
        check_every = max(1, steps // 40 // rounds)
        try:
            epoch = 0
            while done < steps and stopped == "steps":
                total, count = 0.0, 0.0
                for some in orders(series.lengths[learned], config.batch_size, rng):
                    if done == steps:
                        break
                    batch = make_batch(
                        series,
                        targets,
                        weights,
                        features,
                        learned[some],
                        goal.per_step,
                        config.augmentation,
                        rng,
                    )
                    net.train()
                    losses = goal.loss(
                        net(batch.inputs, batch.lengths), batch.targets, batch.lengths
                    )
                    loss = (losses * batch.weights).mean()
                    optimiser.zero_grad()
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(net.parameters(), config.clip)
                    optimiser.step()
                    schedule.step()
                    done += 1
                    total, count = total + loss.item() * len(some), count + len(some)
                    if config.seconds and time.monotonic() - began > config.seconds:
                        stopped = "seconds"
                        break
                epoch += 1
                judged = None
                last = done >= steps or stopped == "seconds"
                if held.any() and (epoch % check_every == 0 or last):
                    judged = held_loss(net, series, targets, weights, goal, features, held)
                    if judged < best[0]:
                        best = (judged, done, copy.deepcopy(net.state_dict()))
                history.append(
                    Epoch(member, done, steps, total / count, judged, time.monotonic() - began)
                )
                if on_epoch:
                    on_epoch(history[-1])
                if judged is not None and done - best[1] > config.patience * steps:
                    stopped = "patience"
                    break
        except KeyboardInterrupt:
            stopped = "interrupted"
        if best[2] is not None:
            net.load_state_dict(best[2])
    return Member(net.eval(), history, held, stopped)


def default_steps(n: int, batch_size: int) -> int:
    """Return the number of updates for ``n`` series: at least 600, at most 6,000, or 60 epochs."""
    return int(min(6000, max(600, 60 * math.ceil(n / batch_size))))


@torch.no_grad()
def held_loss(
    net: AnytimeNet,
    series: Series,
    targets: Array,
    weights: Annotated[Floats, "N"],
    goal: Goal,
    features: Features,
    held: Annotated[Bools, "N"],
) -> float:
    """Return the weighted mean loss of the series in ``held``, without augmentation."""
    net.eval()
    which, total = np.flatnonzero(held), 0.0
    for some in in_order(series.lengths[which], 256):
        batch = make_batch(series, targets, weights, features, which[some], goal.per_step)
        losses = goal.loss(net(batch.inputs, batch.lengths), batch.targets, batch.lengths)
        total += float((losses * batch.weights).sum())
    return total / max(float(weights[which].sum()), 1e-12)
