"""Tables and literal text in Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

RULES: Mapping[str, Callable[[int], str]] = {
    "l": lambda width: ":" + "-" * (width - 1),
    "r": lambda width: "-" * (width - 1) + ":",
    "c": lambda width: ":" + "-" * (width - 2) + ":",
}
"""The cell below a heading, for a column aligned left, right or centred."""
PADDING: Mapping[str, Callable[[str, int], str]] = {"l": str.ljust, "r": str.rjust, "c": str.center}
NARROWEST = 3


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    align: str = "lr",
    *,
    padded: bool = False,
) -> str:
    """Write a Markdown table.

    Cells are Markdown already: pass text that may hold special characters through :func:`escaped`.

    Args:
        heads: one heading a column.
        rows: one cell a column.
        align: ``l``, ``r`` or ``c`` for each column. The last letter also holds for all columns
            after it.
        padded: pad the cells, so that the columns line up in a terminal.

    Raises:
        ValueError: a row has more or fewer cells than there are headings.

    >>> print(table(["row", "n"], [["1-1", "50"]]))
    | row | n |
    | :-- | --: |
    | 1-1 | 50 |
    """
    letters = align.ljust(len(heads), align[-1])[: len(heads)]
    lines = [list(heads), *map(list, rows)]
    for line in lines:
        if len(line) != len(heads):
            raise ValueError(f"a row has {len(line)} cells, expected {len(heads)}: {line}")
    widths = [NARROWEST] * len(heads)
    if padded:
        widths = [max(NARROWEST, *map(len, column)) for column in zip(*lines, strict=True)]
        lines = [
            [PADDING[x](cell, width) for x, cell, width in zip(letters, line, widths, strict=True)]
            for line in lines
        ]
    rule = [RULES[letter](width) for letter, width in zip(letters, widths, strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def escaped(text: str) -> str:
    """Escape the characters that Markdown would interpret.

    >>> print(escaped("input_gate_bias=[-1]"))
    input\\_gate\\_bias=\\[-1\\]
    """
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)
