from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.checks import check_choice, check_int, check_number, suggestion
from carrousel.errors import SettingError, UnknownNameError
from support.case import case


@given(st.integers(-(2**70), 2**70), st.integers(-5, 5), st.integers(6, 100))
def test_check_int_accepts_exactly_its_range(value, minimum, maximum):
    if minimum <= value <= maximum:
        assert check_int("n", value, minimum=minimum, maximum=maximum) == value
    else:
        with pytest.raises(SettingError, match=f"n is {value}, .* from {minimum} to {maximum}"):
            check_int("n", value, minimum=minimum, maximum=maximum)


def test_check_int_accepts_whole_numbers_only():
    for value in (True, np.True_, 1.0, np.float64(1), "1", None, [1], 1j):
        with case(value), pytest.raises(SettingError) as caught:
            check_int("n", value, minimum=0)
        assert str(caught.value) == f"n is {value!r}, expected a whole number of at least 0"
        assert (caught.value.argument, caught.value.got is value) == ("n", True)


def test_check_int_returns_a_python_int():
    for kind in (int, np.int8, np.int64, np.uint16):
        assert type(check_int("n", kind(7), minimum=7)) is int, kind


def test_check_int_refuses_more_than_64_bits():
    with pytest.raises(SettingError):
        check_int("n", 2**63, minimum=0)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_check_number_accepts_exactly_finite_numbers_in_range(value):
    for bound in ({"above": 0.5}, {"least": 0.5}, {}):
        fits = np.isfinite(value) and (
            not bound or value > 0.5 or (value == 0.5 and "least" in bound)
        )
        if fits:
            assert check_number("rate", value, **bound) == value
        else:
            with pytest.raises(SettingError, match=r"rate is .*, expected a finite number"):
                check_number("rate", value, **bound)


def test_check_number_accepts_numbers_only():
    for value in (True, "1.0", None, 1j, [1.0]):
        with case(value), pytest.raises(SettingError, match="rate is") as caught:
            check_number("rate", value)
        assert caught.value.expected == "a finite number"


def test_check_number_returns_a_python_float():
    for kind in (int, float, np.float32, np.int16):
        assert type(check_number("rate", kind(2))) is float, kind


def test_check_number_names_its_bound():
    with pytest.raises(SettingError, match=r"finite number above 0\.0$"):
        check_number("rate", 0.0, above=0.0)
    with pytest.raises(SettingError, match=r"finite number of at least 0\.0$"):
        check_number("rate", -1.0, least=0.0)


def test_a_whole_number_beyond_all_floats_is_not_finite():
    with pytest.raises(SettingError, match="expected a finite number"):
        check_number("rate", 10**400, least=0.0)


@given(st.text() | st.none() | st.integers())
def test_check_choice_accepts_exactly_its_names(value):
    names = ("step", "sequence", "epoch")
    if value in names:
        assert check_choice("update", value, names) == value
    else:
        with pytest.raises(UnknownNameError, match=r"update .* is unknown; "):
            check_choice("update", value, iter(names))


def test_suggestions():
    assert suggestion("4_1", ["4-1", "5-2"]) == "did you mean '4-1'?"
    several = suggestion("2c", ["2c-1", "2c-2", "4-1"])
    assert sorted(several.removeprefix("did you mean ").rstrip("?").split(" or ")) == [
        "'2c-1'",
        "'2c-2'",
    ]
    assert suggestion("nonsense", ["a", "b"]) == "expected one of 'a', 'b'"
    many = suggestion("nonsense", [f"{n}" for n in range(100, 185)])
    assert many.endswith("'110', '111', or 73 others")
