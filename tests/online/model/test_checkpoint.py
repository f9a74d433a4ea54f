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
from carrousel.online.model.checkpoint import from_json, to_json
from support.online.cases import case
from support.online.models import KINDS, each, inside, knowledge, model, rows_of, saved_in, stream

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


def test_a_model_without_rows_is_saved_in(tmp_path):
    for learner in (OnlineLSTM(), OnlineLSTM(random_state=np.random.default_rng(5), cells=2)):
        learner.save(tmp_path / "fresh")
        again = OnlineLSTM.load(tmp_path / "fresh")
        X = np.random.default_rng(0).normal(size=(5, 2))
        np.testing.assert_array_equal(again.run(X, X[:, 0]), learner.run(X, X[:, 0]))


def test_changed_parameters_are_saved_in(tmp_path):
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


def test_a_missing_file_or_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        OnlineLSTM.load(tmp_path / "nothing")
    with pytest.raises(UnwritableError, match="m cannot be written: No such file or directory"):
        OnlineLSTM().save(tmp_path / "nowhere" / "m")


def test_the_safetensors_package_reads_the_weights(tmp_path):
    saved_in(tmp_path)
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
    data = saved_in(tmp_path)
    (tmp_path / "part").write_bytes(data[:300])
    with pytest.raises(CheckpointError, match="part is cut short: 300 bytes, of which") as caught:
        OnlineLSTM.load(tmp_path / "part")
    assert caught.value.reason == "damaged"
