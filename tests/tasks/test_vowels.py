"""Utterances are those of aeon's files, standardised by the training utterances."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from carrousel.errors import MissingExtraError, SettingError, ShapeError, UnknownNameError
from carrousel.tasks import vowels
from carrousel.tasks.vowels import JapaneseVowels

ROUND = 270


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(data) -> set[bytes]:
    return {one.inputs.tobytes() for one in data}


def test_a_pass_has_every_training_utterance_once():
    data = JapaneseVowels().sample(rng(), 2 * ROUND)
    first, second = data[:ROUND], data[ROUND:]
    assert len(rows(first)) == ROUND
    assert rows(first) == rows(second)
    assert first.inputs.tobytes() != second.inputs.tobytes()  # in another order
    assert abs(first.lengths.mean() - JapaneseVowels().mean_length) < 0.05
    assert (first.lengths.min(), first.lengths.max()) == (7, 26)


def test_short_draws_do_not_repeat():
    assert len(rows(JapaneseVowels().sample(rng(), 100))) == 100


def test_channels_are_scaled_by_the_training_utterances():
    steps = JapaneseVowels().sample(rng(), ROUND).inputs.astype(np.float64)
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-6)  # float32 around values near 1
    np.testing.assert_allclose(steps.std(axis=0), 1, atol=1e-6)
    tested = JapaneseVowels().test(rng(), 1).inputs
    assert np.abs(tested.mean(axis=0)).max() > 0.01  # it would be 0 if these had been used


def test_standardisation_can_be_inverted():
    """Compared with the files as read by aeon."""
    from aeon.datasets import load_japanese_vowels

    learned, _ = load_japanese_vowels(split="train")[:2]
    judged, labels = load_japanese_vowels(split="test")[:2]
    steps = np.concatenate(learned, axis=1)
    data = JapaneseVowels().test(rng(), 1)
    back = data.inputs.T * steps.std(axis=1)[:, None] + steps.mean(axis=1)[:, None]
    np.testing.assert_allclose(back, np.concatenate(judged, axis=1), atol=1e-5)
    np.testing.assert_array_equal(data.lengths, [one.shape[1] for one in judged])
    np.testing.assert_array_equal(
        data.targets[data.target_offsets[:-1]], [int(label) - 1 for label in labels]
    )
    counts = np.bincount(data.targets[data.target_offsets[:-1]])
    assert counts.tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]


def test_targets_at_every_step_or_the_last():
    every, last = (JapaneseVowels(kind).test(rng(), 1) for kind in ("every", "last"))
    np.testing.assert_array_equal(every.target_steps, np.arange(every.n_steps))
    np.testing.assert_array_equal(last.target_steps, last.offsets[1:] - 1)
    np.testing.assert_array_equal(every.targets, np.repeat(last.targets, last.lengths))


def test_noise_has_the_stated_size_and_only_in_training():
    plain = JapaneseVowels().sample(rng(1), 20 * ROUND)
    offset = JapaneseVowels(offset=0.5).sample(rng(1), 20 * ROUND)
    jitter = JapaneseVowels(jitter=0.5).sample(rng(1), 20 * ROUND)
    moved = offset.inputs - plain.inputs
    starts = plain.offsets[:-1]
    np.testing.assert_allclose(moved, np.repeat(moved[starts], plain.lengths, axis=0), atol=2e-6)
    # 64,800 draws: the standard deviation is known to 0.3 percent; five times that is allowed.
    np.testing.assert_allclose(moved[starts].std(), 0.5, rtol=0.015)
    shaken = jitter.inputs - plain.inputs
    np.testing.assert_allclose(shaken.std(), 0.5, rtol=0.015)
    neighbours = shaken[:-1] * shaken[1:]
    np.testing.assert_allclose(neighbours.mean(), 0, atol=0.25 * 5 / np.sqrt(neighbours.size))
    noisy = JapaneseVowels(offset=0.5, jitter=0.5)
    np.testing.assert_array_equal(
        noisy.test(rng(), 1).inputs, JapaneseVowels().test(rng(), 1).inputs
    )
    assert rows(noisy.sample(rng(1), ROUND)).isdisjoint(rows(noisy.sample(rng(2), ROUND)))


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_partition_the_training_utterances(folds):
    whole = JapaneseVowels().sample(rng(), ROUND)
    judged_lengths = []
    for fold in range(folds):
        task = JapaneseVowels(folds=folds, fold=fold)
        judged = task.test(rng(), 1)
        learned = task.sample(rng(), ROUND - len(judged))
        assert rows(learned).isdisjoint(rows(judged))
        assert len(rows(learned)) + len(rows(judged)) == ROUND
        counts = np.bincount(judged.targets[judged.target_offsets[:-1]], minlength=9)
        assert counts.min() == counts.max()
        np.testing.assert_allclose(learned.inputs.mean(axis=0), 0, atol=1e-5)
        judged_lengths += judged.lengths.tolist()
    assert sorted(judged_lengths) == sorted(whole.lengths.tolist())


def test_folds_do_not_read_the_test_file(monkeypatch):
    opened = []
    read = vowels._read

    def watched(split):
        opened.append(split)
        return read(split)

    monkeypatch.setattr(vowels, "_read", watched)
    vowels._sets.cache_clear()
    JapaneseVowels(folds=5, fold=4).test(rng(), 1)
    JapaneseVowels(folds=5, fold=4).sample(rng(), 10)
    assert opened == ["train"]
    vowels._sets.cache_clear()


@pytest.mark.parametrize("kind", ["every", "last"])
def test_the_prediction_is_the_largest_mean_output(kind):
    task = JapaneseVowels(kind)
    data = task.test(rng(), 1)
    outputs = rng(3).random((len(data.targets), 9), dtype=np.float32)
    expected = [
        np.mean(outputs[low:high], axis=0).argmax() == data.targets[low]
        for low, high in zip(data.target_offsets[:-1], data.target_offsets[1:], strict=True)
    ]
    np.testing.assert_array_equal(task.correct(outputs, data), expected)
    assert task.correct(data.dense_targets(), data).all()
    with pytest.raises(ShapeError, match="one row for each target"):
        task.correct(outputs[1:], data)


def test_shared_arrays_are_read_only():
    data = JapaneseVowels().test(rng(), 1)
    for array in (data.inputs, data.targets, data.offsets, data.target_steps):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    JapaneseVowels().sample(rng(), 3).inputs[:] = 0  # a copy
    np.testing.assert_array_equal(
        JapaneseVowels().test(rng(), 1).inputs, vowels._sets("every", 0, 0)[1].inputs
    )
    assert np.abs(vowels._sets("every", 0, 0)[0].inputs).min(axis=0).max() > 0


def test_invalid_settings_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'last'"):
        JapaneseVowels("lats")  # type: ignore[arg-type]
    for wrong in (dict(offset=-0.1), dict(jitter=np.nan), dict(folds=31), dict(folds=5, fold=5)):
        with pytest.raises(SettingError):
            JapaneseVowels(**wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="folds is 1, expected 0 or 2"):
        JapaneseVowels(folds=1)
    with pytest.raises(SettingError, match="n is 0"):
        JapaneseVowels().sample(rng(), 0)


def test_a_missing_package_is_reported_with_its_extra(monkeypatch):
    vowels._sets.cache_clear()
    vowels._read.cache_clear()
    monkeypatch.setitem(sys.modules, "aeon.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[data\]'"):
        JapaneseVowels().test(rng(), 1)
