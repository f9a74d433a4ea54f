"""Growth of a model: new features, categories, classes and symbols."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel import OnlineLSTM
from carrousel.contracts import Cell, Network, Streaming, StreamKernel
from carrousel.errors import DataError, RowError
from carrousel.kernels import open_stream
from carrousel.online.model.grow import grow_kernel, grow_state
from support.online.cases import case
from support.online.models import inside, knowledge

HEADS = ("linear", "logistic", "softmax")


def kernel(inputs: int, outputs: int, *kinds: Any, **given: Any) -> StreamKernel:
    wiring, head, optimizer = kinds or ("cells", "linear", "adam")
    cell = Cell(2, 2, forget_gate=True)
    network = Network(inputs, outputs, cell, wiring=wiring, bias="all")
    how = Streaming(head=head, optimizer=optimizer, scale_targets=head == "linear", **given)
    weights = np.random.default_rng(inputs * 10 + outputs).normal(0, 0.3, network.n_weights)
    scaled = None if how.symbols else np.ones(inputs, bool)
    return open_stream(network, how, weights, 3, scaled)


def taught(narrow, rng, rows=20):
    targets = {
        "linear": lambda: rng.normal(size=(rows, narrow.network.n_outputs)),
        "logistic": lambda: rng.integers(0, 2, (rows, narrow.network.n_outputs)).astype(float),
        "softmax": lambda: rng.integers(0, narrow.network.n_outputs, (rows, 1)).astype(float),
    }[narrow.streaming.head]()
    narrow.run(rng.integers(0, 2, rows), rng.normal(size=(rows, narrow.network.n_inputs)), targets)


def test_growth_keeps_the_outputs_while_new_inputs_are_zero():
    """New inputs have never varied, so they are standardised to zero."""
    kinds = itertools.product(("cells", "full"), HEADS, ("sgd", "rmsprop", "adam"))
    for wiring, head, optimizer in kinds:
        rng = np.random.default_rng(0)
        more = 0 if head == "logistic" else 2
        narrow, wide = (kernel(2 + n, 3 + min(n, more), wiring, head, optimizer) for n in (0, 3))
        taught(narrow, rng)
        grow_kernel(wide, narrow)
        for stream in (0, 1, 2):  # the last one has no rows yet
            for x in rng.normal(size=(5, 2)):
                found = wide.advance(stream, np.append(x, np.zeros(3)))[:3]
                found = found / found.sum() if head == "softmax" else found
                expected = narrow.advance(stream, x)
                with case(wiring, head, optimizer, stream):
                    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-6)


def test_growth_keeps_weights_gradients_and_means():
    rng = np.random.default_rng(1)
    narrow, wide = kernel(2, 2), kernel(3, 4)
    taught(narrow, rng)
    fresh = wide.state()
    grow_kernel(wide, narrow)
    old, new = narrow.state(), wide.state()
    kept = [0, 1, *range(3, new["hidden"].shape[1])]  # column 2 is the new input
    for name in ("hidden", "hidden_first", "hidden_second", "traces", "sources"):
        np.testing.assert_array_equal(new[name][..., kept], old[name])
    kept = [0, 1, *range(3, new["output"].shape[1])]
    for name in ("output", "output_first", "output_second"):
        np.testing.assert_array_equal(new[name][:2, kept], old[name])
        np.testing.assert_array_equal(new[name][2:], fresh[name][2:])
    np.testing.assert_array_equal(new["hidden"][:, 2], fresh["hidden"][:, 2])
    assert not new["hidden_second"][:, 2].any()
    assert not new["traces"][..., 2].any()
    assert not new["out"][:, 2:].any()
    for name in ("inputs", "targets"):
        np.testing.assert_array_equal(new[name][:2], old[name])
        assert not new[name][2:, 0].any()
    for name in ("y", "s", "h", "kept", "changes", "flags", "streams"):
        np.testing.assert_array_equal(new[name], old[name])


def test_growth_by_nothing_keeps_the_state():
    narrow, same = kernel(2, 2), kernel(2, 2)
    taught(narrow, np.random.default_rng(2))
    found = grow_state(narrow.state(), same.state(), narrow.network, same.network, 0)
    for name, array in narrow.state().items():
        np.testing.assert_array_equal(found[name], array)


def features(rng, n):
    """Draw rows with numbers and categories, some of them missing at times."""
    rows = []
    for i in range(n):
        row = {"a": rng.normal(), "b": float(rng.integers(0, 9))}
        if i > n // 3:
            row["late"] = rng.normal(50.0, 9.0)
        row["word"] = str(rng.choice(["x", "y", "z"][: 1 + 3 * i // n]))
        rows.append({k: v for k, v in row.items() if rng.random() > 0.2} or {"a": 0.0})
    return rows


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_new_features_categories_and_classes_are_added_in_any_row(task):
    rng = np.random.default_rng(3)
    rows = features(rng, 90)
    labels = [["u", "v", "w"][min(i // 30, int(rng.integers(0, 3)))] for i in range(90)]
    y = {
        "regression": rng.normal(size=90).tolist(),
        "binary": (rng.normal(size=90) > 0).tolist(),
        "multiclass": labels,
    }[task]
    given = {"missing": "mean", "unseen": "grow", "cells": 4, "random_state": 2}
    whole, steps, ahead = (OnlineLSTM(task, **given) for _ in range(3))
    found = whole.run(rows, y)
    for x, t, expected in zip(rows, y, found, strict=True):
        assert ahead.predict_one(x) == expected  # what is new in x does not count yet
        ahead.learn_one(x, t)
        assert steps.step(x, t) == expected
    assert knowledge(whole) == knowledge(steps) == knowledge(ahead)
    assert sorted(whole.feature_names_in_) == ["a", "b", "late", "word"]
    assert inside(whole).features.n_columns == 3 + 3
    if task == "multiclass":
        assert whole.classes_.tolist() == list(dict.fromkeys(labels))


def test_the_order_of_features_in_a_row_does_not_matter():
    rng = np.random.default_rng(4)
    rows = features(rng, 60)
    turned = [dict(reversed(row.items())) for row in rows]
    given = {"missing": "mean", "unseen": "grow", "cells": 3, "random_state": 2}
    found = [OnlineLSTM(**given).run(table, np.arange(60.0)) for table in (rows, turned)]
    np.testing.assert_array_equal(found[0], found[1])


def test_new_symbols_are_added():
    text = "abracadabra" * 120
    grown = OnlineLSTM("next", unseen="grow", cells=8, random_state=1)
    outputs = grown.run(text, proba=True)
    assert outputs.shape == (1320, 5)
    assert grown.classes_.tolist() == list("abrcd")
    for n, known in enumerate([1, 2, 3, 3, 4, 4]):  # at each of "abraca"
        assert np.count_nonzero(outputs[n]) == known
    np.testing.assert_allclose(outputs.sum(axis=1), 1.0, rtol=1e-12)
    assert np.mean(outputs[-50:-1].argmax(axis=1) == ["abrcd".index(c) for c in text[-49:]]) > 0.8
    learner = OnlineLSTM("next", symbols="ab", unseen="grow").partial_fit("ab")
    assert set(learner.predict_proba_one("z")) == set("abz")
    assert learner.run("z", proba=True).shape == (1, 3)


def test_a_class_that_was_not_declared_is_refused_or_added():
    X = np.zeros((3, 1))
    with pytest.raises(
        RowError, match="row 2: target y is 'c', expected one of the declared"
    ) as caught:
        OnlineLSTM("multiclass", classes="ab").run(X, ["a", "b", "c"])
    assert caught.value.row == 2
    learned = OnlineLSTM("multiclass", random_state=1)
    learned.run(X, ["a", "b", "c"])
    assert learned.classes_.tolist() == ["a", "b", "c"]
    both = OnlineLSTM("multiclass", classes="ab", unseen="grow").partial_fit(X, ["a", "b", "c"])
    assert both.classes_.tolist() == ["a", "b", "c"]


def test_without_growth_all_categories_of_the_first_table_are_known():
    table = {"a": [1.0, 2.0, 3.0], "c": ["y", "x", "y"]}
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    for X in (table, rows):
        learner = OnlineLSTM(cells=3, random_state=1)
        learner.run(X, np.ones(3))
        assert inside(learner).features.columns == {"a": 0, "c": {"y": 1, "x": 2}}
        with pytest.raises(DataError, match="column 'c': the category 'z' is new"):
            learner.predict_one({"a": 0.0, "c": "z"})
    with pytest.raises(DataError, match="column 'c': the category 'z' is new"):
        OnlineLSTM().partial_fit(rows, np.ones(3)).step({"a": 0.0, "c": "z"})


@given(names=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_growth_in_pieces_is_growth_as_a_whole(names):
    rows = [{name: float(n), f"word of {name}": name * (n % 3 + 1)} for n, name in enumerate(names)]
    given = {"missing": "mean", "unseen": "grow", "cells": 2, "random_state": 2}
    whole, pieces = OnlineLSTM(**given), OnlineLSTM(**given)
    whole.run(rows, np.arange(len(rows)))
    for n in range(0, len(rows), 7):
        pieces.run(rows[n : n + 7], np.arange(len(rows))[n : n + 7])
    assert knowledge(whole) == knowledge(pieces)


def test_a_refused_row_does_not_grow_the_model():
    learner = OnlineLSTM(unseen="grow", missing="mean", cells=3, random_state=1)
    learner.step({"a": 1.0}, 1.0)
    before = knowledge(learner)
    for x, y in (({"b": 1.0, "c": object()}, 1.0), ({"b": 1.0}, "one"), ({"b": float("inf")}, 1.0)):
        with pytest.raises(DataError):
            learner.step(x, y)
        with pytest.raises(RowError):
            learner.run([x], [y])
        assert knowledge(learner) == before
    unhashable: Any = ["k"]
    with pytest.raises(DataError, match="key is a list"):
        learner.step({"b": 1.0}, 1.0, key=unhashable)
    assert knowledge(learner) == before
