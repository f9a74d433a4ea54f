"""Names in a user's equations, checks that they do not collide, and error messages."""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

from carrousel.checks import suggestion
from carrousel.errors import CarrouselError, SettingError, UnknownNameError

ONE_ARGUMENT = (
    "sigmoid",
    "tanh",
    "exp",
    "log",
    "softplus",
    "relu",
    "sqrt",
    "abs",
    "sin",
    "cos",
    "erf",
    "silu",
    "swish",
    "gelu",
    "softsign",
)
CALLS = (*ONE_ARGUMENT, "max", "min", "where")
"""Functions that equations may call."""

CONSTANTS = {"pi": math.pi, "e": math.e}
"""Numbers that equations may name, unless they give the name to something else."""

INSTEAD = {
    "sigma": "sigmoid(x)",
    "logistic": "sigmoid(x)",
    "square": "x**2",
    "pow": "x**2, or exp(y * log(x))",
    "maximum": "max(x, y)",
    "minimum": "min(x, y)",
    "clip": "max(low, min(x, high))",
    "clamp": "max(low, min(x, high))",
    "sign": "where(x < 0, -1, 1)",
    "step": "where(x < 0, 0, 1)",
    "heaviside": "where(x < 0, 0, 1)",
    "hardtanh": "max(-1, min(x, 1))",
    "hardsigmoid": "max(0, min(x / 6 + 0.5, 1))",
    "relu6": "max(0, min(x, 6))",
    "leaky_relu": "max(x, 0.01 * x)",
    "elu": "where(x > 0, x, exp(min(x, 0)) - 1)",
    "mish": "x * tanh(softplus(x))",
    "logsigmoid": "-softplus(-x)",
    "tanhshrink": "x - tanh(x)",
    "log2": "log(x) / log(2)",
    "log10": "log(x) / log(10)",
    "log1p": "log(1 + x)",
    "expm1": "exp(x) - 1",
    "exp2": "2**x",
    "tan": "sin(x) / cos(x)",
    "sinh": "(exp(x) - exp(-x)) / 2",
    "cosh": "(exp(x) + exp(-x)) / 2",
    "rsqrt": "1 / sqrt(x)",
    "reciprocal": "1 / x",
    "erfc": "1 - erf(x)",
}
"""Expressions for functions of other libraries that the language lacks."""

MAX_TEXT = 20_000
MAX_PARTS = 32
"""Limits: characters of the text; number of net inputs, of states and of unit parameters."""

Place = tuple[int, int, int | None]
"""Line from 1, first column from 0, column after the last (None: the end of the line)."""


def fail(
    message: str, text: str = "", place: Place | None = None, kind: str = "setting"
) -> CarrouselError:
    """Return the exception for an error in the equations; its message shows the place."""
    error = UnknownNameError if kind == "unknown" else SettingError
    if place is None:
        return error(message, source="equations")
    number, start, end = place
    lines = text.splitlines() or [""]
    # Columns of Python's parser count UTF-8 bytes and may lie beyond the end of the text.
    line = lines[min(number, len(lines)) - 1]
    start = len(line.encode()[:start].decode(errors="ignore"))
    end = len(line if end is None else line.encode()[:end].decode(errors="ignore"))
    caret = " " * start + "^" * max(end - start, 1)
    return error(f"{message}\n    {line}\n    {caret}", source="equations", line=number)


class Parts(NamedTuple):
    """Names of the parts of a cell, chosen by the user."""

    net_inputs: tuple[str, ...]
    states: tuple[str, ...]
    unit_parameters: tuple[str, ...]
    scalars: tuple[str, ...] = ()


class Names(Parts):
    """The parts of a cell and the names derived from them.

    >>> Names(("i", "z"), ("c",), ("p",)).inputs
    ('i_x', 'z_x', 'i_r', 'z_r', 'c_prev', 'h_prev', 'p')
    """

    functions = CALLS
    functions_listed = " ".join(CALLS)

    @property
    def learned(self) -> tuple[str, ...]:
        """Unit parameters and scalars, in the order of compiled code."""
        return (*self.unit_parameters, *self.scalars)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The inputs of a step, in the order of compiled code."""
        return (
            *(f"{name}_x" for name in self.net_inputs),
            *(f"{name}_r" for name in self.net_inputs),
            *(f"{name}_prev" for name in self.states),
            "h_prev",
            *self.learned,
        )

    def check(self) -> Names:
        """Return self, or raise ``SettingError`` for an invalid or ambiguous name."""
        owner = dict.fromkeys(CALLS, "a function")
        owner |= {"h": "the cell output", "h_prev": "the previous cell output"}
        for field, names in zip(self._fields, self, strict=True):
            if len(names) > MAX_PARTS:
                raise SettingError(
                    f"{field} has {len(names)} names, expected up to {MAX_PARTS}", argument=field
                )
            for name in names:
                self._check_one(field, name)
                endings = {"net_inputs": ("", "_x", "_r"), "states": ("", "_prev")}
                for each in (name + end for end in endings.get(field, ("",))):
                    if each in owner:
                        raise SettingError(
                            f"{field} has {name!r}, but {each!r} is already {owner[each]}",
                            argument=field,
                            got=name,
                            fix="choose another name",
                        )
                    owner[each] = f"a name of {field}"
        if not self.net_inputs:
            raise SettingError(
                "net_inputs is empty, expected one name or more, such as ('z',)",
                argument="net_inputs",
            )
        return self

    @staticmethod
    def _check_one(field: str, name: object) -> None:
        word = name if isinstance(name, str) and name.isascii() else ""
        if not word.isidentifier() or keyword.iskeyword(word) or word[0] == "_" or len(word) > 40:
            raise SettingError(
                f"{field} has {name!r}, expected a name of ASCII letters, digits and underscores, "
                "at most 40, that starts with a letter and is not a Python keyword",
                argument=field,
                got=name,
            )

    def check_target(self, name: str, failure: Callable[[str], Exception]) -> str:
        """Return the name that a line sets, or raise if it may not be set."""
        if name in CALLS:
            raise failure(f"{name!r} is a function and cannot be set")
        if name in self.learned:
            kind = "unit parameter" if name in self.unit_parameters else "scalar"
            raise failure(f"{name!r} is a {kind}, which is learned and cannot be set")
        if name in self.inputs and not self.of_recurrent_part(name):
            raise failure(f"{name!r} is an input of the step and cannot be set")
        if not name.isascii() or name.startswith("_"):
            raise failure(f"{name!r} is not a name of ASCII characters that starts with a letter")
        return name

    def of_recurrent_part(self, name: str) -> str:
        """Return the net input ``z`` of a name ``z_r``, or an empty string."""
        owner = name.removesuffix("_r")
        return owner if name.endswith("_r") and owner in self.net_inputs else ""

    def suggest(self, wrong: str, known: Iterable[str]) -> str:
        """Return a suggestion with the nearest known names."""
        return suggestion(wrong, known)

    def suggest_function(self, wrong: str) -> str:
        """Return a suggestion for an unknown function: an expression, or the nearest names."""
        if wrong in INSTEAD:
            return f"write {INSTEAD[wrong]}"
        return suggestion(wrong, self.functions)
