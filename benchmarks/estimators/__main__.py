"""Benchmark of classifiers of series: whole series, the first part alone, and missing values.

    python -m benchmarks.estimators [--only SET] [--contender NAME] [--seeds N] [--jobs N]

The figures of a data set, a contender and a seed are saved as soon as they have been computed, by
default to ``benchmarks/results/estimators.json``. Saved figures are not computed again, unless
``--again`` names their contender or the data have changed. The first seed of all contenders and
data sets comes first, then the second. Several processes may work on the same file.
``python -m tools.pages`` makes ``docs/estimators_results.md`` from it.

``--set members=1`` adds ours with other settings under a separate name.

The data are files of packages, which are downloaded when they are first needed; see
``benchmarks/streams/real/packages.py``. Contenders whose package is not installed are skipped.
InceptionTime needs TensorFlow, in the environment that ``benchmarks/README.md`` describes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import machine
from benchmarks.common.options import setting
from benchmarks.common.results import RESULTS, load, update
from benchmarks.estimators.contenders.lineup import CONTENDERS, OURS, Contender
from benchmarks.estimators.contenders.ours import Ours
from benchmarks.estimators.measure import figures
from benchmarks.estimators.sets.catalogue import PROBLEMS

SAVED = RESULTS / "estimators.json"
SEEDS = 10
PACKAGES = ("aeon", "numba", "numpy", "scikit-learn", "scipy", "tensorflow-cpu", "torch")


class Unit(NamedTuple):
    """What one process computes without interruption."""

    problem: str
    name: str
    contender: Contender
    seed: int


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    lineup = dict(CONTENDERS)
    if options.set:
        label = ", ".join([OURS, *(f"{name}={value}" for name, value in options.set)])
        made = partial(Ours, settings=dict(options.set))
        lineup[label] = CONTENDERS[OURS]._replace(make=made)
        options.contender = [*options.contender, label]
    for asked, known in ((options.only, PROBLEMS), (options.contender + options.again, lineup)):
        wrong = [name for name in asked if name not in known]
        if wrong:
            print(f"unknown name {wrong[0]!r}; known are {', '.join(known)}", file=sys.stderr)
            return 2
    machine.one_thread_each()
    wanted = options.contender + options.again
    chosen = {name: one for name, one in lineup.items() if not wanted or name in wanted}
    for name, one in chosen.items():
        if one.missing:
            print(f"without {name}: {one.missing} is not installed", file=sys.stderr)
    path = Path(options.json) if options.json else SAVED
    ready = {name: one for name, one in chosen.items() if not one.missing}
    units = list(missing_units(ready, options.only or [*PROBLEMS], options, path))
    if options.jobs == 1:
        for unit in units:
            run(unit, path)
        return 0
    from joblib import Parallel, delayed

    Parallel(n_jobs=options.jobs)(delayed(run)(unit, path) for unit in units)
    return 0


def missing_units(
    lineup: Mapping[str, Contender], problems: list[str], options: argparse.Namespace, path: Path
) -> Iterator[Unit]:
    """Yield what is not saved yet, the first seed of everything first."""
    saved = load(path).get("sets", {})
    current = {
        name: PROBLEMS[name].facts()["fingerprint"] == saved.get(name, {}).get("fingerprint")
        for name in problems
    }
    for seed in range(options.seeds):
        for problem in problems:
            rows = saved[problem]["rows"] if current[problem] else {}
            for name, contender in lineup.items():
                if name in options.again or str(seed) not in rows.get(name, {}):
                    yield Unit(problem, name, contender, seed)


def run(unit: Unit, path: Path) -> None:
    """Compute and save the figures of one unit."""
    problem = PROBLEMS[unit.problem]
    found = figures(unit.contender.make, problem.split(unit.seed), unit.seed)
    keep(path, unit, problem.facts(), found)
    right = " ".join(
        f"{100 * value:.1f}" for part in ("cuts", "gaps") for value in found[part].values()
    )
    costs = f"{found['fit_seconds']:.1f} s, {found['kilobytes']:.0f} kB, {found['step_us']:.2f} us"
    print(f"{unit.problem}: {unit.name}, seed {unit.seed}: {right}; {costs}", flush=True)


def keep(path: Path, unit: Unit, facts: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Save the figures of one unit; figures of other data under the same name are dropped."""

    def change(saved: dict[str, Any]) -> None:
        saved["machine"] = machine.describe()
        saved.setdefault("packages", {}).update(machine.versions(PACKAGES))
        mine = saved.setdefault("sets", {}).setdefault(unit.problem, {})
        if mine.get("fingerprint") != facts["fingerprint"]:
            mine["rows"] = {}
        mine.update(facts)
        mine["rows"].setdefault(unit.name, {})[str(unit.seed)] = found
        saved["sets"] = {name: saved["sets"][name] for name in PROBLEMS if name in saved["sets"]}

    update(path, change)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--only", action="append", default=[], metavar="SET", help="one data set; repeat for more")
    add("--contender", action="append", default=[], metavar="NAME", help="one contender; repeat")
    add("--again", action="append", default=[], metavar="NAME", help="compute this one again")
    add("--set", action="append", default=[], type=setting, metavar="NAME=VALUE")
    add("--seeds", type=int, default=SEEDS, help="number of seeds (default: %(default)s)")
    add("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    add("--json", metavar="FILE", help=f"default: benchmarks/results/{SAVED.name}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
