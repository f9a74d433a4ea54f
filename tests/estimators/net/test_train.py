"""Training: reproducible, stopped, interrupted; which weights are kept; batches and losses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from carrousel.estimators.data.series import Series
from carrousel.estimators.net.augment import Augmentation
from carrousel.estimators.net.batches import in_order, orders, padded
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.goals import ClassGoal, StepValueGoal, TagGoal, ValueGoal, over_steps
from carrousel.estimators.net.net import AnytimeNet, NetConfig
from carrousel.estimators.net.train import Epoch, TrainConfig, default_steps, train_net

SIZES = NetConfig(4, 2, hidden_size=6, window=3)


@pytest.fixture(scope="module")
def task() -> tuple[Series, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(T, 2)) for T in rng.integers(1, 12, size=60)]
    return Series.of(rows), np.array([int(row[0, 0] > 0) for row in rows])


def train(task: tuple[Series, np.ndarray], **more: Any):
    series, labels = task
    config = more.pop("config", TrainConfig(steps=12))
    sizes = more.pop("sizes", SIZES)
    weights = np.ones(len(series))
    return train_net(
        *(series, labels, weights, ClassGoal(2), Features.fit(series), sizes, config),
        seed=more.pop("seed", 5),
        **more,
    )


def flat(net: AnytimeNet) -> np.ndarray:
    return torch.cat([weight.detach().ravel() for weight in net.parameters()]).numpy()


def test_a_seed_decides_in_threads_too_and_global_numbers_are_left_alone(task):
    before = torch.get_rng_state()
    alone = [flat(train(task, seed=seed).net) for seed in (1, 2, 3)]
    assert torch.equal(torch.get_rng_state(), before)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda seed: flat(train(task, seed=seed).net), (1, 2, 3)))
    np.testing.assert_array_equal(alone, together)
    assert (alone[0] != alone[1]).any()


def test_weights_are_numbers_of_half_precision(task):
    weights = flat(train(task).net)
    np.testing.assert_array_equal(weights, weights.astype(np.float16).astype(np.float32))


def test_held_out_series_are_not_learned(task):
    series, labels = task
    held = np.arange(len(series)) % 4 == 0  # too few to choose weights
    other = labels.copy()
    other[held] = 1 - other[held]
    one, two = (train((series, given), held=held, seed=2) for given in (labels, other))
    np.testing.assert_array_equal(flat(one.net), flat(two.net))
    assert one.history[-1].held != two.history[-1].held


def test_an_interrupted_training_keeps_the_best_weights(task):
    seen: list[Epoch] = []
    held = np.arange(60) < 30

    def stop(epoch: Epoch) -> None:
        seen.append(epoch)
        if len(seen) == 3:
            raise KeyboardInterrupt

    found = train(task, held=held, on_epoch=stop, config=TrainConfig(steps=400))
    assert found.stopped == "interrupted"
    assert found.history == seen
    assert seen[-1].step < 400


def test_old_weights_are_kept_only_if_many_held_out_series_prefer_them(task):
    """Nets learn random labels by heart: 30 held-out series return to earlier weights."""
    series, labels = task[0], np.random.default_rng(3).integers(0, 2, 60)
    config = TrainConfig(
        steps=120, learning_rate=1e-2, patience=1.0, augmentation=Augmentation(0.0, 0.0, 0.0, 0.0)
    )
    for count, expected in ((30, True), (12, False)):
        held = np.arange(60) < count
        found = train((series, labels), held=held, config=config)
        losses = [epoch.held for epoch in found.history if epoch.held is not None]
        outputs = found.net(
            torch.from_numpy(Features.fit(series).batch(series, np.flatnonzero(held))[0]),
            torch.from_numpy(series.lengths[held]),
        )
        goal = ClassGoal(2)
        loss = goal.loss(
            outputs, torch.from_numpy(labels[held]), torch.from_numpy(series.lengths[held])
        )
        assert losses[-1] > 1.2 * min(losses)
        kept = min(losses) if expected else losses[-1]
        np.testing.assert_allclose(loss.mean().item(), kept, rtol=0.05)


def test_time_and_patience_end_a_training(task):
    assert train(task, config=TrainConfig(steps=10**6, seconds=0.01)).stopped == "seconds"
    assert train(task).stopped == "steps"


def test_steps_are_bounded_by_work():
    for n, T in ((5, 10), (300, 16), (5000, 100), (10**6, 20), (100, 10**5)):
        steps = default_steps(np.full(n, T), 32)
        assert 1 <= steps <= 6000
        assert steps * min(n, 32) * T <= 6_000_000 or steps <= 1


def test_an_epoch_has_every_series_once_in_batches_of_like_length():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 100, size=333)
    found = orders(lengths, 32, rng)
    assert sorted(np.concatenate(found).tolist()) == list(range(333))
    spread = np.mean([lengths[some].max() - lengths[some].min() for some in found])
    assert spread < 30 < np.ptp(lengths)
    assert sorted(np.concatenate(list(in_order(lengths, 50))).tolist()) == list(range(333))


def test_targets_of_steps_have_padding_that_counts_for_nothing():
    series = Series.of([np.zeros((2, 1)), np.zeros((4, 1))])
    tags = padded(np.arange(6), series.offsets, np.array([1, 0]))
    assert tags.T.tolist() == [[2, 3, 4, 5], [0, 1, -1, -1]]
    values = padded(np.arange(6.0)[:, None], series.offsets, np.array([0]))
    assert values[:, 0, 0].tolist() == [0.0, 1.0]
    lengths = torch.tensor([4, 2])
    z = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(0))
    changed = z.clone()
    changed[2:, 1] = 100.0
    given = torch.from_numpy(padded(np.arange(6.0)[:, None], series.offsets, np.array([1, 0])))
    for goal, targets in (
        (TagGoal(6), torch.from_numpy(tags)),
        (StepValueGoal(1), given.float()),
        (ClassGoal(6), torch.tensor([1, 2])),
        (ValueGoal(6), torch.zeros(2, 6)),
    ):
        width = goal.n_outputs
        one, two = (goal.loss(x[..., :width], targets, lengths) for x in (z, changed))
        torch.testing.assert_close(one, two, msg=type(goal).__name__)


def test_steps_count_alike_and_the_last_half():
    losses = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    last = torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    n = torch.tensor([4])
    np.testing.assert_allclose(over_steps(losses, n).item(), 0.5 * 1 / 4)
    np.testing.assert_allclose(over_steps(last, n).item(), 0.5 * 1 / 4 + 0.5)


def test_outputs_do_not_depend_on_later_steps():
    torch.manual_seed(0)
    x = torch.randn(20, 3, 4)
    changed = x.clone()
    changed[11:] = 5.0
    lengths = torch.full((3,), 20)
    for dilation in (1, 3):
        net = AnytimeNet(NetConfig(4, 2, hidden_size=6, window=4, dilation=dilation)).eval()
        one, two = net(x, lengths), net(changed, lengths)
        torch.testing.assert_close(one[:11], two[:11])
        assert not torch.equal(one[11:], two[11:])
