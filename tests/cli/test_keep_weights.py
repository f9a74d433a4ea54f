"""`carrousel reproduce --keep-weights`."""

from __future__ import annotations

import json

import pytest

from carrousel.cli.options import RunOptions
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.run import runner
from carrousel.experiments.store.store import Store


def test_the_option_is_repeated_in_the_command_that_continues():
    assert RunOptions(trials=2, keep_weights=True).words == ["--trials", "2", "--keep-weights"]
    assert RunOptions().words == []


@pytest.mark.parametrize("given", [True, False])
def test_the_option_reaches_the_runner(call, monkeypatch, given):
    seen = []

    def run_rows(rows, *, keep_weights=False, **_):
        seen.append(keep_weights)
        return [[] for _ in rows]

    monkeypatch.setattr(runner, "run_rows", run_rows)
    call("reproduce", "4-1", "--trials", 1, *(["--keep-weights"] if given else []))
    assert seen == [given]


def test_results_are_the_same_and_weights_are_in_the_store(call, tmp_path):
    found = []
    for name, option in (("a", []), ("b", ["--keep-weights"])):
        out = tmp_path / name
        words = ("2a", "--trials", 1, "--jobs", 1, "--out", out, "--json")
        [row] = json.loads(call("reproduce", *words, *option).out)
        found.append({k: v for k, v in row.items() if k != "seconds"})
    assert found[0] == found[1]
    with Store(tmp_path / "b", read_only=True) as store:
        kept = store.kept(EXPERIMENTS["2a"], seed=1997, index=0)
    assert kept is not None
    assert kept["weights"].shape == (10_504,)
