"""Drawn data: published vectors of the generator, and all tasks against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carrousel import _native
from carrousel.tasks import (
    Adding,
    Latch,
    LongLag,
    Multiplication,
    NoiseFreeLag,
    Parity,
    RandomLag,
    TemporalOrder,
    TwoSequence,
)
from carrousel.tasks.sampling import new_key
from support.case import case
from support.tasks.definitions import DEFINITIONS
from support.tasks.philox import Words, gaussians, philox

pytestmark = pytest.mark.native

SETS = _native.available_instruction_sets()
ONES = 2**32 - 1
KNOWN = [  # Random123, kat_vectors: counter, key, words
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
    # C++26 [rand.predef]: the 10000th number of philox4x32, which is the last word of a block
    ((2499, 0, 0, 0), (20111115, 0), (None, None, None, 1955073260)),
]
EXAMPLES = [
    Adding(60, "input", "any"),
    Adding(60, "both", "counts"),
    Adding(11, "target", "not_first"),
    Adding(11, "marker", "not_first"),
    Multiplication(500, "input", "any"),
    Multiplication(12, "both", "counts"),
    Multiplication(12, "target", "any"),
    TwoSequence(100, 3, "a"),
    TwoSequence(1, 1, "b"),
    TwoSequence(30, 7, "b", longest=90),
    TwoSequence(20, 1, "c"),
    Latch("I", 3, 700),
    Latch("II", 1, 40),
    Parity(500, 600, pause=0),
    Parity(1, 40, noise=0.7, pause=3),
    NoiseFreeLag(2),
    NoiseFreeLag(30),
    RandomLag(2),
    RandomLag(100),
    RandomLag(7, targets="last"),
    LongLag(50, 50),
    LongLag(1, 1),
    LongLag(11_184_811, 100, "fixed"),  # one word in 384 is refused
    TemporalOrder(2),
    TemporalOrder(3, first_position=0),
]


def panel(key: int, stream: int, attempt: int, number: int, instruction_set: str) -> np.ndarray:
    words = np.empty(128, np.uint32)
    _native.draw_panel(key, stream, attempt, number, words, instruction_set)
    return words.reshape(4, 32)


def test_published_words():
    for instruction_set in SETS:
        for counter, key, words in KNOWN:
            with case(instruction_set, counter):
                block = counter[0] | counter[1] << 32
                drawn = panel(
                    key[0] | key[1] << 32, counter[2], counter[3], block // 32, instruction_set
                )[:, block % 32]
                mine = philox(key[0] | key[1] << 32, np.array([counter], np.uint64))[0]
                for got, second, want in zip(drawn, mine, words, strict=True):
                    assert want is None or got == want
                    assert got == second


@settings(max_examples=30, deadline=None)
@given(
    key=st.integers(0, 2**64 - 1),
    stream=st.integers(0, 2**32 - 1),
    attempt=st.integers(0, 2**32 - 1),
    number=st.integers(0, 2**64 - 1),
)
def test_panels_have_consecutive_blocks(key, stream, attempt, number):
    blocks = [(32 * number + b) % 2**64 for b in range(32)]
    counters = [(block % 2**32, block >> 32, stream, attempt) for block in blocks]
    expected = philox(key, np.array(counters, np.uint64)).T
    for instruction_set in SETS:
        np.testing.assert_array_equal(
            panel(key, stream, attempt, number, instruction_set), expected, instruction_set
        )


def test_gaussians_of_all_radii():
    """The error is below 1e-6, one part in three million of the radius, at all 2^24 radii."""
    rng = np.random.default_rng(0)
    hashes = set()
    for first in range(0, 2**24, 2**20):  # a part at a time
        words = rng.integers(0, 2**32, (2**14, 2, 64), np.uint32)
        radii = np.arange(first, first + 2**20, dtype=np.uint32).reshape(2**14, 64)
        words[:, 0] = words[:, 0] & np.uint32(0xFF) | radii << np.uint32(8)
        words = words.reshape(-1)
        expected = gaussians(words.reshape(-1, 128)).ravel()
        radius = np.hypot(*expected.reshape(-1, 2, 64).swapaxes(0, 1))
        drawn = np.full(len(words), np.nan, np.float32)
        _native.gaussians(words, 1.0, drawn, SETS[0])
        error = np.abs(drawn - expected)
        assert error.max() < 1e-6
        assert (error.reshape(-1, 2, 64) <= 4e-7 * radius[:, None] + 1e-30).all()
        for instruction_set in SETS[1:] if first == 0 else ():
            other = np.full(len(words), np.nan, np.float32)
            _native.gaussians(words, 1.0, other, instruction_set)
            np.testing.assert_array_equal(other.view(np.uint32), drawn.view(np.uint32))
        hashes.add(drawn.tobytes())
    assert len(hashes) == 16


@pytest.mark.parametrize("task", EXAMPLES, ids=repr)
def test_samples_are_those_of_the_definition(task):
    """Symbols, values and positions are equal; noise, to a millionth."""
    for seed, n in ((0, 1), (1, 33), (2, 100)):
        data = task.sample(np.random.default_rng(seed), n)
        expected = DEFINITIONS[type(task)](task, Words(new_key(np.random.default_rng(seed))), n)
        noisy = isinstance(task, TwoSequence | Latch | Parity)
        for name, want in expected._asdict().items():
            with case(seed, n, name):
                got = getattr(data, name)
                if noisy and got.dtype == np.float32:
                    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
                elif got.dtype == np.float32:
                    np.testing.assert_array_equal(got, want.astype(np.float32))
                else:
                    np.testing.assert_array_equal(got, want)


def test_geometric_lengths_have_no_longest():
    """The law continues beyond 64, where one word of 64 bits ends: 4 of 4000 are expected there."""
    task, n = LongLag(1, 1), 4000
    data = task.sample(np.random.default_rng(3), n)
    expected = DEFINITIONS[LongLag](task, Words(new_key(np.random.default_rng(3))), n)
    np.testing.assert_array_equal(data.offsets, expected.offsets)
    beyond = data.lengths - 4
    assert 0 < np.count_nonzero(beyond > 64) < 20
    assert np.count_nonzero(beyond == 64) < 4


def test_refused_words_are_drawn_again():
    """Some 260 of 100,000 numbers below 11,184,811 need a second word, and all are uniform."""
    count, n, key = 11_184_811, 100_000, 7
    words = Words(key).steps(n, "sequences").astype(np.uint64)
    again = np.flatnonzero(words * np.uint64(count) % np.uint64(2**32) < 2**32 % count)
    assert 150 < len(again) < 400
    picks = np.full(n, -1, np.int64)
    _native.draw_picks(key, count, picks)
    np.testing.assert_array_equal(picks, Words(key).steps_below(count, n, "sequences"))
    assert (picks[again] != (words[again] * np.uint64(count) >> np.uint64(32))).any()
    assert stats.kstest(picks / count, "uniform").pvalue > 1e-3
    assert stats.kstest(picks[again] / count, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("task", EXAMPLES, ids=repr)
def test_bits_do_not_depend_on_the_instruction_set(task, monkeypatch):
    found = []
    for instruction_set in SETS:
        with monkeypatch.context() as patch:
            for name in dir(_native):
                if name.startswith("draw_"):
                    call = getattr(_native, name)
                    patch.setattr(
                        _native,
                        name,
                        lambda *given, call=call, chosen=instruction_set, **named: call(
                            *given, **named, instruction_set=chosen
                        ),
                    )
            found.append(task.sample(np.random.default_rng(3), 150))
    for other in found[1:]:
        for name in ("inputs", "offsets", "targets", "target_steps"):
            one, two = getattr(found[0], name), getattr(other, name)
            assert one.tobytes() == two.tobytes(), name


def test_streams_are_independent():
    """Words of different streams, attempts, panels and neighbouring keys are uncorrelated."""
    rows = [
        np.concatenate([panel(key, stream, attempt, k, SETS[0]).ravel() for k in range(100)])
        for key, stream, attempt in [(5, 0, 0), (5, 1, 0), (5, 0, 1), (6, 0, 0), (5 + 2**32, 0, 0)]
    ]
    found = np.corrcoef(np.array(rows).astype(np.float64))
    assert np.abs(found - np.eye(len(rows))).max() < 5 / np.sqrt(12_800)
    for row in rows:
        assert stats.kstest(row / 2**32, "uniform").pvalue > 1e-3
        bits = np.unpackbits(row.view(np.uint8)).reshape(-1, 32).sum(axis=0, dtype=np.int64)
        assert np.abs(bits - 6400).max() < 5 * np.sqrt(3200)
