"""Tables of candidate readings and of the principle, from made-up trials."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.pages.reproduction.principle import principle
from tools.pages.reproduction.readings import candidate_sections, recipe_in

from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.candidates import CANDIDATES
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.principle import PRINCIPLE
from carrousel.experiments.store.store import Store
from carrousel.experiments.study.study import Study, find
from support.experiments import fakes

ABSENT = "–"  # noqa: RUF001


@pytest.fixture
def studies(tmp_path: Path) -> dict[str, Study]:
    """Eight trials of one candidate of 1-2, seven solved after 11,000; four of the principle."""
    with Store(tmp_path) as store:
        for recipe, trials, solved in (("floor", 8, 7), ("principle", 4, 4)):
            row = by_recipe(LSTM_ROWS["1-2"], recipe)
            for n in range(trials):
                ended = fakes.trial(
                    n,
                    row.name,
                    ending="solved" if n < solved else "budget",
                    sequences=11_000 if n < solved else row.budget,
                    seconds=1.0,
                    measures={},
                )
                store.append(ended, row, instruction_set="none")
    with Store(tmp_path, read_only=True) as store:
        return {name: find(store, row) for name, row in LSTM_ROWS.items()}


def cells(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_candidates_have_their_figures_by_row(studies):
    [text] = candidate_sections("1-", studies)
    _, idea, departs, *rows = cells(text, "`floor`")
    assert "at least 0.02" in idea
    assert "`training.derivative_floor`" in departs
    assert rows == [ABSENT, "7 of 8<br>11,000<br>0.51", ABSENT, ABSENT, ABSENT]
    assert cells(text, "the paper")[3:5] == ["39,740", "21,730"]
    assert cells(text, "`printed`")[2] == ABSENT
    assert text.count("\n") == len(CANDIDATES["1"]) + 2


def test_every_set_of_candidates_has_a_page(studies):
    starts = ("1-", "2a", "2b", "2c-", "3", "4-", "5-", "6")
    found = [table for start in starts for table in candidate_sections(start, studies)]
    assert len(found) == len(CANDIDATES)


def test_the_principle_covers_all_its_rows(studies):
    text = principle(studies)
    assert text.count("\n") == len(PRINCIPLE) + 1
    assert cells(text, "[1-2](experiment-1.md#row-1-2)")[4:] == ["4 of 4", "11,000", "0.51"]
    assert cells(text, "[1-1](experiment-1.md#row-1-1)")[2:] == [
        "100 %",
        "39,740",
        ABSENT,
        ABSENT,
        ABSENT,
    ]


def test_a_recipe_that_a_row_does_not_have_has_no_trials(studies):
    assert recipe_in(studies["1-2"], "gates-only") is None
    assert recipe_in(studies["1-2"], "offset") is None
    found = recipe_in(studies["1-2"], "floor")
    assert found is not None
    assert found.outcome.solved == 7
