"""The compiled live series agrees with its float64 reference, and refuses wrong arguments."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import Recurrence
from carrousel.errors import SettingError
from carrousel.kernels import instruction_sets
from carrousel.kernels.native.live import open_live
from carrousel.kernels.native.sequence import open_step
from carrousel.kernels.reference.live import Live

pytestmark = pytest.mark.native


def make_features(rng, n=3, *, timed=False, symbols=0):
    return {
        "symbols": symbols,
        "channels": n,
        "mean": rng.normal(size=n) * 5,
        "scale": rng.uniform(0.1, 3.0, n),
        "timed": timed,
        "unit": 2.5,
    }


def make_net(rng, features, *, window=4, dilation=1, filters=9, H=6, outputs=5, layers=1, isa=""):
    """The arguments of a net, for the kernel and, with a step in float64, for the reference."""
    symbols = features["symbols"]
    width = 7 if symbols else 2 * features["channels"] + features["timed"]
    inner = filters + width if window else width

    def draw(*shape):
        return (rng.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)

    weights_of_filters, bias = draw(filters, max(window, 1) * width), draw(filters)
    arrays = {
        "readout": draw(outputs, 2 * H + inner),
        "readout_bias": draw(outputs),
        "embedding": draw(symbols + 1, width),
        "filters": weights_of_filters - weights_of_filters.mean(axis=0),
        "bias": bias - bias.mean(),
        "gain": 1 + draw(filters),
        "shift": draw(filters),
    }
    numbers = {"width": width, "window": window, "dilation": dilation}
    numbers |= {"outputs": outputs, "epsilon": 1e-5}
    none = dict.fromkeys(("unit", "w_hr", "ln_ih", "ln_hh", "ln_c", "fresh_h", "fresh_s"))
    weights = [
        {"w_ih": draw(4 * H, H if k else inner), "w_hh": draw(4 * H, H), "bias": draw(4 * H)}
        for k in range(layers)
    ]

    def step(dtype, isa=""):
        cast = [{name: w.astype(dtype) for name, w in one.items()} | none for one in weights]
        R = Recurrence("lstm", H)
        return open_step(R, dtype, cast, batch=1, inputs=inner, instruction_set=isa)

    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    return (
        arrays | numbers | {"step": step("float32", isa)},
        wide | numbers | {"step": step("float64")},
    )


def rows_of(rng, features, T=40):
    if features["symbols"]:
        return [(int(n), None) for n in rng.integers(-1, features["symbols"], T)]
    values = rng.normal(size=(T, features["channels"])) * 4
    values[rng.random(values.shape) < 0.3] = np.nan
    times = np.cumsum(rng.gamma(2.0, 2.0, T)) - 30.0
    times = [None if rng.random() < 0.2 else float(time) for time in times]
    # a step without a time is one unit later; the next time must be later still
    kept, last = [], -np.inf
    for row, time in zip(values, times, strict=True):
        last = last + features["unit"] if time is None else max(time, last + 0.1)
        kept.append((row, None if time is None else last))
    return kept[next(k for k, (_, time) in enumerate(kept) if time is not None) :]


CASES = (
    ({}, {}),
    ({"timed": True}, {"window": 0}),
    ({"timed": True}, {"window": 2, "dilation": 5, "filters": 33, "outputs": 17}),
    ({"n": 1}, {"window": 11, "filters": 16, "H": 16, "outputs": 1}),
    ({"n": 5}, {"dilation": 3, "filters": 20, "outputs": 12, "layers": 3}),
    ({"symbols": 4}, {}),
    ({"symbols": 1}, {"window": 0, "outputs": 2}),
)


@pytest.mark.parametrize("isa", instruction_sets())
def test_rows_agree_with_the_reference(isa):
    """Also in a second series, after a reset."""
    rng = np.random.default_rng(0)
    for given, sizes in CASES:
        for temperature in (0.0, 0.7):
            features = make_features(rng, **given)  # pyright: ignore[reportArgumentType]
            nets = [make_net(rng, features, isa=isa, **sizes) for _ in range(3)]
            ours = open_live(features, [net[0] for net in nets], temperature=temperature)
            reference = Live(features, [net[1] for net in nets], temperature=temperature)
            for _ in range(2):
                ours.reset()
                reference.reset()
                for row, time in rows_of(rng, features):
                    ours.push(row, time)
                    reference.push(row, time)
                    # float32 sums of up to 200 terms of size 1, through about 10 stages
                    np.testing.assert_allclose(ours.outputs, reference.outputs, atol=2e-5)
                    np.testing.assert_allclose(ours.answer, reference.answer, atol=2e-5)


def test_rows_of_either_precision_are_read():
    rng = np.random.default_rng(1)
    features = make_features(rng)
    ours = open_live(features, [make_net(rng, features)[0]], temperature=0.0)
    row = np.array([1.5, np.nan, -2.0])
    ours.push(row, None)
    expected = ours.outputs.copy()
    ours.reset()
    ours.push(row.astype(np.float32), None)
    np.testing.assert_array_equal(ours.outputs, expected)


def test_wrong_rows_are_refused_before_anything_changes():
    rng = np.random.default_rng(2)
    features = make_features(rng, timed=True)
    ours, other = (
        open_live(features, [make_net(np.random.default_rng(3), features)[0]], temperature=1.0)
        for _ in range(2)
    )
    good = rng.normal(size=3)
    ours.push(good, 1.0)
    other.push(good, 1.0)
    wide = np.zeros(6)
    for row, time, message in (
        ([1.0, 2.0, 3.0], 2.0, "not an array"),
        (np.arange(3), 2.0, "not an array"),
        (wide[::2], 2.0, "not an array"),
        (None, 2.0, "not an array"),
        (good[:2], 2.0, "expected 3 values"),
        (good[None], 2.0, "expected 3 values"),
        (np.array(1.0), 2.0, "expected 3 values"),
        (np.array([0.0, np.inf, 0.0]), 2.0, "infinite value in channel 1"),
        (good, 1.0, "expected a larger number"),
        (good, np.nan, "finite"),
        (good, "2", "not a number"),
    ):
        with pytest.raises(ValueError, match=message):
            ours.push(row, time)
    ours.push(good, 2.0)
    other.push(good, 2.0)
    np.testing.assert_array_equal(ours.outputs, other.outputs)


def test_wrong_symbols_are_refused():
    rng = np.random.default_rng(4)
    features = make_features(rng, symbols=3)
    ours = open_live(features, [make_net(rng, features)[0]], temperature=1.0)
    for row, message in ((3, "expected -1"), (-2, "expected -1"), ("a", "not the number")):
        with pytest.raises(ValueError, match=message):
            ours.push(row, None)


def test_wrong_descriptions_are_refused():
    rng = np.random.default_rng(5)
    features = make_features(rng)
    net, _ = make_net(rng, features)
    for where, name, value, message in (
        ("features", "scale", np.zeros(3), "scale holds 0"),
        ("features", "mean", np.full(3, np.nan), "mean holds a number that is not finite"),
        ("features", "mean", np.zeros(2), "mean"),
        ("features", "unit", 0.0, "unit is 0"),
        ("features", "unit", np.inf, "unit is inf"),
        ("net", "epsilon", np.nan, "epsilon is nan"),
        ("net", "epsilon", -1.0, "epsilon is -1"),
        ("features", "channels", -1, "channels is -1"),
        ("net", "width", 5, "there are 6 inputs"),
        ("net", "window", 0, "but the LSTM has 15 inputs"),
        ("net", "dilation", 0, "dilation is 0"),
        ("net", "dilation", 2**19, "dilation is 524288"),
        ("net", "window", 3, "filters"),
        ("net", "window", 2**40, "window"),
        ("net", "outputs", 0, "outputs 0"),
        ("net", "outputs", 4, "readout"),
        ("net", "readout", net["readout"].astype(np.float64), "readout"),  # pyright: ignore[reportAttributeAccessIssue]
        ("net", "gain", net["gain"][:-1], "gain"),  # pyright: ignore[reportIndexIssue]
    ):
        changed = {"features": features, "net": net}
        changed[where] = changed[where] | {name: value}
        with pytest.raises(SettingError, match=message):
            open_live(changed["features"], [changed["net"]], temperature=1.0)
    for nets, temperature, message in (
        ([], 1.0, "nets has 0"),
        ([net, net], 1.0, "given for two nets"),
        ([net], -1.0, "temperature"),
        ([net], np.nan, "temperature"),
    ):
        with pytest.raises(SettingError, match=message):
            open_live(features, nets, temperature=temperature)
