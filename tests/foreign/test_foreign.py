"""The comparison with other packages reports what differs, fails or is missing."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from benchmarks.common.results import RESULTS  # noqa: E402
from tools.pages.foreign import foreign_page  # noqa: E402

from carrousel import nn  # noqa: E402
from foreign.__main__ import exit_code, line  # noqa: E402
from foreign.check import Outcome, compare, difference  # noqa: E402
from foreign.data import Classifier, train  # noqa: E402
from foreign.registry import PACKAGES  # noqa: E402


def check(change: Any = lambda model, ours: model, **tolerances: float) -> Any:
    """A check like those of packages, with a change of the swapped model."""

    def run(ours: bool) -> Outcome:
        model = change(nn.replace(Classifier()) if ours else Classifier(), ours)
        return Outcome(model, {"losses": train(model, 20)})

    return SimpleNamespace(SWAP="", TOLERANCES=tolerances or {"losses": 1e-5}, run=run)


def test_equal_layers_hold():
    found = compare(check())
    assert found["holds"]
    assert found["layers"] == {"LSTM": 1}


def test_a_wrong_weight_is_found():
    def scaled(model: Any, ours: bool) -> Any:
        if ours:
            with torch.no_grad():
                model.rnn.weight_hh_l0.mul_(1.01)
        return model

    found = compare(check(scaled))
    assert not found["holds"]
    assert "losses" in line({"status": "differs", **found})


@pytest.mark.parametrize(
    "wrong",
    [
        check(lambda model, ours: nn.restore(model)),
        check(lambda model, ours: nn.replace(model)),
        check(others=1e-5),
        check(losses=1.0),
    ],
    ids=["not swapped", "swapped in torch's run", "no such value", "wrong weights pass"],
)
def test_a_check_that_compares_nothing_is_an_error(wrong):
    with pytest.raises(AssertionError):
        compare(wrong)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [([1.0], [1.0, 2.0]), ([1.0], [float("nan")]), ([0.0], [0.0])],
    ids=["sizes", "not finite", "zero"],
)
def test_values_that_cannot_be_compared_are_an_error(theirs, ours):
    with pytest.raises(AssertionError):
        difference(theirs, ours)


def test_differences_are_relative_and_of_texts_lines():
    assert difference([2.0, -4.0], [2.0, -3.0]) == 0.25
    assert difference([torch.ones(2), 3.0], [torch.ones(2), 3.0]) == 0
    assert difference("a\nb", "a\nc\nd") == 2


def test_exit_code():
    assert exit_code(["equal", "equal"]) == 0
    assert exit_code(["equal", "not installed"]) == 2
    assert exit_code(["not installed", "differs"]) == 1
    assert exit_code(["error"]) == 1


def saved() -> dict[str, Any]:
    return json.loads((RESULTS / "foreign.json").read_text(encoding="utf-8"))


def test_every_package_has_a_saved_outcome():
    assert list(saved()["packages"]) == list(PACKAGES), "run `make foreign`"


def test_page_shows_packages_that_failed():
    results = saved()
    name = next(iter(PACKAGES))
    versions = {name: "1", "torch": "2"}
    for outcome in (
        {"status": "not installed", "reason": "no such release"},
        {"status": "error", "reason": "no such layer", "versions": versions},
    ):
        results["packages"][name] = outcome
        page = foreign_page(results)
        assert f"**{outcome['status']}**" in page
        assert outcome["reason"] in page
