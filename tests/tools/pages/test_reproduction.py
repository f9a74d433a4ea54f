"""Pages of the rows, from made-up trials."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from tools.pages.__main__ import without_variations
from tools.pages.reproduction.summary import reproduction_pages

from carrousel.errors import MissingExtraError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.vary import varied
from carrousel.experiments.report.collect import collect
from carrousel.experiments.store.store import Store
from support.experiments import fakes

pytest.importorskip("jinja2", reason="needs the extra 'report'")


def put(store: Store, experiment, trials: int, solved: int, scale: int = 1000) -> None:
    """Store trials that take 1, 2, ... times ``scale`` sequences; the last ones fail."""
    for n in range(trials):
        failed = n >= solved
        ended = fakes.trial(
            n,
            experiment.name,
            ending="budget" if failed else "solved",
            sequences=experiment.budget if failed else scale * (n + 1),
            seconds=6.0,
            measures={"wrong": 0.5},
        )
        store.append(ended, experiment, instruction_set="none")


def pages(folder: Path) -> dict[str, str]:
    with Store(folder, read_only=True) as store:
        report = collect(store, EXPERIMENTS)
        return reproduction_pages(store, report, None)


def cells(page: str, start: str) -> list[list[str]]:
    """Find the rows of all tables whose first cell starts with ``start``."""
    lines = [line for line in page.splitlines() if line.startswith(f"| {start}")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_pages_without_any_trial_say_so(tmp_path):
    Store(tmp_path).close()
    found = pages(tmp_path)
    assert not [name for name in found if name.endswith(".svg")]
    assert f"Of {len(LSTM_ROWS)} rows: {len(LSTM_ROWS)} pending." in found["README.md"]
    for name, row in LSTM_ROWS.items():
        (home,) = (text for text in found.values() if f'<a id="row-{name}"></a>' in text)
        assert row.readings[0].field in home
    assert found["experiment-4.md"].count("No trial has ended yet.") == 3


def test_pages_show_what_the_store_holds(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    row = LSTM_ROWS["4-1"]
    quick = varied(row, {"budget": 60_000})
    with Store(tmp_path) as store:
        put(store, row, 10, 10)
        put(store, by_recipe(row, "modern"), 50, 48)
        put(store, by_recipe(LSTM_ROWS["3a-1"], "robust"), 50, 48)
        put(store, quick, 8, 8)
        for n in range(40):
            put(store, varied(quick, {"rate": 0.01 * (n + 1)}), 1, n % 2)
    found = pages(tmp_path)
    paper, recipes, principle, further = cells(found["README.md"], "[4-1]")
    [cost] = cells(found["README.md"], "4-1")
    assert paper[2].startswith("faster")
    assert paper[4:9] == ["100 %", "74,000", "10 of 10", "72–100 %", "5,500"]  # noqa: RUF001
    assert paper[-2] == "0.07"
    low, high = map(float, paper[-1].split(" to "))
    assert low <= 0.07 <= high < 0.2
    assert recipes[1:6] == ["the row's", "10 of 10", "5,500", "5,000", "pending"]
    assert recipes[6:] == ["48 of 50", "24,500", "25,000"]
    changed = cells(found["README.md"], "[3a-1]")[1]
    assert changed[1:6] == ["changed", "48 of 50", "24,500", "25,000", "no"]  # one too few
    assert principle[4:] == ["–", "–", "–"]  # noqa: RUF001
    assert (further[1:3], further[-1]) == (["test sequences wrong", "0.5"], "1")
    assert cost[1:] == ["6", "10", "1 min 00 s"]
    assert "take **30 s** for the LSTM" in found["README.md"]
    home = found["experiment-4.md"]
    assert "(4-1.svg)" in home
    assert "<details><summary>43 sets of settings, 108 trials</summary>" in home
    assert "- **training.rate**, with budget=60000\n" in home
    written = "".join(ElementTree.fromstring(found["4-1.svg"]).itertext())
    for wanted in ("as it stands (10 of 10)", "modern (48 of 50)", "paper: 74,000"):
        assert wanted in written
    assert len(found["4-1.svg"]) < 30_000


def test_without_matplotlib_pages_name_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with Store(tmp_path) as store:
        put(store, LSTM_ROWS["4-1"], 2, 2)
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[plot\]'"):
        pages(tmp_path)


def test_reports_leave_variations_to_their_pages(tmp_path):
    row = LSTM_ROWS["4-1"]
    with Store(tmp_path) as store:
        for experiment in (row, varied(row, {"rate": 0.3}), by_recipe(row, "modern")):
            put(store, experiment, 2, 2)
        put(store, varied(row, {"budget": 7}), 1, 1)
        put(store, fakes.experiment("unheard-of"), 1, 1)
        report = without_variations(collect(store, EXPERIMENTS))
    (left,) = report.left_out
    assert "unheard-of" in left
