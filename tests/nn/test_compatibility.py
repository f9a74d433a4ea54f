"""The compatibility matrix: every cell works or is a known failure, and the page says so."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from support.case import case  # noqa: E402
from support.nn.compatibility import __main__ as matrix  # noqa: E402
from support.nn.compatibility.cases import MODES, Case  # noqa: E402
from support.nn.modules import torch_runs_in_bfloat16  # noqa: E402

TRACED = ("compile", "inductor", "export", "onnx", "tracer")
COSTLY = ("long", "ddp", "fully_shard", "fsdp", *TRACED)
"""Slow rows, which are not run for torch here; the page shows the version of torch they ran on."""
SOME = {"onnx": ("plain", "lengths"), "tracer": ("plain", "variant")}
"""Rows of which only some cells are run here; ``tests/nn/onnx`` exports the others together."""


@cache
def measured() -> dict[str, Any]:
    return json.loads(matrix.MEASURED.read_text(encoding="utf-8"))


def check_cell(feature: str, mode: str) -> None:
    """Run a cell of ours. A known failure that works is an error too: its entry is out of date."""
    run, tried = matrix.FEATURES[feature].run, Case("carrousel", MODES[mode])
    if (feature, mode) not in matrix.KNOWN:
        run(tried)
        return
    try:
        run(tried)
    except Exception:
        return
    raise AssertionError("works, but is listed in KNOWN: remove the entry")


@pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated")  # used by torch itself
@pytest.mark.parametrize("feature", matrix.FEATURES)
def test_ours(feature):
    failures = []
    for mode in SOME.get(feature, MODES):
        if matrix.applies("carrousel", feature, mode):
            try:
                with case(feature, mode):
                    check_cell(feature, mode)
            except Exception as failure:
                failures.append(failure)
    if failures:
        raise ExceptionGroup(f"cells of the row {feature!r}", failures)


@pytest.mark.parametrize("feature", [name for name in matrix.FEATURES if name not in COSTLY])
def test_torch_does_what_the_page_says(feature):
    if torch.__version__.partition("+")[0] != measured()["torch"]:
        pytest.skip(f"the page is about torch {measured()['torch']}")
    if feature == "autocast" and not torch_runs_in_bfloat16():
        pytest.skip("the page is about a processor on which torch's LSTM runs in bfloat16")
    for mode in MODES:
        found = matrix.outcome("torch", feature, mode).partition(":")[0]
        published = measured()["outcomes"]["torch"][feature][mode].partition(":")[0]
        assert found == published, mode


def test_page_agrees_with_the_tests_of_ours():
    here = {
        feature: {
            mode: matrix.NOT_APPLICABLE
            if not matrix.applies("carrousel", feature, mode)
            else "fails"
            if (feature, mode) in matrix.KNOWN
            else matrix.WORKS
            for mode in MODES
        }
        for feature in matrix.FEATURES
    }
    plain = (matrix.WORKS, matrix.NOT_APPLICABLE)
    published = {
        feature: {mode: outcome if outcome in plain else "fails" for mode, outcome in row.items()}
        for feature, row in measured()["outcomes"]["carrousel"].items()
    }
    assert published == here


def test_page_has_these_rows_and_columns():
    now = {
        "modes": {name: mode.title for name, mode in MODES.items()},
        "features": {name: feature.title for name, feature in matrix.FEATURES.items()},
        "known": {f"{feature} {mode}": why for (feature, mode), why in matrix.KNOWN.items()},
    }
    assert {name: measured()[name] for name in now} == now, (
        "run `PYTHONPATH=tests python -m support.nn.compatibility`"
    )
    assert list(measured()["features"]) == list(now["features"])
