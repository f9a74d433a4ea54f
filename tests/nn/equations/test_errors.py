"""What is wrong with a user's equations is said with its line, its place and a way out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.errors import CarrouselError, SettingError, UnknownNameError
from carrousel.nn.equations.equations import Equations
from carrousel.nn.equations.names import MAX_TEXT

PARTS = {"net_inputs": ("z", "f"), "states": ("c",), "unit_parameters": ("p",)}
GOOD = "c = f * c_prev + p * z\nh = tanh(c)"


def failure(equations: str, **parts) -> CarrouselError:
    with pytest.raises(CarrouselError) as caught:
        Equations("wrong", equations=equations, **(PARTS | parts))
    return caught.value


FAULTS = {
    "unknown name": ("c = ff * c_prev", "line 1: 'ff' is unknown; did you mean", "ff"),
    "unknown part": ("c = f\nh = z_h * c", "line 2: 'z_h' is unknown; did you mean", "z_h"),
    "unknown function": ("c = tanhh(f)", "function 'tanhh' is unknown; did you mean", "tanhh"),
    "state too early": ("c = f * c", "'c' has no value yet; at the step before it had c_prev", "c"),
    "hidden too early": ("c = f * h", "'h' has no value yet; at the step before it had h_p", "h"),
    "cycle": ("c = u * f\nu = c", "'u' is set in line 2, not before; lines count from top", "u"),
    "twice": ("c = f\nc = z", "line 2: 'c' is set twice, first in line 1; rename one", "c"),
    "state before": ("c_prev = f", "'c_prev' is given to the step and cannot be set", "c_prev"),
    "part": ("z_x = f", "'z_x' is given to the step and cannot be set", "z_x"),
    "unit parameter": ("p = f", "'p' is a unit parameter: it is learned", "p"),
    "function set": ("tanh = f", "'tanh' is a function and cannot be set", "tanh"),
    "underscore": ("_1 = f", "names are ASCII and start with a letter", "_1"),
    "exponent": ("c = f ** 0.3", "an exponent is a whole or half number", "0.3"),
    "power of a name": ("c = f ** z", "write exp(y * log(x))", "z"),
    "attribute": ("c = f.real", "not part of the language of equations", "f.real"),
    "lambda": ("c = (lambda: f)()", "not part of the language", "(lambda: f)()"),
    "string": ("c = 'f'", "not part of the language of equations", "'f'"),
    "truth": ("c = True", "not part of the language of equations", "True"),
    "complex": ("c = 1j", "not part of the language of equations", "1j"),
    "modulo": ("c = f % 2", "not part of the language of equations", "f % 2"),
    "import": ("import os", "expected a line of the form `name = expression`", "import os"),
    "two targets": ("c = d = f", "expected a line of the form", "c = d = f"),
    "unpacking": ("c, d = f, z", "expected one name left of `=`", "c, d"),
    "augmented": ("c += f", "expected a line of the form `name = expression`", "c += f"),
    "comparison": ("c = f < z", "belongs into where(a < b, yes, no)", "f < z"),
    "python's if": ("c = f if z else p", "written where(a < b, yes, no)", "f if z else p"),
    "where of two": ("c = where(f, z)", "expected where(a < b, yes, no)", "where(f, z)"),
    "chain": ("c = where(0 < f < 1, z, f)", "one comparison", "where(0 < f < 1, z, f)"),
    "is": ("c = where(f is z, z, f)", "expected one of < <= > >= == !=", "f is z"),
    "too few": ("c = max(f)", "max takes two or more arguments, not 1", "max(f)"),
    "too many": ("c = tanh(f, z)", "tanh takes one argument, not 2", "tanh(f, z)"),
    "starred": ("c = tanh(*f)", "tanh takes one argument", "tanh(*f)"),
    "keyword": ("c = tanh(x=f)", "not part of the language", "tanh(x=f)"),
    "no value": ("c = log(-1) * f", "log of -1 has no value", "log(-1)"),
    "over zero": ("c = f / 0", "reciprocal of 0 has no value", "0"),
    "huge": ("c = 1e31 * f", "numbers are below 1e+30", "1e31"),
    "huge power": ("c = 10 ** 40 * f", "has no value below 1e+30", "10 ** 40"),
    "infinite": ("c = 1e999 * f", "numbers are below 1e+30", "1e999"),
}


@pytest.mark.parametrize(("text", "message", "place"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_shown_in_its_place(text: str, message: str, place: str):
    error = failure(text)
    kind = UnknownNameError if "is unknown" in message else SettingError
    assert type(error) is kind
    first, line, caret = str(error).split("\n")
    assert first.startswith("equations, line ")
    assert message in first
    start, length = len(caret) - len(caret.lstrip()), caret.count("^")
    assert line[start : start + length] == place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h = z * f * p", "no line sets 'c', the new value of a state; add a line `c = ...`"),
        ("c = z * f * p", "no line sets 'h', the cell output"),
        ("", "there are none, expected lines like"),
        ("# nothing", "there are none"),
        ("c = (f", "line 1: cannot be read: '(' was never closed"),
        ("c = f\n  h = c", "line 2: cannot be read: unexpected indent"),
        ("c = f\0", "cannot be read"),
        ("c = z * p\nh = c", "'f' changes neither h nor a state"),
        ("c = f * z\nh = c", "'p' changes neither h nor a state"),
        ("c = z * p\nu = f\nh = c", "'f' changes neither h nor a state"),
        ("h = z" + " + z" * MAX_TEXT, "characters are too many equations"),
        ("h = " + "(" * 5000 + "z" + ")" * 5000, "cannot be read"),
        ("h = " + "-" * 5000 + "z", ""),
        ("c = f\n" + "\n".join(f"u{n} = tanh(z + {n})" for n in range(600)), "too many equations"),
    ],
)
def test_faults_of_the_whole(text: str, message: str):
    error = failure(text)
    assert isinstance(error, SettingError)
    assert message in str(error)


def test_a_caret_counts_letters_not_bytes():
    error = str(failure("c = f  # größer\nh = c * (z + gröszer)"))
    line, caret = error.split("\n")[1:]
    assert line[caret.index("^") : caret.rindex("^") + 1] == "gröszer"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"states": ("z",)}, "states has 'z', but 'z' is a name of net_inputs already"),
        ({"states": ("h",)}, "states has 'h', but 'h' is the cell output already"),
        ({"net_inputs": ("z", "z_x")}, "but 'z_x' is a name of net_inputs already"),
        ({"net_inputs": ("z", "f", "f")}, "net_inputs has 'f', but 'f' is a name of net_inputs"),
        ({"net_inputs": ("max",)}, "'max' is a function already"),
        ({"net_inputs": ()}, "net_inputs is empty"),
        ({"net_inputs": "z"}, "net_inputs is 'z', expected a tuple of names"),
        ({"net_inputs": ("in",)}, "net_inputs has 'in', expected a name"),
        ({"net_inputs": ("2z",)}, "net_inputs has '2z', expected a name"),
        ({"net_inputs": (3,)}, "net_inputs has 3, expected a name"),
        ({"net_inputs": ("_z",)}, "net_inputs has '_z', expected a name"),
        ({"unit_parameters": ("größe",)}, "unit_parameters has 'größe', expected a name"),
        ({"states": [f"s{n}" for n in range(40)]}, "states has 40 names, expected up to 32"),
        ({"states": 3}, "states is 3, expected a tuple of names"),
    ],
)
def test_names_of_parts_are_checked(parts: dict, message: str):
    assert message in str(failure(GOOD, **parts))


@pytest.mark.parametrize("name", ["", "a b", "a;b", "ü", "x" * 41, 3])
def test_names_of_cells_are_checked(name):
    with pytest.raises(SettingError, match="name is"):
        Equations(name, equations=GOOD, net_inputs=("z", "f"), states=("c",))


def test_equations_are_text():
    with pytest.raises(SettingError, match="equations are list, expected text"):
        Equations("wrong", equations=["h = z"], net_inputs=("z",))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text("chzfp_prev=+-*/(),.0123456789<> \n'\"[]:;@\\é", max_size=40))
def test_any_text_is_equations_or_an_error_of_ours(text: str):
    message = "equations"
    try:
        Equations("any", equations=text, net_inputs=("z",))
    except CarrouselError as error:
        message = str(error)
    assert message.startswith("equations")
