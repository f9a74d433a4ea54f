"""Benchmarks of streams: baselines count right, contenders compute the same, the rest runs."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path

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
SAVED = Path(__file__).parents[2] / "docs"


# --- what a step costs ---------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["TorchAutograd", "TorchByHand"])
def test_loops_of_torch_learn_what_the_reference_learns(loop):
    torch = pytest.importorskip("torch")
    net = contenders.network(3, 5)
    weights = 3 * initial_weights(net, np.random.default_rng(0)).astype(np.float64)
    x, t = stream.data(3, 60)
    t = 5 * t  # some errors are clipped
    want = contenders.kernel(ReferenceStream(net, contenders.STREAMING, weights))(x, t)
    with torch.enable_grad():
        took = getattr(contenders, loop)(net, weights, torch.float64).take(x, t)
    # Sixty changes by Adam, in float64 on both sides.
    np.testing.assert_allclose(took, want, rtol=0, atol=1e-11)


def test_every_way_into_the_kernel_predicts_the_same():
    from carrousel import OnlineLSTM

    x, t = stream.data(4, 50)
    many = contenders.online_run(OnlineLSTM("regression", cells=6, random_state=0))(x, t)
    each = contenders.online_step(OnlineLSTM("regression", cells=6, random_state=0))(x, t)
    np.testing.assert_array_equal(many, each)


def test_a_part_replaces_its_own(tmp_path):
    path = tmp_path / "figures.json"
    row = {"inputs": 4, "cells": 8, "us": 1}
    stream.keep(path, {"rows": [{**row, "us": 0}, {**row, "cells": 9}], "machine": 1})
    stream.keep(path, {"soak": 7, "machine": 2})
    stream.keep(path, {"rows": [row]})
    saved = json.loads(path.read_text("utf-8"))
    assert saved == {"rows": [row, {**row, "cells": 9}], "machine": 2, "soak": 7}


def test_a_short_soak_tells_what_it_saw():
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
    """Bits by counting, one character at a time."""
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


def test_ngrams_count_what_came_before_and_nothing_else():
    symbols = np.random.default_rng(0).integers(0, 5, 400) // 2
    found = np.stack([bits for _, bits in texts.ngrams(symbols, 3, 3)])
    np.testing.assert_allclose(found, counted(symbols.tolist(), 3, 3), rtol=1e-12)


def test_probabilities_of_ngrams_add_up_to_one():
    """The last character is tried with each symbol: its probabilities add up at every order."""
    symbols = np.random.default_rng(1).integers(0, 4, 200)
    total = np.zeros(4)
    for symbol in range(4):
        tried = np.concatenate([symbols, [symbol]])
        total += [2 ** -bits[-1] for _, bits in texts.ngrams(tried, 4, 3)]
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


def test_the_net_reads_a_text_in_any_pieces(monkeypatch):
    symbols = np.tile(np.arange(3), 60)
    text = data.Text(symbols, "abc", b"abc" * 60)
    how = {"cells": 3, "learning_rate": 0.05}
    whole = texts.net(text, 0, how)
    monkeypatch.setattr(texts, "CHUNK", 7)
    pieces = texts.net(text, 0, how)
    assert whole["whole"] == pytest.approx(pieces["whole"], rel=1e-12)
    assert whole["right"] == pieces["right"]
    assert whole["curve"][0] > 1 > 0.1 > whole["end"]  # it learned, and not at once
    assert texts.majority_wrong(symbols, 3) > 0.6


def test_area_under_the_curve_is_the_chance_of_a_right_order():
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
    for name, said in before.items():
        np.testing.assert_array_equal(said[:41], after[name][:41], err_msg=name)
    for by in (False, True):
        said, other = (tables.water_net(one, 0, by) for one in (table, changed))
        np.testing.assert_array_equal(said[:41], other[:41])
        assert not np.array_equal(said[41:], other[41:])


def test_rows_of_the_watch_come_in_the_order_asked_for():
    series = [np.full((n, 6), float(n)) for n in (103, 105, 104)]
    watch = data.Watch(series, np.array([0, 1, 0]), np.array([2, 1, 2]), ("a", "b"))
    learned, left_out = watches.split(watch, 1)
    assert (learned.tolist(), left_out.tolist()) == ([0, 2], [1])
    together = watches.rows(watch, learned, together=True)
    assert together.series.tolist() == [0, 2] * 103 + [2]
    assert watches.rows(watch, learned, together=False).series.tolist() == [0] * 103 + [2] * 104
    assert watches.last_label(together.y) == 206 / 207
    assert together.window.tolist() == [0, 20_000] * 100 + [1, 20_001] * 3 + [20_001]
    told = ~np.isnan(together.sparse_labels)
    assert together.moment[told].tolist() == [99, 99]
    figures = watches.net(watch, 1, 0, windows=True)
    assert figures["rows"] == 0.0  # the other activity was never seen


def test_means_of_the_watch_are_of_the_past():
    x = np.random.default_rng(4).normal(size=(250, 2))
    found = watches.with_rolling(x)
    for n in (0, 50, 99, 100, 249):
        part = x[max(n - 99, 0) : n + 1]
        want = np.concatenate([x[n], part.mean(axis=0), part.std(axis=0)])
        np.testing.assert_allclose(found[n], want, atol=1e-7)  # roots of small differences


def test_pickles_of_anything_but_arrays_are_refused(tmp_path):
    import pickle

    path = tmp_path / "bad.pickle"
    path.write_bytes(pickle.dumps(print))
    with path.open("rb") as file, pytest.raises(pickle.UnpicklingError, match="not needed"):
        data._ArraysOnly(file).load()


@pytest.mark.parametrize("name", list(reber.TRIALS))
def test_a_short_reber_trial_learns_something(name):
    found = reber.run(reber.shortened(reber.TRIALS[name], 6000, 500), 0)
    assert len(found["curve"]) == reber.STRETCHES
    assert np.mean(found["curve"][-10:]) > np.mean(found["curve"][:2])
    assert 0 <= found["right_until"] < 500
    assert found["wrong"] > 0
    assert not found["solved"]


def test_pairs_of_symbols_go_on_from_piece_to_piece():
    def text():
        return reber.ContinualReber(np.random.default_rng(5))

    pairs, (symbols, legal) = reber.Pairs(text()), text().take(31)
    pieces = [pairs.take(n) for n in (10, 1, 19)]
    np.testing.assert_array_equal(np.concatenate([p[0] for p in pieces]), symbols[:-1])
    np.testing.assert_array_equal(np.concatenate([p[1] for p in pieces]), symbols[1:])
    np.testing.assert_array_equal(np.concatenate([p[2] for p in pieces]), legal[:-1])


def test_the_native_kernel_is_the_one_that_is_measured():
    net = contenders.network(2, 2)
    weights = initial_weights(net, np.random.default_rng(0))
    assert open_stream(net, contenders.STREAMING, weights).name == "native"


@pytest.mark.parametrize("name", ["stream", "streams"])
def test_what_was_saved_can_be_shown(name):
    saved = SAVED / f"{name}.json"
    if not saved.exists():
        pytest.skip("nothing has been measured yet")
    assert json.loads(saved.read_text("utf-8"))
