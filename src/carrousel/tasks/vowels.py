"""Japanese vowels: identify nine speakers by their pronunciation of /ae/; not from the paper.

M. Kudo, J. Toyama and M. Shimbo, "Multidimensional curve classification using passing-through
regions", Pattern Recognition Letters 20 (11-13), 1999; UCI Machine Learning Repository. The package
``aeon`` contains the recordings (``pip install carrousel[data]``); nothing is downloaded.
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
from carrousel.tasks.sampling import gaussians, new_key

CHANNELS = 12
SPEAKERS = 9


@dataclass(frozen=True)
class JapaneseVowels:
    """Identify the speaker of an utterance: 12 channels, 7 to 29 steps, nine male speakers.

    There are 270 training utterances, 30 of each speaker, and 370 test utterances. Channels are
    standardised by mean and variance over all steps of the training utterances. The target is the
    speaker, at every step or at the last one. The prediction is the output with the largest mean
    over the steps that have a target.

    :meth:`sample` returns the training utterances in random order, each once per pass; the last
    pass of a call may be incomplete. Two kinds of noise, drawn at every call, may be added: an
    ``offset`` that is the same at all steps of an utterance, like a change of microphone, and an
    independent ``jitter`` at each step. Test utterances have no noise.

    To choose settings without the test utterances, split the training utterances into ``folds``.
    Part ``fold`` then replaces the test set, and the other parts are the training set. A part has
    neighbours in the order of the file, which is presumably that of recording, and equally many of
    each speaker if ``folds`` divides 30.

    Args:
        targets: whether ``"every"`` step has a target, or only the ``"last"`` one.
        offset: standard deviation of the offset, in units of the standardised channels.
        jitter: standard deviation of the noise at each step, in the same units.
        folds: number of parts of the 270 training utterances; 0: no cross-validation.
        fold: index of the part used for testing.

    Raises:
        SettingError: a number is out of range.
        UnknownNameError: ``targets`` is unknown.
        MissingExtraError: aeon is not installed (raised when data are first needed).

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
            raise SettingError(argument="folds", got=1, expected="0 or 2..30: one part is tested")
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
        """In training, an utterance is correct while all outputs are off by less than 0.5."""
        return 0.5

    @property
    def mean_length(self) -> float:
        """Mean over the 270 training utterances, a constant that does not require the data."""
        return 15.8

    def draw(self, rng: np.random.Generator) -> JapaneseVowels:
        """Return the task itself; both sets are fixed."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` training utterances, in passes over all of them, each in a random order."""
        check_int("n", n, minimum=1)
        learned, _ = _sets(self.targets, self.folds, self.fold)
        rounds = -(-n // len(learned))
        order = np.concatenate([rng.permutation(len(learned)) for _ in range(rounds)])[:n]
        data = learned.take(order)  # a copy, which noise may change
        key = new_key(rng)
        if self.offset:
            drawn = gaussians(key, n, CHANNELS, self.offset, stream=1)
            data.inputs[:] += np.repeat(drawn, data.lengths, axis=0)
        if self.jitter:
            data.inputs[:] += gaussians(key, data.n_steps, CHANNELS, self.jitter)
        return data

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Return the 370 test utterances, or part ``fold``; ``n`` and ``rng`` are not used."""
        check_int("n", n, minimum=1)
        return _sets(self.targets, self.folds, self.fold)[1]

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether the output with the largest mean over the steps is the speaker's.

        Raises:
            ShapeError: ``outputs`` is not ``[M, 9]``.
        """
        data.check_outputs(outputs)
        first = data.target_offsets[:-1]
        sums = np.add.reduceat(outputs, first, axis=0, dtype=np.float64)
        finite = np.isfinite(sums).all(axis=1)  # argmax of NaN would be the first speaker
        return finite & (sums.argmax(axis=1) == data.targets[first])


@cache
def _sets(targets: str, folds: int, fold: int) -> tuple[Sequences, Sequences]:
    """Return the training and test utterances, standardised by the former; read-only arrays."""
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
        array.flags.writeable = False  # shared by trials
    return data


@cache
def _read(split: str) -> tuple[list[Annotated[Floats, "T I"]], Annotated[Ints, "N"]]:
    """Read utterances ``[T, 12]`` and their speakers, counted from 0, from the files in aeon."""
    try:
        from aeon.datasets import load_japanese_vowels
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "aeon":
            raise
        raise MissingExtraError(
            "JapaneseVowels needs aeon, which holds the recordings",
            fix="install it with pip install 'carrousel[data]'",
        ) from error
    utterances, labels = load_japanese_vowels(split=split)[:2]
    return [np.ascontiguousarray(one.T) for one in utterances], labels.astype(np.int32) - 1
