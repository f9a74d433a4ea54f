"""Exceptions: their base classes, their fields, and the text made from the fields."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from carrousel import errors
from carrousel.errors import CarrouselError, DataError, DivergedError, RowError, SettingError
from support.case import case

BUILT_IN = {
    "ShapeError": ValueError,
    "DataError": ValueError,
    "SettingError": ValueError,
    "UnknownNameError": LookupError,
    "StoreError": OSError,
    "CheckpointError": ValueError,
    "UnwritableError": OSError,
    "ClusterError": ConnectionError,
    "ClusterFailedError": ConnectionError,
    "MissingExtraError": ImportError,
    "DivergedError": ArithmeticError,
}
SPECIAL_CASES = {
    "RowError": DataError,
    "DataTypeError": DataError,
    "InputError": errors.ShapeError,
    "OptionTypeError": SettingError,
    "OptionNameError": errors.UnknownNameError,
}
EVERY = [
    each
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, Exception) and name[0] != "_"
]


def test_every_exception_has_one_root_and_a_built_in_base_class():
    """``except ValueError`` works, and ``except CarrouselError`` catches all of them."""
    names = {each.__name__ for each in EVERY}
    assert names == BUILT_IN.keys() | SPECIAL_CASES.keys() | {"CarrouselError"}
    for each in EVERY:
        with case(each):
            assert issubclass(each, CarrouselError)
            assert issubclass(each, BUILT_IN.get(each.__name__, Exception))
            assert issubclass(each, SPECIAL_CASES.get(each.__name__, CarrouselError))


def test_a_text_is_composed_of_fields():
    error = SettingError(argument="rate", got=-1, expected="a number above 0", fix="raise {rate}")
    assert str(error) == "rate is -1, expected a number above 0; raise rate"
    option = "--{}".format
    assert error.text(argument=option) == "--rate is -1, expected a number above 0; raise --rate"
    assert error.text(fix=False) == "rate is -1, expected a number above 0"
    assert str(DataError("x is NaN", row=3, source="a.csv")) == "a.csv: row 3: x is NaN"
    assert str(DataError("x is NaN", row=3, line=9, column="x")) == "line 9, column 'x': x is NaN"
    assert DataError("x is NaN", row=3).text(place=False) == "x is NaN"
    assert str(SettingError(argument="rate")) == "rate is wrong"
    assert str(SettingError(argument="rate", got=None)) == "rate is None"


def test_braces_around_anything_but_a_name_stay():
    error = DataError("no", fix="say {a: 1}, {} or {unseen")
    assert error.text(argument=str.upper) == "no; say {a: 1}, {} or {unseen"


def test_recast_keeps_fields():
    outputs = np.ones((2, 1))
    error = DataError("x is NaN", argument="x", got=None, fix="clean it").recast(
        RowError, row=2, outputs=outputs
    )
    assert type(error) is RowError
    assert (error.argument, error.got, error.row) == ("x", None, 2)
    assert error.outputs is outputs
    assert str(error) == "row 2: x is NaN; clean it"
    again = error.recast(RowError, row=5)
    assert (again.row, again.outputs is outputs) == (5, True)


def test_exceptions_can_be_pickled_and_copied():
    for kind in EVERY:
        make: Any = kind  # as a class, its signature is that of OSError
        error = make("wrong", argument="rate", got=[1], row=3)
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            with case(kind):
                assert type(other) is kind
                assert vars(other) == vars(error)
                assert str(other) == str(error)
        unset = pickle.loads(pickle.dumps(kind("wrong")))
        with case(kind):
            assert unset.got is errors.UNSET
    with pytest.raises(ArithmeticError, match="row 1: gone"):
        raise pickle.loads(pickle.dumps(DivergedError("gone", row=1)))


def test_an_exception_is_shown_with_its_message():
    error = SettingError(argument="rate", got=0, expected="a number above 0")
    assert repr(error) == "SettingError('rate is 0, expected a number above 0')"


def test_values_that_cannot_be_pickled_are_replaced_by_their_text():
    error = SettingError(argument="rows", got=(n for n in range(3)), expected="a list")
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert str(again) == str(error)
        assert repr(again.got) == repr(error.got)


def test_a_fix_quotes_texts_only():
    for value, spelled in {
        "0.15": "0.15",
        "None": "None",
        "(1, 2)": "(1, 2)",
        "a b": "'a b'",
    }.items():
        with case(value):
            error = CarrouselError("wrong", fix=f"set {{early={value}}}")
            assert str(error) == f"wrong; set early={spelled}"
