"""Schema: changed data are refused, unchanged data pass, and JSON restores it."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.errors import CheckpointError, DataError, DataTypeError, ShapeError
from carrousel.estimators.data.containers import read_series
from carrousel.estimators.data.schema import Schema, SymbolWarning
from carrousel.estimators.data.series import Series
from support.case import case
from support.frames import ragged

names = st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True).map(tuple)
symbols = st.none() | st.lists(st.text(), unique=True).map(tuple) | st.just((1, 2, 5))


@given(st.builds(Schema, names, st.booleans(), symbols, st.booleans(), st.booleans()))
def test_json_restores_a_schema(schema):
    assert Schema.from_json(schema.to_json()) == schema


def test_damaged_json_is_refused():
    whole = Schema(("a",)).to_json()
    for text in (
        "",
        "[]",
        "{}",
        whole[:-1],
        whole.replace("named", "nam"),
        whole.replace('["a"]', "3"),
    ):
        with case(text), pytest.raises(CheckpointError, match="no schema"):
            Schema.from_json(text)


@given(ragged())
def test_training_series_pass(rows):
    series = read_series(rows)
    schema = Schema.of(series)
    schema.check(series)
    assert schema.gaps == bool(np.isnan(series.values).any())
    assert schema.n_channels == series.n_channels


def named(*channels: str) -> Series:
    return Series.of([np.zeros((2, len(channels)))], channels=channels, named=True)


def test_changed_channels_are_named():
    schema = Schema.of(named("a", "b"))
    schema.check(named("a", "b"))
    schema.check(replace(named("a", "b"), named=False, channels=("x0", "x1")))
    for series, message in (
        (named("a"), "Z has 1 channels, but the model was trained on 2: 'a', 'b'"),
        (named("b", "a"), "channel 0 of Z is 'b', but it was 'a' in training.*: a, b"),
        (named("a", "c"), "column 'c'.*not trained on; expected one of 'b'"),
    ):
        with pytest.raises(ShapeError, match=message):
            schema.check(series, "Z")


def test_times_and_kinds_do_not_change():
    plain, timed = named("a"), replace(named("a"), times=np.array([0.0, 1.5]))
    with pytest.raises(DataError, match=r"series 0 of X has no times"):
        Schema.of(timed).check(plain)
    with pytest.raises(DataError, match="without times"):
        Schema.of(plain).check(timed)
    with pytest.raises(DataTypeError, match="symbols, but the model was trained on values"):
        Schema.of(plain).check(read_series(["ab"]))


def test_unknown_symbols_are_counted():
    schema = Schema.of(read_series(["abc"]))
    with pytest.warns(SymbolWarning, match="3 symbols.*'x'"):
        schema.check(read_series(["axx", "y"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema.check(read_series(["ab"]))
        schema.check(read_series(["ax"], symbols=schema.symbols))
