"""Damaged and hostile files of online models are refused."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
import safetensors.numpy

from carrousel import OnlineLSTM
from carrousel.errors import CheckpointError
from carrousel.files import checksum
from carrousel.online.model.checkpoint import FORMAT, KEY
from support.online.cases import case
from support.online.models import knowledge, saved_in


class Bomb:
    """An object that aborts the process if it is unpickled."""

    def __reduce__(self):
        return os.abort, ()


FOREIGN = {
    "empty": b"",
    "short": b"abc",
    "text": b"not a checkpoint, but long enough to look like one",
    "pickle": pickle.dumps(Bomb()),
    "safetensors": safetensors.numpy.save({"a": np.zeros(2)}),
    "safetensors of a module": safetensors.numpy.save({"a": np.zeros(2)}, {"carrousel.nn": "{}"}),
    "zip": b"PK\x03\x04" + bytes(100),
    "zeros": bytes(1000),
    "a long header": (2**40).to_bytes(8, "little") + b"{}",
    "nested": (lambda text: len(text).to_bytes(8, "little") + text)(b"[" * 100_000),
    "a list": (lambda text: len(text).to_bytes(8, "little") + text)(b"[1, 2]"),
}


def test_files_of_other_programs_are_refused(tmp_path):
    for name, data in FOREIGN.items():
        (tmp_path / "bad").write_bytes(data)
        with case(name):
            with pytest.raises(
                CheckpointError, match="bad was not written by OnlineLSTM"
            ) as caught:
                OnlineLSTM.load(tmp_path / "bad")
            assert caught.value.reason == "foreign"


def test_truncated_and_corrupted_files_are_refused_or_unchanged_in_meaning(tmp_path):
    data, bad = saved_in(tmp_path), tmp_path / "bad"
    expected = knowledge(OnlineLSTM.load(tmp_path / "good"))
    for length in range(0, len(data), 29):
        bad.write_bytes(data[:length])
        with case(length), pytest.raises(CheckpointError) as caught:
            OnlineLSTM.load(bad)
        assert caught.value.reason in ("damaged", "foreign")  # foreign: no header is left
    refused = 0
    places = range(0, len(data), 7)
    for place in places:
        bad.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        try:
            again = OnlineLSTM.load(bad)
        except CheckpointError:
            refused += 1
        else:
            assert knowledge(again) == expected
    assert refused > 0.9 * len(places)


def changed(data: bytes, change, fit: bool = True) -> bytes:
    """Return a file with a changed header or arrays, and a checksum that fits."""
    arrays = safetensors.numpy.load(data)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][KEY])
    change(header, arrays)
    if fit:
        header["arrays"] = {n: [str(a.dtype), list(a.shape)] for n, a in sorted(arrays.items())}
    header["crc32"] = checksum(header, arrays)
    return safetensors.numpy.save(arrays, {KEY: json.dumps(header)})


def setting(name, value):
    def change(header, arrays):
        header["engine"]["settings"][name] = header["model"][name] = value

    return change


def engine(name, value):
    return lambda header, arrays: header["engine"].__setitem__(name, value)


CHANGES = {
    "newer": (
        lambda h, a: h.__setitem__("format", FORMAT + 1),
        "format 5, expected 4; update carrousel",
    ),
    "another array": (lambda h, a: a.pop("hidden"), "contradicts itself"),
    "shape": (lambda h, a: a.__setitem__("y", a["y"][:, 1:].copy()), "contradicts itself: .*shape"),
    "not finite": (lambda h, a: a["output"].fill(np.nan), "contradicts itself: .*not finite"),
    "huge": (setting("cells", 4096), "contradicts itself: .* numbers are too few"),
    "many symbols": (
        lambda h, a: (setting("symbols", 2**24)(h, a), engine("reader", {"symbols": 2**24})(h, a)),
        "contradicts itself: .* numbers are too few",
    ),
    "many numbers": (engine("reader", {"numbers": 10**9}), "contradicts itself"),
    "columns": (engine("reader", {"features": [["a", 1], ["b", 1]]}), "contradicts itself: featu"),
    "no cells": (setting("cells", -1), "contradicts itself: cells is -1"),
    "unknown setting": (setting("evil", 1), "contradicts itself: .*evil"),
    "list": (setting("cells", [1]), "contradicts itself"),
    "unknown value": (setting("cells", {"eval": "1"}), "contradicts itself"),
    "task": (setting("task", "regression"), "contradicts itself"),
    "one only": (
        lambda h, a: h["model"].__setitem__("clip", 9.0),
        "its parameters differ from those of its state",
    ),
    "kernel": (engine("kernel", "other"), "it is of a kernel 'other', not 'native'"),
    "places": (
        lambda h, a: h["engine"]["keys"].__setitem__("places", [["k", 0], [None, 0]]),
        "contradicts itself: places",
    ),
    "a place too many": (
        lambda h, a: h["engine"]["keys"].__setitem__("places", [["k", 0], [None, 7]]),
        "contradicts itself: places",
    ),
    "streams": (lambda h, a: a["streams"].fill(77), "contradicts itself"),
    "no engine": (lambda h, a: h.pop("engine"), "contradicts itself"),
    "rows": (engine("rows", "many"), "contradicts itself"),
    "many classes": (engine("head", {"classes": 2**63}), "contradicts itself: names"),
    "a long range": (engine("head", {"classes": {"range": [0, 2**40, 1]}}), "more than"),
    "seed": (engine("seed", -4), "contradicts itself"),
}


def test_files_that_contradict_themselves_are_refused(tmp_path):
    good = saved_in(tmp_path)
    for name, (change, message) in CHANGES.items():
        (tmp_path / "bad").write_bytes(changed(good, change))
        with case(name):
            with pytest.raises(CheckpointError, match=message) as caught:
                OnlineLSTM.load(tmp_path / "bad")
            assert caught.value.reason == ("newer" if name == "newer" else "damaged")


WAITING = {"due": 0, "place": 1, "begun": 2, "row": 3, "target": 4, "weight": 5}


def test_damaged_targets_on_their_way_are_refused(tmp_path):
    """So are counts of rows and rows that were remembered, which have no other checks."""
    learner = OnlineLSTM(cells=2, streams=2, delay=3, random_state=1)
    learner.run(np.ones((6, 1)), np.arange(6.0), keys=list("ababab"))
    learner.predict_one([1.0], "a")
    learner.save(tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    spoilt = [-1, 2**70, 0.5, "1", None, [], {"a": 1}]
    wrong = [
        *(("waiting", 0, at, value) for at in (0, 1, 2, 3) for value in spoilt),
        *(("waiting", 0, WAITING["weight"], value) for value in (-1, "1", None, [1])),
        *(("waiting", 0, WAITING["target"], value) for value in ([], [1.0, 2.0], ["1"], 5)),
        *(("waiting", 0, WAITING["place"], value) for value in (2, 2**31)),
        *((name, 0, None, value) for name in ("rows", "begun") for value in spoilt),
        *((name, None, None, value) for name in ("rows", "begun") for value in ([], [1], 1, 2**70)),
        *(("remembered", 0, at, value) for at in (1, 2, 3) for value in spoilt),
    ]
    for name, first, second, value in wrong:

        def change(header, arrays, path=(name, first, second), value=value):
            engine, late = header["engine"], header["engine"]["late"]
            of = engine if path[0] == "remembered" else late
            *outer, last = (each for each in path if each is not None)
            for one in outer:
                of = of[one]
            of[last] = value

        (tmp_path / "bad").write_bytes(changed(good, change))
        with case(f"{name} {first} {second} {value}"), pytest.raises(CheckpointError):
            OnlineLSTM.load(tmp_path / "bad")


def test_names_of_targets_are_as_many_as_targets(tmp_path):
    learner = OnlineLSTM(cells=2, random_state=1)
    learner.step([1.0], {"u": 1.0, "v": 2.0})
    learner.save(tmp_path / "good")
    for names in (["u"], ["u", "u"], {"mapping": 1}, [1, 2, 3]):
        change = changed(
            (tmp_path / "good").read_bytes(), engine("head", {"values": 2, "names": names})
        )
        (tmp_path / "bad").write_bytes(change)
        with case(names), pytest.raises(CheckpointError):
            OnlineLSTM.load(tmp_path / "bad")


def test_a_header_that_is_changed_without_its_checksum_is_refused(tmp_path):
    (tmp_path / "same").write_bytes(changed(saved_in(tmp_path), lambda h, a: None))
    assert knowledge(OnlineLSTM.load(tmp_path / "same")) == knowledge(
        OnlineLSTM.load(tmp_path / "good")
    )
    stale = changed(saved_in(tmp_path), lambda h, a: a.pop("hidden"), fit=False)
    (tmp_path / "stale").write_bytes(stale)
    with pytest.raises(CheckpointError, match="damaged") as caught:
        OnlineLSTM.load(tmp_path / "stale")
    assert caught.value.reason == "damaged"
