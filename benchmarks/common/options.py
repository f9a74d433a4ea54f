"""Options that the command lines of several benchmarks share."""

from __future__ import annotations

import ast
from typing import Any


def setting(text: str) -> tuple[str, Any]:
    """Read ``name=value``; the value is a Python literal, or else a text.

    >>> setting("members=1"), setting("season=auto")
    (('members', 1), ('season', 'auto'))
    """
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
