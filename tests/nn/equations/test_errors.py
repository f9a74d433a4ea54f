"""Errors in equations: messages with line, place and fix."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.errors import CarrouselError, SettingError, UnknownNameError
from carrousel.nn.equations.equations import Equations
from carrousel.nn.equations.names import MAX_TEXT
from support.case import case

PARTS = {"net_inputs": ("z", "f"), "states": ("c",), "unit_parameters": ("p",)}
GOOD = "c = f * c_prev + p * z\nh = tanh(c)"


def failure(equations: str, **parts) -> CarrouselError:
    with pytest.raises(CarrouselError) as caught:
        Equations("wrong", equations=equations, **(PARTS | parts))
    return caught.value


ERRORS = {
    "unknown name": ("c = ff * c_prev", "line 1: 'ff' is unknown; did you mean", "ff"),
    "unknown part": ("c = f\nh = z_h * c", "line 2: 'z_h' is unknown; did you mean", "z_h"),
    "unknown function": ("c = tanhh(f)", "function 'tanhh' is unknown; did you mean", "tanhh"),
    "function of another library": ("c = clip(f)", "is unknown; write max(low, min(x,", "clip"),
    "caret": ("c = f ^ 2", "'^' is not an operator here; write powers as **", "f ^ 2"),
    "power of no positive number": ("c = (-2) ** f", "must be a positive number here", "-2"),
    "constant too early": ("c = f * pi\npi = c", "'pi' is only set later, in line 2", "pi"),
    "product inside": ("c = tanh(W @ f)", "the whole right side of a line that sets", "W @ f"),
    "matrix": ("f_r = (W @ W) @ z", "expected a matrix made of W, its transpose W.T", "W @ W"),
    "matrix of a name": ("f_r = f_x @ z", "expected a matrix made of W, its transpose", "f_x"),
    "undeclared state": ("c = f\nh = q_prev\nq = z", "is unknown; to keep 'q' for", "q_prev"),
    "matrix without product": ("f_r = W * z", "'W' is a matrix, expected left of @, as", "W"),
    "no weights": ("f_r = I @ z", "this matrix has no W; multiply by a number without @", "I"),
    "zero matrix": ("f_r = (0 * W) @ z", "expected a number other than zero as the factor", "0"),
    "net input too early": (
        "c = f\nf_r = W @ z",
        "'f' has no value yet; line 2 sets its part 'f_r'",
        "f",
    ),
    "product of a later vector": ("f_r = W @ f_x\nz_r = W @ u\nu = f", "only set later", "u"),
    "net input set before": ("f = p\nf_r = W @ z", "line 1 sets 'f' already; move it down", "f_r"),
    "state too early": ("c = f * c", "'c' has no value yet; its previous value is c_prev", "c"),
    "hidden too early": ("c = f * h", "'h' has no value yet; its previous value is h_p", "h"),
    "cycle": ("c = u * f\nu = c", "'u' is only set later, in line 2", "u"),
    "twice": ("c = f\nc = z", "line 2: 'c' is set twice, first in line 1; rename one", "c"),
    "state before": ("c_prev = f", "'c_prev' is an input of the step and cannot be set", "c_prev"),
    "part": ("z_x = f", "'z_x' is an input of the step and cannot be set", "z_x"),
    "unit parameter": ("p = f", "'p' is a unit parameter, which is learned", "p"),
    "function set": ("tanh = f", "'tanh' is a function and cannot be set", "tanh"),
    "underscore": ("_1 = f", "not a name of ASCII characters that starts with a letter", "_1"),
    "exponent": ("c = f ** 0.3", "exponents must be whole or half numbers", "0.3"),
    "power of a name": ("c = f ** z", "write exp(y * log(x))", "z"),
    "attribute": ("c = f.real", "not allowed in equations", "f.real"),
    "lambda": ("c = (lambda: f)()", "not allowed in equations", "(lambda: f)()"),
    "string": ("c = 'f'", "not allowed in equations", "'f'"),
    "truth": ("c = True", "not allowed in equations", "True"),
    "complex": ("c = 1j", "not allowed in equations", "1j"),
    "modulo": ("c = f % 2", "not allowed in equations", "f % 2"),
    "import": ("import os", "expected a line of the form `name = expression`", "import os"),
    "two targets": ("c = d = f", "expected a line of the form", "c = d = f"),
    "unpacking": ("c, d = f, z", "expected one name left of `=`", "c, d"),
    "augmented": ("c += f", "expected a line of the form `name = expression`", "c += f"),
    "comparison": ("c = f < z", "comparisons are only allowed in where(a < b, yes, no)", "f < z"),
    "python's if": (
        "c = f if z else p",
        "write conditions as where(a < b, yes, no)",
        "f if z else p",
    ),
    "where of two": ("c = where(f, z)", "expected where(a < b, yes, no)", "where(f, z)"),
    "chain": ("c = where(0 < f < 1, z, f)", "one comparison", "where(0 < f < 1, z, f)"),
    "is": ("c = where(f is z, z, f)", "expected one of the comparisons < <= > >= == !=", "f is z"),
    "too few": ("c = max(f)", "max takes two or more arguments, not 1", "max(f)"),
    "too many": ("c = tanh(f, z)", "tanh takes one argument, not 2", "tanh(f, z)"),
    "starred": ("c = tanh(*f)", "tanh takes one argument", "tanh(*f)"),
    "keyword": ("c = tanh(x=f)", "not allowed in equations", "tanh(x=f)"),
    "no value": ("c = log(-1) * f", "log of -1 is undefined", "log(-1)"),
    "over zero": ("c = f / 0", "reciprocal of 0 is undefined", "0"),
    "huge": ("c = 1e31 * f", "numbers must be below 1e+30", "1e31"),
    "huge power": ("c = 10 ** 40 * f", "the value is not below 1e+30", "10 ** 40"),
    "infinite": ("c = 1e999 * f", "numbers must be below 1e+30", "1e999"),
}


def test_errors_show_line_and_place():
    for name, (text, message, place) in ERRORS.items():
        with case(name, text):
            check_error(text, message, place)


def check_error(text: str, message: str, place: str):
    error = failure(text)
    assert error.source == "equations"
    assert error.line is not None
    kind = UnknownNameError if "is unknown" in message else SettingError
    assert type(error) is kind
    first, line, caret = str(error).split("\n")
    assert first.startswith("equations: line ")
    assert message in first
    start, length = len(caret) - len(caret.lstrip()), caret.count("^")
    assert line[start : start + length] == place


def test_errors_of_the_whole_text():
    for text, message in [
        ("h = z * f * p", "no line sets 'c', the new value of a state; add a line `c = ...`"),
        ("c = z * f * p", "no line sets 'h', the cell output"),
        ("", "the text is empty, expected lines like"),
        ("# nothing", "the text is empty"),
        ("c = (f", "line 1: cannot be read: '(' was never closed"),
        ("c = f\n  h = c", "line 2: cannot be read: unexpected indent"),
        ("c = f\0", "cannot be read"),
        ("c = z * p\nh = c", "'f' changes neither h nor a state"),
        ("c = f * z\nh = c", "'p' changes neither h nor a state"),
        ("c = z * p\nu = f\nh = c", "'f' changes neither h nor a state"),
        ("h = z" + " + z" * MAX_TEXT, "characters, expected at most"),
        ("h = " + "(" * 5000 + "z" + ")" * 5000, "cannot be read"),
        ("h = " + "-" * 5000 + "z", ""),
        ("c = f\n" + "\n".join(f"u{n} = tanh(z + {n})" for n in range(600)), "more than 500 calls"),
    ]:
        with case(text):
            error = failure(text)
            assert isinstance(error, SettingError)
            assert str(error).startswith("equations")
            assert message in str(error)


def test_caret_counts_characters_not_bytes():
    error = str(failure("c = f  # größer\nh = c * (z + gröszer)"))
    line, caret = error.split("\n")[1:]
    assert line[caret.index("^") : caret.rindex("^") + 1] == "gröszer"


def test_names_of_parts_are_checked():
    for parts, message in [
        ({"states": ("z",)}, "states has 'z', but 'z' is already a name of net_inputs"),
        ({"states": ("h",)}, "states has 'h', but 'h' is already the cell output"),
        ({"net_inputs": ("z", "z_x")}, "but 'z_x' is already a name of net_inputs"),
        ({"net_inputs": ("z", "f", "f")}, "net_inputs has 'f', but 'f' is already a name of net"),
        ({"net_inputs": ("max",)}, "'max' is already a function"),
        ({"net_inputs": ()}, "net_inputs is empty"),
        ({"net_inputs": "z"}, "net_inputs is 'z', expected a tuple of names"),
        ({"net_inputs": ("in",)}, "net_inputs has 'in', expected a name"),
        ({"net_inputs": ("2z",)}, "net_inputs has '2z', expected a name"),
        ({"net_inputs": (3,)}, "net_inputs has 3, expected a name"),
        ({"net_inputs": ("_z",)}, "net_inputs has '_z', expected a name"),
        ({"unit_parameters": ("größe",)}, "unit_parameters has 'größe', expected a name"),
        ({"states": [f"s{n}" for n in range(40)]}, "states has 40 names, expected up to 32"),
        ({"states": 3}, "states is 3, expected a tuple of names"),
    ]:
        with case(parts):
            error = failure(GOOD, **parts)
            assert message in str(error)
            assert error.argument in parts


def test_names_of_cells_are_checked():
    for name in ("", "a b", "a;b", "ü", "x" * 41, 3):
        with case(name), pytest.raises(SettingError, match="name is"):
            Equations(name, equations=GOOD, net_inputs=("z", "f"), states=("c",))  # pyright: ignore[reportArgumentType]


def test_equations_must_be_a_string():
    with pytest.raises(SettingError, match="equations is of type list, expected a string"):
        Equations("wrong", equations=["h = z"], net_inputs=("z",))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text("chzfp_prev=+-*/(),.0123456789<> \n'\"[]:;@\\é", max_size=40))
def test_any_text_is_accepted_or_raises_our_error(text: str):
    message = "equations"
    try:
        Equations("any", equations=text, net_inputs=("z",))
    except CarrouselError as error:
        message = str(error)
    assert message.startswith("equations")
