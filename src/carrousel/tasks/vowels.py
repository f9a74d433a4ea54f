"""Japanese vowels: tell nine speakers apart by how they say /ae/; real data, not from the paper.

M. Kudo, J. Toyama and M. Shimbo, "Multidimensional curve classification using passing-through
regions", Pattern Recognition Letters 20 (11-13), 1999; UCI Machine Learning Repository. The
recordings come with the package ``aeon`` (``pip install carrousel[data]``); nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
from carrousel.errors import MissingExtraError, SettingError
from carrousel.sequences import Sequences
from carrousel.shapes import Bools, Floats, Ints

CHANNELS = 12
SPEAKERS = 9


@dataclass(frozen=True)
class JapaneseVowels:
    """Name the speaker of an utterance: 12 channels, 7 to 29 steps, nine men.

    270 utterances, 30 of each speaker, are there to learn from, and 370 others to be judged by.
    Each channel is shifted and scaled to mean 0 and variance 1 over all steps of the utterances
    learned from. The target is the speaker, at every step or at the last one; the answer is the
    output that is largest on average over the steps that have a target.

    Utterances are learned in random order, each once before any comes again (where draws end, an
    order may be cut short). Two kinds of noise, drawn afresh each time, may be added to what is
    learned, never to what is judged: an ``offset``, the same at all steps of an utterance, as
    another day or another microphone might bring, and a ``jitter`` of its own at each step.

    To choose settings without a look at the test utterances, split those learned from into
    ``folds``: part ``fold`` is then what the task is judged by, and only the others are learned
    from and measured for scaling. A part holds neighbours in the order of the file, which is
    presumably that of recording, and equally many of each speaker if ``folds`` divides 30.

    Args:
        targets: whether ``"every"`` step has a target, or the ``"last"`` one alone.
        offset: standard deviation of the offset, in units of the scaled channels.
        jitter: standard deviation of the noise at each step, in the same units.
        folds: number of parts the 270 utterances are split into; 0 keeps them whole.
        fold: which of these parts the task is judged by.

    Raises:
        SettingError: a number is out of its range.
        UnknownNameError: there is no such choice of targets.
        MissingExtraError: aeon is not installed (raised when data are first asked for).

    >>> task = JapaneseVowels()
    >>> data = task.test(np.random.default_rng(0), 1)
    >>> len(data), data.n_inputs, data.n_outputs, data.lengths[:3].tolist()
    (370, 12, 9, [19, 17, 19])
    """

    targets: Literal["every", "last"] = "every"
    offset: float = 0.0
    jitter: float = 0.0
    folds: int = 0
    fold: int = 0

    def __post_init__(self) -> None:
        check_choice("targets", self.targets, ("every", "last"))
        check_number("offset", self.offset, least=0.0)
        check_number("jitter", self.jitter, least=0.0)
        check_int("folds", self.folds, minimum=0, maximum=30)
        if self.folds == 1:
            raise SettingError("folds is 1, which leaves nothing to learn from; expected 0, 2..30")
        check_int("fold", self.fold, minimum=0, maximum=max(0, self.folds - 1))

    @property
    def n_inputs(self) -> int:
        """Twelve channels."""
        return CHANNELS

    @property
    def n_outputs(self) -> int:
        """Nine speakers."""
        return SPEAKERS

    @property
    def tolerance(self) -> float:
        """An utterance counts as right in training while all outputs are off by less than 0.5."""
        return 0.5

    @property
    def mean_length(self) -> float:
        """Mean over the 270 utterances (a constant: asking must not read the data)."""
        return 15.8

    def draw(self, rng: np.random.Generator) -> JapaneseVowels:
        """Return the task itself: both sets are given."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` training utterances: one random order of all of them after another."""
        check_int("n", n, minimum=1)
        learned, _ = _sets(self.targets, self.folds, self.fold)
        rounds = -(-n // len(learned))
        order = np.concatenate([rng.permutation(len(learned)) for _ in range(rounds)])[:n]
        data = learned.take(order)  # a copy, which noise may change
        if self.offset:
            drawn = rng.standard_normal((n, CHANNELS), dtype=np.float32)
            data.inputs[:] += np.repeat(drawn * np.float32(self.offset), data.lengths, axis=0)
        if self.jitter:
            drawn = rng.standard_normal(data.inputs.shape, dtype=np.float32)
            data.inputs[:] += drawn * np.float32(self.jitter)
        return data

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Return all the utterances that the task is judged by, whatever ``n`` says.

        They are the 370 test utterances, or part ``fold`` of the training utterances.
        """
        check_int("n", n, minimum=1)
        return _sets(self.targets, self.folds, self.fold)[1]

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Whether the output that is largest on average over an utterance's steps is the speaker's.

        Raises:
            ShapeError: ``outputs`` has not one row of 9 for each target.
        """
        data.check_outputs(outputs)
        first = data.target_offsets[:-1]
        sums = np.add.reduceat(outputs, first, axis=0, dtype=np.float64)
        finite = np.isfinite(sums).all(axis=1)  # argmax would answer NaN with the first speaker
        return finite & (sums.argmax(axis=1) == data.targets[first])


@cache
def _sets(targets: str, folds: int, fold: int) -> tuple[Sequences, Sequences]:
    """What is learned from and what is judged by, both scaled by the former. Read-only."""
    learned, speakers = _read("train")
    if folds:
        # The rank of each utterance among its speaker's, in the order of the file.
        ranks = np.array([np.sum(speakers[:n] == each) for n, each in enumerate(speakers)])
        counts = np.bincount(speakers)[speakers]
        held = ranks * folds // counts == fold
        judged, judged_speakers = [learned[n] for n in np.flatnonzero(held)], speakers[held]
        learned, speakers = [learned[n] for n in np.flatnonzero(~held)], speakers[~held]
    else:
        judged, judged_speakers = _read("test")
    steps = np.concatenate(learned)
    mean, deviation = steps.mean(axis=0), steps.std(axis=0)
    return (
        _join([(one - mean) / deviation for one in learned], speakers, targets),
        _join([(one - mean) / deviation for one in judged], judged_speakers, targets),
    )


def _join(rows: list[np.ndarray], speakers: Annotated[Ints, "N"], targets: str) -> Sequences:
    counts = [len(row) if targets == "every" else 1 for row in rows]
    classes = [[speaker] * k for speaker, k in zip(speakers.tolist(), counts, strict=True)]
    data = Sequences.from_lists(rows, classes, n_inputs=CHANNELS, n_outputs=SPEAKERS)
    for array in (data.inputs, data.targets, data.offsets, data.target_steps):
        array.flags.writeable = False  # trials share these
    return data


@cache
def _read(split: str) -> tuple[list[Annotated[Floats, "T I"]], Annotated[Ints, "N"]]:
    """Utterances ``[T, 12]`` and their speakers, counted from 0, from the files inside aeon."""
    try:
        from aeon.datasets import load_japanese_vowels
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "aeon":
            raise
        raise MissingExtraError(
            "JapaneseVowels needs aeon, which holds the recordings; install it with "
            "pip install 'carrousel[data]'"
        ) from error
    utterances, labels = load_japanese_vowels(split=split)[:2]
    return [np.ascontiguousarray(one.T) for one in utterances], labels.astype(np.int32) - 1
