"""Files of online models: loaded models continue bit for bit, and other files are refused."""

from __future__ import annotations

import copy
import json
import os
import pickle

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carrousel import OnlineLSTM
from carrousel.errors import CheckpointError, DivergedError, SettingError, UnwritableError
from carrousel.files import checksum
from carrousel.online.model.checkpoint import FORMAT, KEY, from_json, to_json
from support.online.cases import case
from support.online.models import KINDS, each, inside, knowledge, model, rows_of, stream

ROWS = 40


def variants(data) -> dict:
    """Draw settings."""
    drawn = data.draw
    streams = drawn(st.integers(1, 3))
    return {
        "gradient": drawn(
            st.sampled_from(("truncated", "immediate", "rtrl", "sparse:2", "snap:1", "uoro"))
        ),
        "optimizer": drawn(st.sampled_from(("sgd", "rmsprop", "adam"))),
        "wiring": drawn(st.sampled_from(("cells", "full"))),
        "block_size": drawn(st.sampled_from((1, 2))),
        "forget_gate": drawn(st.booleans()),
        "standardise": drawn(st.booleans()),
        "horizon": drawn(st.none() | st.just(7.0)),
        "clip": drawn(st.none() | st.just(2.0)),
        "unseen": drawn(st.sampled_from(("error", "grow"))),
        "missing": drawn(st.sampled_from(("error", "mean"))),
        "streams": streams,
        "evict_after": drawn(st.none() | st.integers(1, 5)) if streams > 1 else None,
        "learning_rate": 0.005,
    }


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_loaded_or_copied_model_continues_exactly(data, tmp_path):
    kind = data.draw(st.sampled_from(KINDS))
    given = variants(data)
    at = data.draw(st.integers(0, ROWS - 1))
    if kind.startswith("named"):
        given["unseen"] = "grow"
    pending = (at > 0) & data.draw(st.booleans())  # a prediction without a target yet
    X, y = stream(kind, np.random.default_rng(0), ROWS)
    names = ["p", 1, ("q", 2.5), None, True]
    keys = [names[i] for i in np.random.default_rng(1).integers(0, 5, ROWS)]
    keys = keys if given["streams"] > 1 else None
    learner = model(kind, **given)
    if at:
        learner.run(*part(X, y, keys, 0, at))
    if pending and kind != "symbols/next":
        learner.step(each(rows_of(X, at, at + 1))[0], None, None if keys is None else keys[at])
    learner.save(tmp_path / "model")
    others = [
        OnlineLSTM.load(tmp_path / "model"),
        copy.deepcopy(learner),
        pickle.loads(pickle.dumps(learner)),
        learner.clone(include_attributes=True),
    ]
    expected = learner.run(*part(X, y, keys, at, ROWS))
    for other in others:
        np.testing.assert_array_equal(other.run(*part(X, y, keys, at, ROWS)), expected)
        assert knowledge(other) == knowledge(learner)
        assert repr(other) == repr(learner)
        assert other.keys == learner.keys
        assert other.n_steps_ == learner.n_steps_
        assert other.nbytes == learner.nbytes


def part(X, y, keys, a, b):
    return rows_of(X, a, b), None if y is None else y[a:b], None if keys is None else keys[a:b]


def test_a_model_without_rows_is_saved(tmp_path):
    for learner in (OnlineLSTM(), OnlineLSTM(random_state=np.random.default_rng(5), cells=2)):
        learner.save(tmp_path / "fresh")
        again = OnlineLSTM.load(tmp_path / "fresh")
        X = np.random.default_rng(0).normal(size=(5, 2))
        np.testing.assert_array_equal(again.run(X, X[:, 0]), learner.run(X, X[:, 0]))


def test_changed_parameters_are_saved(tmp_path):
    learner = OnlineLSTM("multiclass", cells=2, random_state=1)
    learner.partial_fit([[1.0], [2.0]], ["b", "a"], classes=["a", "b", "c"])
    learner.set_params(learning_rate=0.25)
    learner.save(tmp_path / "m")
    learner.clone(include_attributes=True).save(tmp_path / "clone")
    assert (tmp_path / "clone").read_bytes() == (tmp_path / "m").read_bytes()
    again = OnlineLSTM.load(tmp_path / "m")
    assert again.learning_rate == inside(again).kernel.rate == 0.25
    assert again.classes_.tolist() == ["a", "b", "c"]
    with pytest.raises(SettingError, match="the classes of the first call"):
        again.partial_fit([[1.0]], ["a"], classes=["a", "d"])
    learner.cells = 7
    with pytest.raises(SettingError, match=r"change learning_rate, .* evict_after by set_params"):
        learner.save(tmp_path / "m")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=3).map(tuple) | st.lists(inner, max_size=3),
        max_leaves=6,
    )
)
@settings(deadline=None)
def test_values_are_restored_with_their_types(value):
    again = from_json(json.loads(json.dumps(to_json("value", value))))
    assert again == value
    assert repr(again) == repr(value)


def test_values_that_a_file_cannot_hold_are_refused(tmp_path):
    day = frozenset({1})
    learner = OnlineLSTM(cells=2, streams=2, random_state=1)
    learner.step([1.0], 1.0, key=day)
    with pytest.raises(SettingError, match=r"key is frozenset\(\{1\}\), of type frozenset, which"):
        learner.save(tmp_path / "m")
    classes = OnlineLSTM("multiclass", cells=2, random_state=1)
    classes.step([1.0], day)
    with pytest.raises(SettingError, match=r"class is frozenset"):
        classes.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_diverged_model_does_not_replace_a_good_file(tmp_path):
    learner = OnlineLSTM(cells=2, random_state=1)
    learner.step([1.0], 1.0)
    learner.save(tmp_path / "m")
    good = (tmp_path / "m").read_bytes()
    inside(learner).kernel = Diverged(inside(learner).kernel)
    with pytest.raises(DivergedError, match="hidden of this model is not finite, so nothing was"):
        learner.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == good


class Diverged:
    """A kernel with an infinite weight."""

    def __init__(self, kernel):
        self._kernel = kernel

    def state(self):
        state = self._kernel.state()
        return {**state, "hidden": np.full_like(state["hidden"], np.inf)}

    def __getattr__(self, name):
        return getattr(self._kernel, name)


class Bomb:
    """An object that aborts the process if it is unpickled."""

    def __reduce__(self):
        return os.abort, ()


def saved(tmp_path) -> bytes:
    learner = OnlineLSTM("multiclass", cells=2, streams=2, unseen="grow", random_state=1)
    rows = [{"a": 1.0, "c": "x"}, {"a": 2.0, "c": "y"}]
    learner.run(rows, ["u", "v"], keys=["k", None])
    learner.save(tmp_path / "good")
    return (tmp_path / "good").read_bytes()


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
    data, bad = saved(tmp_path), tmp_path / "bad"
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
    good = saved(tmp_path)
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
    (tmp_path / "same").write_bytes(changed(saved(tmp_path), lambda h, a: None))
    assert knowledge(OnlineLSTM.load(tmp_path / "same")) == knowledge(
        OnlineLSTM.load(tmp_path / "good")
    )
    stale = changed(saved(tmp_path), lambda h, a: a.pop("hidden"), fit=False)
    (tmp_path / "stale").write_bytes(stale)
    with pytest.raises(CheckpointError, match="damaged") as caught:
        OnlineLSTM.load(tmp_path / "stale")
    assert caught.value.reason == "damaged"


def test_a_missing_file_or_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        OnlineLSTM.load(tmp_path / "nothing")
    with pytest.raises(UnwritableError, match="m cannot be written: No such file or directory"):
        OnlineLSTM().save(tmp_path / "nowhere" / "m")


def test_the_safetensors_package_reads_the_weights(tmp_path):
    saved(tmp_path)
    arrays = safetensors.numpy.load_file(tmp_path / "good")
    state = inside(OnlineLSTM.load(tmp_path / "good")).kernel.state()
    np.testing.assert_array_equal(arrays["hidden"], state["hidden"])


def test_a_path_that_is_no_file_is_refused_and_unchanged(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    model = OnlineLSTM(cells=2).partial_fit([[1.0]], [2.0])
    for name in (".", "", "/", "a\0b", str(tmp_path), f"{tmp_path}/pipe"):
        with case(name), pytest.raises(UnwritableError, match="cannot be written: it is"):
            model.save(name)
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "model")
    model = OnlineLSTM(cells=2).partial_fit([[1.0]], [2.0])
    for _ in range(2):  # the file is new, then replaced
        model.save(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert OnlineLSTM.load(tmp_path / "there" / "model").n_steps_ == 1


def test_folders_and_truncated_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        OnlineLSTM.load(tmp_path)
    data = saved(tmp_path)
    (tmp_path / "part").write_bytes(data[:300])
    with pytest.raises(CheckpointError, match="part is cut short: 300 bytes, of which") as caught:
        OnlineLSTM.load(tmp_path / "part")
    assert caught.value.reason == "damaged"
