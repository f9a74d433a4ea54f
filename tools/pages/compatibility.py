"""Writes the compatibility matrix: what works in ``carrousel.nn``, and in ``torch.nn``."""

from __future__ import annotations

from typing import Any

SIGNS = {"works": "yes", "senseless": "–", "absent": "no such", "differs": "**wrong**"}  # noqa: RUF001

INTRODUCTION = """\
# Compatibility

What a recurrent module has to put up with, in every way it is used: `carrousel.nn` before the
stroke, `torch.nn` {torch} behind it, on the CPU. A cell compares values and gradients with those of
another way to the same result ([tests/support/nn/compatibility](../tests/support/nn/compatibility) lists the rows).
All of ours are tests, and so are PyTorch's but for slow rows, which run when this page is made.

{counted}

*yes*: works. *no*: raises an exception; what it says stands below. *no such*: there is nothing of
the kind to call. –: the cell has no meaning, or PyTorch has no such mode. On other devices PyTorch
runs other code, of which this page says nothing.
"""  # noqa: RUF001

CLOSING = """\
Rows that PyTorch's modules pass are here so that a drop-in can be seen to pass them too. Without
`fullgraph=True` a net that holds one compiles around it; `torch._dynamo.config.allow_rnn`, which is
off unless asked for, was left off.

`PYTHONPATH=tests python -m support.nn.compatibility` runs everything again; `python -m tools.pages` makes this page.
"""


def compatibility_page(measured: dict[str, Any]) -> str:
    """The page, from what ``tests/support/nn/compatibility/__main__.py`` measured."""
    parts = [
        INTRODUCTION.format(torch=measured["torch"], counted=_counted(measured)),
        _table(measured),
        "## What does not work here, and why\n",
        _known(measured),
        "## What PyTorch says\n",
        _said(measured, "torch"),
        CLOSING,
    ]
    return "\n".join(parts)


def _counted(measured: dict[str, Any]) -> str:
    ours, theirs = (
        [word for row in measured["outcomes"][library].values() for word in row.values()]
        for library in ("carrousel", "torch")
    )
    counts = []
    for words in (ours, theirs):
        tried = [word for word in words if word != "senseless"]
        counts.append(f"{tried.count('works')} of {len(tried)}")
    return f"Of the cells that have a meaning, {counts[0]} work here, and {counts[1]} in PyTorch."


def _table(measured: dict[str, Any]) -> str:
    modes = measured["modes"]
    rows = [["", *modes.values()], [":--", *[":-:"] * len(modes)]]
    for feature, title in measured["features"].items():
        cells = [
            " / ".join(
                SIGNS.get(measured["outcomes"][library][feature][mode], "no")
                for library in ("carrousel", "torch")
            )
            for mode in modes
        ]
        rows.append([title, *("–" if cell == "– / –" else cell for cell in cells)])  # noqa: RUF001
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _known(measured: dict[str, Any]) -> str:
    """Reasons, each with the cells it holds for."""
    cells: dict[str, list[str]] = {}
    for cell, why in measured["known"].items():
        feature, _, mode = cell.partition(" ")
        cells.setdefault(f"{measured['features'][feature]}|{why}", []).append(mode)
    lines = []
    for key, modes in cells.items():
        title, _, why = key.partition("|")
        where = "; ".join(measured["modes"][mode] for mode in modes)
        lines.append(f"- **{title}** ({where}): {why}.")
    return "\n".join(lines) + "\n"


def _said(measured: dict[str, Any], library: str) -> str:
    """Exceptions, by row; modes in which they say the same stand together."""
    lines = []
    for feature, row in measured["outcomes"][library].items():
        said: dict[str, list[str]] = {}
        for mode, word in row.items():
            if word not in SIGNS:
                said.setdefault(word, []).append(measured["modes"][mode])
        if said:
            lines.append(f"- **{measured['features'][feature]}**")
            lines += [f"  - {'; '.join(modes)}: `{word}`" for word, modes in said.items()]
    return "\n".join(lines) + "\n"
