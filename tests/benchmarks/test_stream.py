"""Benchmarks of streams: verification of contenders and baselines, and short runs."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from importlib import import_module

import numpy as np
import pytest

from carrousel.contracts.initial import initial_weights
from carrousel.kernels import ReferenceStream, open_stream

stream = import_module("benchmarks.stream.__main__")
contenders = import_module("benchmarks.stream.contenders")
texts = import_module("benchmarks.streams.text")
tables = import_module("benchmarks.streams.tables")
watches = import_module("benchmarks.streams.watch")
data = import_module("benchmarks.streams.data")
reber = import_module("benchmarks.streams.reber")


# --- one step ------------------------------------------------------------------------------------


def test_loops_of_torch_learn_like_the_reference():
    torch = pytest.importorskip("torch")
    net = contenders.network(3, 5)
    weights = 3 * initial_weights(net, np.random.default_rng(0)).astype(np.float64)
    x, t = stream.data(3, 60)
    t = 5 * t  # some errors are clipped
    want = contenders.kernel(ReferenceStream(net, contenders.STREAMING, weights))(x, t)
    for loop in (contenders.TorchAutograd, contenders.TorchByHand):
        with torch.enable_grad():
            have = loop(net, weights, torch.float64).take(x, t)
        # Sixty updates by Adam, in float64 on both sides.
        np.testing.assert_allclose(have, want, rtol=0, atol=1e-11, err_msg=loop.__name__)


def test_run_and_step_predict_the_same():
    from carrousel import OnlineLSTM

    x, t = stream.data(4, 50)
    many = contenders.online_run(OnlineLSTM("regression", cells=6, random_state=0))(x, t)
    each = contenders.online_step(OnlineLSTM("regression", cells=6, random_state=0))(x, t)
    np.testing.assert_array_equal(many, each)


def test_a_saved_part_replaces_only_itself(tmp_path):
    path = tmp_path / "figures.json"
    row = {"inputs": 4, "cells": 8, "us": 1}
    stream.keep(path, {"rows": [{**row, "us": 0}, {**row, "cells": 9}], "machine": 1})
    stream.keep(path, {"soak": 7, "machine": 2})
    stream.keep(path, {"rows": [row]})
    saved = json.loads(path.read_text("utf-8"))
    assert saved == {"rows": [row, {**row, "cells": 9}], "machine": 2, "soak": 7}


def test_a_short_soak_measures_the_process():
    soak = import_module("benchmarks.stream.soak")
    found = soak.soak(600, points=3)
    assert [row["steps"] for row in found["rows"]] == [600]
    assert found["rows"][0]["mib"] > 1
    assert 0 < found["rows"][0]["largest_weight"] < 100


def test_rows_for_the_command_line_can_be_read(tmp_path):
    import_module("benchmarks.stream.command").write_rows(tmp_path / "rows.csv", 25)
    lines = (tmp_path / "rows.csv").read_text("ascii").splitlines()
    assert lines[0] == "x0,x1,x2,x3,x4,x5,x6,x7,x8,x9,y"
    assert len(lines) == 26
    assert {len(line.split(",")) for line in lines} == {11}


# --- real streams --------------------------------------------------------------------------------


def counted(symbols: list[int], n_symbols: int, most: int) -> np.ndarray:
    """Compute the bits by counting, one character at a time."""
    counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    bits = np.zeros((most + 1, len(symbols)))
    padded = [n_symbols] * most + symbols
    for i, symbol in enumerate(symbols):
        contexts = [(k, *padded[most + i - k : most + i]) for k in range(most + 1)]
        p = 1 / n_symbols
        for k, context in enumerate(contexts):
            n, kinds = counts[context].total(), len(counts[context])
            p = (counts[context][symbol] + kinds * p) / (n + kinds) if n else p
            bits[k, i] = -math.log2(p)
        for context in contexts:
            counts[context][symbol] += 1
    return bits


def test_ngrams_count_only_earlier_characters():
    symbols = np.random.default_rng(0).integers(0, 5, 400) // 2
    found = np.stack([bits for _, bits in texts.ngrams(symbols, 3, 3)])
    np.testing.assert_allclose(found, counted(symbols.tolist(), 3, 3), rtol=1e-12)


def test_probabilities_of_ngrams_add_up_to_one():
    """Each symbol is tried as the last character; the probabilities add up at every order."""
    symbols = np.random.default_rng(1).integers(0, 4, 200)
    total = np.zeros(4)
    for symbol in range(4):
        tried = np.concatenate([symbols, [symbol]])
        total += [2 ** -bits[-1] for _, bits in texts.ngrams(tried, 4, 3)]
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


def test_the_size_of_a_call_does_not_change_the_result_on_a_text(monkeypatch):
    symbols = np.tile(np.arange(3), 60)
    text = data.Text(symbols, "abc", b"abc" * 60)
    how = {"cells": 3, "learning_rate": 0.05}
    whole = texts.net(text, 0, how)
    monkeypatch.setattr(texts, "CHUNK", 7)
    pieces = texts.net(text, 0, how)
    assert whole["whole"] == pytest.approx(pieces["whole"], rel=1e-12)
    assert whole["right"] == pieces["right"]
    assert whole["curve"][0] > 1 > 0.1 > whole["end"]  # it learned gradually
    assert texts.majority_wrong(symbols, 3) > 0.6


def test_area_under_the_curve_is_the_probability_of_the_right_order():
    rng = np.random.default_rng(2)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 9, 60)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert tables.area(labels, scores.astype(float)) == pytest.approx(np.mean(pairs))


def test_water_baselines_do_not_look_ahead():
    pytest.importorskip("river", reason="needs river")
    y = np.cumsum(np.random.default_rng(3).normal(size=60)) + 50
    table = data.Table(np.arange(60.0)[:, None] % 24, y, ("hour",))
    changed = table._replace(y=np.concatenate([y[:40], y[40:] + 7]))
    before, after = tables.water_baselines(table), tables.water_baselines(changed)
    for name, predicted in before.items():
        np.testing.assert_array_equal(predicted[:41], after[name][:41], err_msg=name)
    for by in (False, True):
        have, other = (tables.water_net(one, 0, by) for one in (table, changed))
        np.testing.assert_array_equal(have[:41], other[:41])
        assert not np.array_equal(have[41:], other[41:])


def test_rows_of_the_watch_have_the_requested_order():
    series = [np.full((n, 6), float(n)) for n in (103, 105, 104)]
    watch = data.Watch(series, np.array([0, 1, 0]), np.array([2, 1, 2]), ("a", "b"))
    learned, left_out = watches.split(watch, 1)
    assert (learned.tolist(), left_out.tolist()) == ([0, 2], [1])
    together = watches.rows(watch, learned, together=True)
    assert together.series.tolist() == [0, 2] * 103 + [2]
    assert watches.rows(watch, learned, together=False).series.tolist() == [0] * 103 + [2] * 104
    assert watches.last_label(together.y) == 206 / 207
    assert together.window.tolist() == [0, 20_000] * 100 + [1, 20_001] * 3 + [20_001]
    labelled = ~np.isnan(together.sparse_labels)
    assert together.moment[labelled].tolist() == [99, 99]
    figures = watches.net(watch, 1, 0, windows=True)
    assert figures["rows"] == 0.0  # the activity of this person was never learned


def test_means_of_the_watch_cover_past_rows_only():
    x = np.random.default_rng(4).normal(size=(250, 2))
    found = watches.with_rolling(x)
    for n in (0, 50, 99, 100, 249):
        part = x[max(n - 99, 0) : n + 1]
        want = np.concatenate([x[n], part.mean(axis=0), part.std(axis=0)])
        np.testing.assert_allclose(found[n], want, atol=1e-7)  # square roots of small differences


def test_pickles_with_other_objects_than_arrays_are_refused(tmp_path):
    import pickle

    path = tmp_path / "bad.pickle"
    path.write_bytes(pickle.dumps(print))
    with path.open("rb") as file, pytest.raises(pickle.UnpicklingError, match="not needed"):
        data._ArraysOnly(file).load()


def test_a_short_reber_trial_improves():
    for name, trial in reber.TRIALS.items():
        found = reber.run(reber.shortened(trial, 6000, 500), 0)
        assert len(found["curve"]) == reber.STRETCHES, name
        assert np.mean(found["curve"][-10:]) > np.mean(found["curve"][:2]), name
        assert 0 <= found["right_until"] < 500, name
        assert found["wrong"] > 0, name
        assert not found["solved"], name


def test_pairs_of_symbols_continue_from_call_to_call():
    def text():
        return reber.ContinualReber(np.random.default_rng(5))

    pairs, (symbols, legal) = reber.Pairs(text()), text().take(31)
    pieces = [pairs.take(n) for n in (10, 1, 19)]
    np.testing.assert_array_equal(np.concatenate([p[0] for p in pieces]), symbols[:-1])
    np.testing.assert_array_equal(np.concatenate([p[1] for p in pieces]), symbols[1:])
    np.testing.assert_array_equal(np.concatenate([p[2] for p in pieces]), legal[:-1])


def test_the_measured_kernel_is_the_native_one():
    net = contenders.network(2, 2)
    weights = initial_weights(net, np.random.default_rng(0))
    assert open_stream(net, contenders.STREAMING, weights).name == "native"
