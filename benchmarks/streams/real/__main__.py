"""Benchmark of real streams: OnlineLSTM by its defaults beside naive rules and river's models.

    python -m benchmarks.streams.real [--only STREAM] [--contender NAME] [--again NAME]
    python -m benchmarks.streams.real --part PART [--only STREAM]

Each figure (a stream, a contender, a seed) is saved as soon as it has been computed, by default to
``benchmarks/results/real_streams.json``. Saved figures are not computed again, unless ``--again``
names their contender or the rows have changed. Several processes may work on the same file.
``python -m tools.pages`` makes ``docs/real_streams.md`` from it.

``--part`` computes, again, ``intervals``, ``regret``, ``leads`` or ``many_keys``; see the modules
of these names. They are saved to the same file.

``--made-up`` runs the streams of ``benchmarks.streams.made_up`` instead, on which the defaults of
``OnlineLSTM`` are chosen, and saves to the file of ``--json`` only (that of the page is
``benchmarks/results/made_up_streams.json``). ``--set cells=16`` adds a
contender with other settings. ``--compare`` prints the errors of a file divided by those of the
defaults, with their geometric mean over the streams.

The data are files of packages, which are downloaded when they are first needed; see
``benchmarks/streams/real/packages.py``. deep-river needs an environment with another version of
river; see ``benchmarks/streams/real/deep.py``. Contenders whose package is not installed are
skipped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import machine
from benchmarks.common.options import setting
from benchmarks.common.results import RESULTS, load, update
from benchmarks.streams import made_up
from benchmarks.streams.data import fingerprint
from benchmarks.streams.real import compare, ours, parts
from benchmarks.streams.real.lineup import Contender, contenders
from benchmarks.streams.real.loaders.catalogue import STREAMS
from benchmarks.streams.real.stream import MEASURES, START, Stream, scores

SAVED = RESULTS / "real_streams.json"
ELSEWHERE = "deep_river"
"""The package that has an environment of its own."""
PACKAGES = {"river": "river", ELSEWHERE: "deep-river"}
"""Packages of contenders, and their names in the registry."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    known = made_up.STREAMS if options.made_up else STREAMS
    wrong = [name for name in options.only if name not in known]
    if wrong:
        print(f"no stream {wrong[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    path = Path(options.json) if options.json else (None if options.made_up else SAVED)
    if options.compare:
        print(compare.table(load(path or SAVED), options.prefix))
        return 0
    machine.one_thread_each()
    if options.part:
        parts.run(options.part, options.only, path or SAVED)
        return 0
    for package in PACKAGES:
        if find_spec(package) is None:
            print(f"without {PACKAGES[package]}, which is not installed", file=sys.stderr)
    found: set[str] = set()
    for name in options.only or known:
        stream = known[name]()
        if options.rows:
            stream = stream.at(slice(0, options.rows))
        found |= _run(stream, options, path)
    wrong = [name for name in options.contender + options.again if name not in found]
    if wrong:
        print(f"no contender {wrong[0]!r}; there are {', '.join(sorted(found))}", file=sys.stderr)
    return 2 if wrong else 0


def _run(stream: Stream, options: argparse.Namespace, path: Path | None) -> set[str]:
    """Compute and save the figures of one stream that are missing; return all contenders."""
    facts, lineup = described(stream), contenders(stream)
    if options.set:
        label = "OnlineLSTM, " + ", ".join(f"{name}={value}" for name, value in options.set)
        made = ours.with_settings(dict(options.set))
        lineup[label] = Contender(made, ours.SEEDS, "carrousel")
    for name, seed, contender in _units(lineup, options):
        if name not in options.again and path and str(seed) in _held(path, facts).get(name, {}):
            continue
        began = time.process_time()
        figures = scores(stream, contender.predict(stream, seed))
        figures["seconds"] = time.process_time() - began
        shown = ", ".join(f"{key} {value:.5g}" for key, value in figures.items())
        print(f"{stream.name}: {name}, seed {seed}: {shown}", flush=True)
        if path:
            keep(path, facts, name, seed, figures, contender.package)
    return set(lineup)


def _held(path: Path, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the saved figures of a stream with the same rows."""
    saved = load(path).get("streams", {}).get(facts["name"], {})
    return saved["rows"] if saved.get("fingerprint") == facts["fingerprint"] else {}


def _units(
    lineup: Mapping[str, Contender], options: argparse.Namespace
) -> Iterator[tuple[str, int, Contender]]:
    """Yield the contenders that are asked for and installed, with each of their seeds."""
    wanted = options.contender + options.again
    for name, one in lineup.items():
        if (wanted and name not in wanted) or (one.package and find_spec(one.package) is None):
            continue
        for seed in range(options.seeds or one.seeds):
            yield name, seed, one


def described(stream: Stream) -> dict[str, Any]:
    """Describe a stream for the page."""
    parts = [np.asarray(column, str) for column in stream.columns.values()]
    return {
        "name": stream.name,
        "title": stream.title,
        "source": stream.source,
        "task": stream.task,
        "measure": MEASURES[stream.task],
        "unit": stream.unit,
        "rows_read": len(stream),
        "columns": list(stream.columns),
        "keys": None if stream.keys is None else len(stream.places),
        "time": stream.time is not None,
        "needs": sorted(stream.needs),
        "fingerprint": fingerprint(*parts, np.asarray(stream.y, str)),
    }


def keep(
    path: Path, facts: Mapping[str, Any], row: str, seed: int, figures: Any, package: str = ""
) -> None:
    """Save the figures of one seed of a contender, and the version of its package.

    Figures of other rows under the name of the stream are dropped.
    """

    def change(saved: dict[str, Any]) -> None:
        saved["start"] = START
        if package != ELSEWHERE or "machine" not in saved:
            saved["machine"] = machine.describe()
        if package in PACKAGES:
            saved.setdefault("packages", {})[PACKAGES[package]] = version(PACKAGES[package])
        mine = saved.setdefault("streams", {}).setdefault(facts["name"], {})
        if mine.get("fingerprint") != facts["fingerprint"]:
            mine["rows"] = {}
        mine.update(facts)
        mine["rows"].setdefault(row, {})[str(seed)] = figures
        saved["streams"] = dict(sorted(saved["streams"].items(), key=lambda one: _place(one[0])))

    update(path, change)


def _place(name: str) -> int:
    """Return the place of a stream on the page."""
    return [*STREAMS, *made_up.STREAMS].index(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--only", action="append", default=[], metavar="STREAM", help="one stream; repeat for more")
    add("--contender", action="append", default=[], metavar="NAME", help="one contender; repeat")
    add("--again", action="append", default=[], metavar="NAME", help="compute this one again")
    add("--set", action="append", default=[], type=setting, metavar="NAME=VALUE")
    add("--seeds", type=int, help="number of seeds (default: by contender)")
    add("--rows", type=int, help="only the first rows of each stream, to check that it runs")
    add("--made-up", action="store_true", help="the streams on which defaults are chosen")
    add("--compare", action="store_true", help="show saved figures as ratios, and compute nothing")
    add("--prefix", default="", help="with --compare: only contenders that start with this")
    add("--part", choices=list(parts.PARTS), help="further figures of OnlineLSTM")
    add("--json", metavar="FILE", help=f"default: benchmarks/results/{SAVED.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
