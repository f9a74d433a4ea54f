"""Invalid calls of compiled chunkers: one of our exceptions, and unchanged weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Simple
from carrousel.errors import CarrouselError, DataError, SettingError, ShapeError, UnknownNameError
from carrousel.kernels import NativeChunker
from carrousel.sequences import Sequences
from support.case import case

pytestmark = pytest.mark.native

BELOW = Network(4, 5, Simple(1), wiring="direct", bias="all")
ABOVE = Network(4, 4, Simple(1), bias="all")
SETTINGS: dict[str, Any] = {"rate": 1.0, "threshold": 0.25, "depth": 3}
SYMBOLS = Sequences.from_lists([[0, 1, 2]], [[1, 2]], n_inputs=4, n_outputs=4)


def pair(**changes: Any) -> NativeChunker:
    return NativeChunker(BELOW, ABOVE, **SETTINGS | changes)


def weights(lanes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    nets = (BELOW, ABOVE)
    below, above = (np.full((lanes, net.n_weights), 0.1, np.float32) for net in nets)
    return below, above


@pytest.mark.parametrize(
    ("error", "match", "below", "above", "changes"),
    [
        (SettingError, "simple units wired", Network(4, 5, Cell(1, 1)), ABOVE, {}),
        (SettingError, "simple units", BELOW, Network(4, 4, Simple(5), wiring="united"), {}),
        (SettingError, "above has 3 inputs", BELOW, Network(3, 4, Simple(1)), {}),
        (SettingError, "below has 5 outputs", BELOW, Network(4, 3, Simple(1)), {}),
        (SettingError, "depth is 0", BELOW, ABOVE, {"depth": 0}),
        (SettingError, "threshold is", BELOW, ABOVE, {"threshold": 0.0}),
        (SettingError, "rate is", BELOW, ABOVE, {"rate": 1e300}),
        (SettingError, "threads", BELOW, ABOVE, {"threads": 0}),
        (UnknownNameError, "instruction set", BELOW, ABOVE, {"instruction_set": "sse"}),
    ],
)  # fmt: skip
def test_pairs_that_do_not_fit(error, match, below, above, changes):
    with pytest.raises(error, match=match):
        NativeChunker(below, above, **SETTINGS | changes)


def test_wrong_weights():
    below, above = weights()
    for place in (0, 1):
        good = (below, above)[place]
        for wrong in (
            good.astype(np.float64), good[:1], good[:, :-1].copy(), good.tolist(), None,
            np.asfortranarray(good),
        ):  # fmt: skip
            given: dict[str, Any] = {
                "below": below,
                "above": above,
                ("below", "above")[place]: wrong,
            }
            with case(place, wrong), pytest.raises(ShapeError, match=r"weights (below|above)"):
                pair().learn(**given, data=[SYMBOLS, None])
    below.setflags(write=False)
    with pytest.raises(CarrouselError, match="below"):
        pair().learn(below, above, [SYMBOLS, None])
    assert pair().predict(below, [SYMBOLS, None])[0] is not None


def test_wrong_data():
    values = Sequences.from_lists([[[0.1] * 4]], [[[0.5] * 4]])
    wide = Sequences.from_lists([[0, 1]], [[1]], n_inputs=6, n_outputs=4)
    bad = Sequences(
        np.array([7], np.int32), 4, np.array([0, 1]), np.array([1], np.int32), 4, np.array([0])
    )
    for data, error, match in (
        ([SYMBOLS, values], ShapeError, "lanes differ in kind"),
        ([None, wide], ShapeError, "data have 6 inputs and 4 outputs, the nets 4 and 4"),
        ([None, bad], DataError, r"data\[1\].*outside the alphabet"),
    ):
        below, above = weights()
        with case(match), pytest.raises(error, match=match):
            pair().learn(below, above, data)
        with case(match), pytest.raises(error, match=match):
            pair().predict(below, data)
        for array, untouched in zip((below, above), weights(), strict=True):
            np.testing.assert_array_equal(array, untouched)


def test_nothing_to_learn():
    below, above = weights()
    none = SYMBOLS[:0]
    assert pair().learn(below, above, [None, None]) == [None, None]
    found = pair(threads=4).learn(below, above, [none, None])
    assert found[0] is not None
    assert [len(column) for column in (*found[0][0], found[0][1])] == [0] * 5
    outputs = pair().predict(below, [none, None])[0]
    assert outputs is not None
    assert outputs.shape == (0, 4)
    np.testing.assert_array_equal(below, weights()[0])


def test_memory_does_not_depend_on_lanes():
    assert pair().nbytes == pair(instruction_set="plain").nbytes > 0
    assert pair(threads=3).nbytes == 3 * pair().nbytes < pair(threads=3, depth=9).nbytes
