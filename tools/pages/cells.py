"""The page ``docs/cells.md``: cells of the literature as equations, and their speed."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

from benchmarks.cells.gallery import GALLERY, Exhibit
from benchmarks.lanes.tables import number, ratio
from tools.pages.render import render

from carrousel.experiments.report.markdown import table


def cells_page(measured: Mapping[str, Any]) -> str:
    """Write the page from the gallery and the results of ``benchmarks/cells``."""
    machine, rows = measured["machine"], measured["rows"]
    cores = f"{machine['threads']} thread" + "s" * (machine["threads"] > 1)
    sizes = list(dict.fromkeys(tuple(row["size"]) for row in rows))
    return render(
        "cells.md",
        exhibits=[_exhibit(one) for one in GALLERY.values()],
        tables=[_table(rows, size) for size in sizes],
        summaries=[_summary(rows, size) for size in sizes],
        machine=", ".join(
            [machine["processor"], cores, *map(" ".join, machine["versions"].items())]
        ),
    )


def _exhibit(one: Exhibit) -> dict[str, str]:
    return {
        "title": one.title,
        "name": one.cell.name,
        "source": one.source,
        "remark": one.remark,
        "code": code(one),
    }


def code(one: Exhibit) -> str:
    """Return the expression that creates a cell, as it stands on the page.

    The test of the page executes it.
    """
    cell = one.cell
    given: dict[str, Any] = {
        "net_inputs": cell.net_inputs,
        "states": cell.kind.states,
        "unit_parameters": cell.unit_parameters,
        "scalars": cell.scalars,
        "initial": cell.initial,
    }
    texts = {name: repr(value).replace("'", '"') for name, value in given.items() if value}
    texts |= one.arguments
    lines = [f"nn.Equations({cell.name!r},".replace("'", '"')]
    lines += [f"    {name}={text}," for name, text in texts.items()]
    lines += ['    equations="""', textwrap.indent(cell.equations, " " * 8), '    """)']
    return "\n".join(lines)


def _table(rows: list[Mapping[str, Any]], size: tuple[int, ...]) -> str:
    heads = ["", "training, ms", "loop, ms", "times as fast", "inference, ms", "loop, ms"]
    heads += ["times as fast", "training by the LSTM's"]
    cells = []
    for row in rows:
        if tuple(row["size"]) == size:
            cells.append([GALLERY[row["cell"]].title, *_figures(row)])
    return table(heads, cells, "lr")


def _figures(row: Mapping[str, Any]) -> list[str]:
    figures = []
    for what in ("train", "infer"):
        ours, loop = (row[what][name]["median"] for name in ("ours", "loop"))
        figures += [number(ours), number(loop), f"**{ratio(loop / ours)}**"]
    return [*figures, f"{row['train']['ours']['median'] / row['train']['lstm']['median']:.2f}"]


def _summary(rows: list[Mapping[str, Any]], size: tuple[int, ...]) -> dict[str, str]:
    """Size, and the geometric mean and minimum of how many times as fast training is."""
    mine = [row["train"] for row in rows if tuple(row["size"]) == size]
    ratios = [one["loop"]["median"] / one["ours"]["median"] for one in mine]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    steps, batch, inputs, units = size
    return {
        "size": f"{steps} steps, {batch} sequence{'s' * (batch > 1)}, {inputs} inputs, "
        f"{units} units",
        "mean": ratio(mean),
        "least": ratio(min(ratios)),
    }
