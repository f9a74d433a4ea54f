"""Every cell of the compatibility matrix, and the page that shows them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from support.nn.compatibility import __main__ as matrix  # noqa: E402
from support.nn.compatibility.cases import MODES, Case  # noqa: E402

TRACED = ("compile", "inductor", "export")
COSTLY = ("long", "ddp", *TRACED)
"""Rows that take torch long, or longer than they are worth; the page tells when they were run."""


@cache
def measured() -> dict[str, Any]:
    return json.loads(matrix.MEASURED.read_text(encoding="utf-8"))


def cells(library: str) -> list[Any]:
    """All cells that have sense; those that do not work, as what is known to fail."""
    found = []
    for feature in matrix.FEATURES:
        for mode in MODES:
            if matrix.has_sense(library, feature, mode):
                why = matrix.KNOWN.get((feature, mode)) if library == "carrousel" else None
                marks = [pytest.mark.xfail(reason=why, strict=True)] if why else []
                found.append(pytest.param(feature, mode, marks=marks, id=f"{feature}-{mode}"))
    return found


@pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated")  # torch's own use of it
@pytest.mark.parametrize(("feature", "mode"), cells("carrousel"))
def test_ours(feature, mode):
    matrix.FEATURES[feature].run(Case("carrousel", MODES[mode]))


@pytest.mark.parametrize("feature", [name for name in matrix.FEATURES if name not in COSTLY])
def test_theirs_are_as_the_page_says(feature):
    if torch.__version__.partition("+")[0] != measured()["torch"]:
        pytest.skip(f"the page is about torch {measured()['torch']}")
    for mode in MODES:
        found = matrix.outcome("torch", feature, mode).partition(":")[0]
        said = measured()["outcomes"]["torch"][feature][mode].partition(":")[0]
        assert found == said, mode


def test_the_page_says_of_ours_what_the_tests_say():
    here = {
        feature: {
            mode: matrix.SENSELESS
            if not matrix.has_sense("carrousel", feature, mode)
            else "fails"
            if (feature, mode) in matrix.KNOWN
            else matrix.WORKS
            for mode in MODES
        }
        for feature in matrix.FEATURES
    }
    words = (matrix.WORKS, matrix.SENSELESS)
    said = {
        feature: {mode: word if word in words else "fails" for mode, word in row.items()}
        for feature, row in measured()["outcomes"]["carrousel"].items()
    }
    assert said == here


def test_figures_are_about_these_rows_and_columns():
    now = {
        "modes": {name: mode.title for name, mode in MODES.items()},
        "features": {name: feature.title for name, feature in matrix.FEATURES.items()},
        "known": {f"{feature} {mode}": why for (feature, mode), why in matrix.KNOWN.items()},
    }
    assert {name: measured()[name] for name in now} == now, (
        "run `PYTHONPATH=tests python -m support.nn.compatibility`"
    )
    assert list(measured()["features"]) == list(now["features"])
