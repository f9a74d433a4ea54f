"""Axes, colours, images, and the numbers that pictures show."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.inspection.pictures.colours import decades, heat, signed
from carrousel.inspection.pictures.curves import shared_axes, three_curves
from carrousel.inspection.pictures.errors import errors, pooled
from carrousel.inspection.pictures.figure import linear, logarithmic
from carrousel.inspection.pictures.findings import carrousel_curve, order_of, used_until
from carrousel.inspection.pictures.png import png
from carrousel.inspection.pictures.traces import traces
from support.inspection_reports import made, of_net


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_linear_ticks_lie_within_the_axis_and_are_few(low, width, whole):
    axis = linear("x", low, low + width, whole=whole)
    places = axis.place([tick.value for tick in axis.ticks])
    assert ((places > -0.02) & (places < 1.02)).all()
    assert len(axis.ticks) <= 10
    assert len({tick.text for tick in axis.ticks}) == len(axis.ticks) or width < 1e-3


@given(st.integers(-30, 10), st.integers(1, 40))
def test_logarithmic_ticks_are_powers_of_ten(first, decades):
    axis = logarithmic("y", 10.0**first, 10.0 ** (first + decades))
    assert 1 <= len(axis.ticks) <= 8
    powers = np.log10([tick.value for tick in axis.ticks])
    np.testing.assert_allclose(powers, np.round(powers), atol=1e-9)


def test_values_outside_an_axis_are_put_outside_and_nan_stays():
    axis = logarithmic("y", 1e-3, 1.0)
    found = axis.place([0.0, -1.0, np.inf, np.nan, 1e-3, 1.0])
    np.testing.assert_allclose(found, [-0.1, -0.1, 1.1, np.nan, 0.0, 1.0])


def test_colours_of_errors_become_lighter_with_the_error():
    light = heat(np.linspace(0, 1, 50))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > 0).all()
    assert heat(np.array([np.nan]))[0, 3] == 0.0
    np.testing.assert_allclose(signed(np.array([-1.0, 0.0, 1.0, np.nan]))[:, 3], [1, 0, 1, 0])
    assert decades(np.array([np.nan, 1.0]), 0.0).tolist() == [0.0, 0.0]


def test_images_have_their_colours():
    image = pytest.importorskip("matplotlib.image")
    rng = np.random.default_rng(0)
    for colours in (rng.random((5, 7, 4)), rng.integers(0, 2, (40, 30, 4)) * 1.0):
        found = image.imread(io.BytesIO(png(colours)), format="png")
        found = found if found.shape[-1] == 4 else np.dstack([found, np.ones(found.shape[:2])])
        np.testing.assert_allclose(found, colours, atol=0.5 / 255 + 1e-6)


def test_pooling_keeps_the_largest_value_of_either_sign():
    values = np.zeros((500, 2000))
    values[123, 456], values[400, 1900] = 2.0, -3.0
    found = pooled(values)
    assert found.shape == (160, 600)
    assert (found.max(), found.min()) == (2.0, -3.0)


def test_units_are_sorted_by_memory_and_then_by_error():
    report = of_net()
    lives = report.unit_memory[0].half_lives()[order_of(report, report.traces[0])]
    assert (np.diff(lives) <= 0).all()


def test_the_carrousel_is_below_the_reach_for_one_cell():
    """With one path of two, errors may cancel; with the forget gates alone they cannot grow."""
    found = carrousel_curve(of_net().reach[0])
    assert found is not None
    assert np.isnan(found[0])
    assert (np.diff(found[1:]) < 0).all()


def test_a_backward_part_is_shown_in_the_order_of_the_sequence():
    report = of_net("LSTM", bidirectional=True)
    assert [one.reverse for one in report.traces] == [False, True]
    shown = errors(report)
    assert shown is not None
    image = shown.panels[1].image
    assert image is not None
    light = image[..., :3].sum(axis=(0, 2))
    assert light.argmax() == len(light) - 1  # where the loss reads
    assert shown.panels[1].rules[0].at == len(light) - 1


def test_curves_fit_their_axes_and_used_memory_needs_a_rise():
    report = of_net()
    panel = three_curves(report).panels[0]
    for line in panel.lines:
        assert (panel.x.place(line.x) <= 1.0).all()
        assert (panel.y.place(line.y[line.y > 1e-4]) >= 0.0).all()
    worse = made()
    assert worse.used is not None
    worse.used.loss[:] = 0.05
    assert np.isnan(used_until(worse.used))
    assert [key.figure for key in three_curves(worse).keys if key.name == "Used memory"] == [
        "none: foreign history does not raise the loss"
    ]
    x, _ = shared_axes([made(T=5, lag=None), made(T=50, lag=None)])
    assert x.high == 49.0


def test_traces_show_the_inputs_of_the_net_on_top():
    shown = traces(of_net("GRU", num_layers=2))
    assert shown is not None
    assert shown.panels[0].title == "Inputs"
    np.testing.assert_array_equal(
        shown.panels[0].lines[1].y, of_net("GRU", num_layers=2).traces[0].x[:, 1]
    )
