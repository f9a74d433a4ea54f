"""Writes every generated part of the documentation from committed runs and measurements.

    python -m tools.pages [RUNS]

RUNS is a folder with a store of trials. ``docs/runs``, which is taken if none is named, holds a
real run (``carrousel reproduce --all --out docs/runs``) and studies of the rows' settings, merged
by ``tools/compact.py``. ``docs/speed.json`` is what ``make bench ARGS='--save docs/speed.json'``
measured; ``docs/gradients.json`` and ``docs/far.json`` what ``benchmarks/learn/gradients.py`` and
``benchmarks/learn/far.py`` did, with ``--save`` and that name; ``docs/compatibility.json`` what
``tests/support/nn/compatibility/__main__.py`` saw; ``docs/step.json``, ``docs/stream.json`` and ``docs/streams.json``
what ``benchmarks/step``, ``benchmarks/stream`` and ``benchmarks/streams`` measured. From
them come ``docs/results.md``, ``docs/rivals.md``, ``docs/compatibility.md``, ``docs/step.md``,
``docs/stream.md``, ``docs/streams.md`` and its pictures, all of ``docs/reproduction`` and the three
tables of ``README.md``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tools.pages.compatibility import compatibility_page
from tools.pages.reproduction.page import reproduction_pages, verdict_of
from tools.pages.rivals import figures, rivals_in_short, rivals_page, table
from tools.pages.step import step_page
from tools.pages.stream import stream_page
from tools.pages.streams.page import streams_page

from carrousel import words
from carrousel.errors import CarrouselError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.report.collect import Report, collect
from carrousel.experiments.report.table import markdown
from carrousel.experiments.store.store import Store

ROOT = Path(__file__).parents[2]
UNDISTURBED = 0.95
"""Share of the time that a contender must have held its core for the wall clock to be fair."""

RUNS, SPEED = ROOT / "docs" / "runs", ROOT / "docs" / "speed.json"
GRADIENTS = ROOT / "docs" / "gradients.json"
MEMORY = ROOT / "docs" / "far.json"
COMPATIBILITY = ROOT / "docs" / "compatibility.json"
STEP = ROOT / "docs" / "step.json"
STREAM, STREAMS = ROOT / "docs" / "stream.json", ROOT / "docs" / "streams.json"
REPRODUCTION = ROOT / "docs" / "reproduction"
"""A folder whose files are all generated."""


def results_table(report: Report) -> str:
    """Every LSTM row, and real data: ours beside the paper's."""
    entries = {entry.experiment.name: entry for entry in report.entries if entry.trials}
    rows = []
    for name, experiment in EXPERIMENTS.items():
        if "/" in name:
            continue
        ours, published = figures(entries, name), experiment.published
        rows.append(
            [
                name,
                experiment.title,
                *(ours[0], words.percent(published.success_percent)),
                *(ours[1], words.number(published.sequences)),
                words.number(experiment.budget),
                verdict_of(entries.get(name)),
            ]
        )
    heads = [
        "row",
        "task",
        "solved",
        "paper",
        "sequences to success",
        "paper",
        "given up after",
        "verdict",
    ]
    return table(heads, rows, text_columns=2)


def speed_table(measured: dict[str, Any]) -> str:
    """Nanoseconds per trial and time step on one core; of each contender, its fastest form."""
    rows = [row for row in measured["rows"] if row["processes"] == 1 and row["data"] == "drawn"]
    # Time on the wall, unless others used the core meanwhile: then time on the core.
    disturbed = any(row["held"] < UNDISTURBED for row in rows)
    rows = [row for row in rows if row["clock"] == ("processor" if disturbed else "wall")]
    fastest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["case"], row["contender"]
        best = fastest.get(key)
        if best is None or row["ns"]["median"] < best["ns"]["median"]:
            fastest[key] = row
    contenders = list(dict.fromkeys(contender for _, contender in fastest))
    cells = [
        [case, *(_speed(fastest.get((case, contender))) for contender in contenders)]
        for case in dict.fromkeys(case for case, _ in fastest)
    ]
    clock = "time on the core, which others used as well" if disturbed else "time on the wall"
    note = f"{measured['machine']['processor']}, one core; {clock}; in brackets: times ours."
    return f"{table(['net', *contenders], cells, text_columns=1)}\n\n{note}"


def _speed(row: dict[str, Any] | None) -> str:
    if row is None:
        return words.ABSENT
    figure = (
        f"{row['ns']['median']:,.3g}"
        if row["ns"]["median"] < 1000
        else (f"{round(row['ns']['median'], -2):,.0f}")
    )
    return figure if row["contender"] == "carrousel" else f"{figure} ({row['ratio']:.3g})"


def replaced(text: str, name: str, part: str) -> str:
    """Put ``part`` between the marks of ``name`` in a Markdown text."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"


def documents(runs: Path = RUNS) -> dict[Path, str]:
    """Every generated file, as it should be.

    Raises:
        MissingExtraError: matplotlib, which draws the pictures, is not installed.
    """
    measured = json.loads(SPEED.read_text(encoding="utf-8")) if SPEED.exists() else None
    with Store(runs, read_only=True) as store:
        report = without_variations(collect(store, EXPERIMENTS))
        memory = json.loads(MEMORY.read_text("utf-8")) if MEMORY.exists() else None
        machine = measured["machine"] if measured else None
        pages = reproduction_pages(store, report, machine, memory)
    readme = ROOT / "README.md"
    text = replaced(readme.read_text(encoding="utf-8"), "results", results_table(report))
    text = replaced(text, "rivals", rivals_in_short(report))
    gradients = json.loads(GRADIENTS.read_text("utf-8")) if GRADIENTS.exists() else None
    found = {
        ROOT / "docs" / "results.md": markdown(report),
        ROOT / "docs" / "rivals.md": rivals_page(report, gradients),
        ROOT / "docs" / "compatibility.md": compatibility_page(
            json.loads(COMPATIBILITY.read_text("utf-8"))
        ),
        ROOT / "docs" / "step.md": step_page(json.loads(STEP.read_text("utf-8"))),
    }
    if STREAM.exists():
        found[ROOT / "docs" / "stream.md"] = stream_page(json.loads(STREAM.read_text("utf-8")))
    if STREAMS.exists():
        real = streams_page(json.loads(STREAMS.read_text("utf-8")))
        found |= {ROOT / "docs" / name: page for name, page in real.items()}
    if measured:
        text = replaced(text, "speed", speed_table(measured))
    reproduction = {REPRODUCTION / name: page for name, page in pages.items()}
    return {readme: text, **found, **reproduction}


def without_variations(report: Report) -> Report:
    """The report without a word on variations and recipes, whose names have a space."""
    kept = [line for line in report.left_out if re.search(r" of \S+ \(seed", line)]
    return replace(report, left_out=tuple(kept))


def main(arguments: list[str] | None = None) -> int:
    """Write what has changed, and remove what is no longer generated."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="?", default=RUNS, help="folder with a store")
    try:
        found = documents(parser.parse_args(arguments).runs)
    except CarrouselError as error:
        print(error, file=sys.stderr)
        return 2
    for path, text in found.items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    for path in sorted(REPRODUCTION.iterdir()):
        if path not in found:  # a picture of a row that has no trials any more
            path.unlink()
            print(f"removed: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
