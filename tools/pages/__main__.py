"""Writes every generated part of the documentation from committed runs and measurements.

    python -m tools.pages [RUNS]

RUNS is a folder with a store of trials, ``docs/runs`` by default. That store holds a real run
(``carrousel reproduce --all --out docs/runs``) and studies of the rows' settings, merged by
``tools/compact.py``. The measurements are in ``benchmarks/results``: benchmarks save theirs there,
``python -m support.nn.compatibility`` saves the compatibility matrix, ``make foreign`` saves the
results of other packages, and ``python -m tools.mechanisms`` saves why readings of rows fail or
work. The page of the public interface comes from docstrings.

The prose of the pages is in ``tools/pages/templates``; the modules here compute figures and tables.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tools.pages.api import api_page
from tools.pages.cells import cells_page
from tools.pages.compatibility import compatibility_page
from tools.pages.error_flow import error_flow_page
from tools.pages.estimators import estimators_page
from tools.pages.figures import entries_of, solved_and_sequences, verdict_label
from tools.pages.forecasts import forecasts_page
from tools.pages.foreign import foreign_page
from tools.pages.gradients import gradients_page
from tools.pages.inspection import inspection_page
from tools.pages.paper.page import paper_pages
from tools.pages.real_streams import real_streams_page
from tools.pages.reproduction.summary import reproduction_pages
from tools.pages.rivals import rivals_page, rivals_summary
from tools.pages.sequence import sequence_page
from tools.pages.speed import speed_page, speed_summary
from tools.pages.step import step_page
from tools.pages.stream import stream_page
from tools.pages.streams import streams_page
from tools.pages.vowels import vowels_page

from carrousel import words
from carrousel.errors import CarrouselError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.report.collect import Report, collect
from carrousel.experiments.report.markdown import table
from carrousel.experiments.report.table import markdown
from carrousel.experiments.store.store import Store

ROOT = Path(__file__).parents[2]
DOCS, README = ROOT / "docs", ROOT / "README.md"
RUNS, REPRODUCTION, PAPER = DOCS / "runs", DOCS / "reproduction", DOCS / "paper"
RESULTS = ROOT / "benchmarks" / "results"

MEASURED: Mapping[str, Callable[[Any], str]] = {
    "cells": cells_page,
    "compatibility": compatibility_page,
    "forecasts": forecasts_page,
    "foreign": foreign_page,
    "sequence": sequence_page,
    "speed": speed_page,
    "stream": stream_page,
    "vowels": vowels_page,
}
"""Pages that show a file of ``benchmarks/results`` with the same name."""


def documents(runs: Path = RUNS) -> dict[Path, str]:
    """Compute the text of every generated file.

    Raises:
        MissingExtraError: torch, matplotlib or jinja2 is not installed.
    """
    results = {path.stem: _read(path) for path in sorted(RESULTS.glob("*.json"))}
    machine = results["speed"]["machine"] if "speed" in results else None
    with Store(runs, read_only=True) as store:
        report = without_variations(collect(store, EXPERIMENTS))
        reproduction = reproduction_pages(
            store, report, machine, results.get("far"), results.get("mechanisms")
        )
        paper = paper_pages(
            store, report, machine, results.get("far"), results.get("mechanisms"), [*reproduction]
        )
    pages = {
        "results.md": markdown(report),
        "rivals.md": rivals_page(report, results.get("gradients")),
        "api.md": api_page(),
        **{f"{name}.md": page(results[name]) for name, page in MEASURED.items() if name in results},
        **(
            {"step.md": step_page(results["step"], results.get("calls"))}
            if "step" in results
            else {}
        ),
        **(streams_page(results["streams"]) if "streams" in results else {}),
        **(
            estimators_page(results["estimators"], results.get("larger", ()))
            if "estimators" in results
            else {}
        ),
        **(inspection_page(results["inspection"]) if "inspection" in results else {}),
        **(error_flow_page(results["error_flow"]) if "error_flow" in results else {}),
        **(gradients_page(results["stream_gradients"]) if "stream_gradients" in results else {}),
        **(
            real_streams_page(results["real_streams"], results.get("made_up_streams"))
            if "real_streams" in results
            else {}
        ),
    }
    return {
        README: readme(report, results.get("speed")),
        **{DOCS / name: text for name, text in pages.items()},
        **{REPRODUCTION / name: text for name, text in reproduction.items()},
        **{PAPER / name: text for name, text in paper.items()},
    }


def readme(report: Report, speed: Mapping[str, Any] | None) -> str:
    """Return the README with current tables."""
    text = README.read_text(encoding="utf-8")
    text = replaced(text, "results", results_summary(report))
    text = replaced(text, "rivals", rivals_summary(report))
    return replaced(text, "speed", speed_summary(speed)) if speed else text


def results_summary(report: Report) -> str:
    """Table of every LSTM row and of real data: our figures and the printed ones."""
    entries, rows = entries_of(report), []
    for name, experiment in EXPERIMENTS.items():
        if "/" in name:
            continue
        solved, sequences = solved_and_sequences(entries, name)
        published = experiment.published
        rows.append(
            [
                name,
                experiment.title,
                *(solved, words.percent(published.success_percent)),
                *(sequences, words.number(published.sequences)),
                words.number(experiment.budget),
                verdict_label(entries, name),
            ]
        )
    heads = ["row", "task", "solved", "paper", "sequences to success", "paper", "given up after"]
    return table([*heads, "verdict"], rows, "llr")


def replaced(text: str, name: str, part: str) -> str:
    """Replace the text between the two comments of ``name`` in a Markdown text."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"


def without_variations(report: Report) -> Report:
    """Drop notes about variations and recipes, whose names contain a space."""
    kept = [line for line in report.left_out if re.search(r" of \S+ \(seed", line)]
    return replace(report, left_out=tuple(kept))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Write changed files, and remove pictures that are no longer generated."""
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
        if path not in found:  # a picture of a row without trials
            path.unlink()
            print(f"removed: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
