from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel import shapes
from carrousel.checks import check_choice, check_int, check_number, suggestion
from carrousel.errors import CarrouselError, DataError, SettingError, UnknownNameError

BUILT_IN = {
    "ShapeError": ValueError,
    "DataError": ValueError,
    "SettingError": ValueError,
    "UnknownNameError": LookupError,
    "StoreError": OSError,
    "ClusterError": ConnectionError,
    "ClusterFailedError": ConnectionError,
    "MissingExtraError": ImportError,
    "DivergedError": ArithmeticError,
}
KINDS_OF_OURS = {"RowError": DataError}


def test_every_exception_has_one_root_and_a_built_in_relative():
    """Whoever catches ``ValueError`` need not know us; whoever knows us catches one class."""
    ours = {
        name: each
        for name, each in vars(shapes).items()
        if isinstance(each, type) and issubclass(each, Exception) and each is not CarrouselError
    }
    assert ours.keys() == BUILT_IN.keys() | KINDS_OF_OURS.keys()
    for name, each in ours.items():
        kind = KINDS_OF_OURS.get(name)
        assert each.__bases__ == ((kind,) if kind else (CarrouselError, BUILT_IN[name]))


def test_gates_are_in_torchs_order():
    assert shapes.GATE_ORDER == ("input", "forget", "cell", "output")


@given(st.integers(-(2**70), 2**70), st.integers(-5, 5), st.integers(6, 100))
def test_check_int_takes_exactly_its_range(value, minimum, maximum):
    if minimum <= value <= maximum:
        assert check_int("n", value, minimum=minimum, maximum=maximum) == value
    else:
        with pytest.raises(SettingError, match=f"n is {value}, .* from {minimum} to {maximum}"):
            check_int("n", value, minimum=minimum, maximum=maximum)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float64(1), "1", None, [1], 1j])
def test_check_int_takes_whole_numbers_only(value):
    with pytest.raises(SettingError, match=r"n is .* expected a whole number of at least 0"):
        check_int("n", value, minimum=0)


@pytest.mark.parametrize("kind", [int, np.int8, np.int64, np.uint16])
def test_check_int_returns_an_int_of_python(kind):
    assert type(check_int("n", kind(7), minimum=7)) is int


def test_check_int_refuses_what_does_not_fit_64_bits():
    with pytest.raises(SettingError):
        check_int("n", 2**63, minimum=0)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_check_number_takes_exactly_the_finite_ones_in_range(value):
    for bound in ({"above": 0.5}, {"least": 0.5}, {}):
        fits = np.isfinite(value) and (
            not bound or value > 0.5 or (value == 0.5 and "least" in bound)
        )
        if fits:
            assert check_number("rate", value, **bound) == value
        else:
            with pytest.raises(SettingError, match=r"rate is .*, expected a finite number"):
                check_number("rate", value, **bound)


@pytest.mark.parametrize("value", [True, "1.0", None, 1j, [1.0]])
def test_check_number_takes_numbers_only(value):
    with pytest.raises(SettingError, match="rate is"):
        check_number("rate", value)


@pytest.mark.parametrize("kind", [int, float, np.float32, np.int16])
def test_check_number_returns_a_float_of_python(kind):
    assert type(check_number("rate", kind(2))) is float


def test_check_number_names_its_bound():
    with pytest.raises(SettingError, match=r"finite number above 0\.0$"):
        check_number("rate", 0.0, above=0.0)
    with pytest.raises(SettingError, match=r"finite number of at least 0\.0$"):
        check_number("rate", -1.0, least=0.0)


@given(st.text() | st.none() | st.integers())
def test_check_choice_takes_exactly_its_names(value):
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
