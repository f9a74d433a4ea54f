"""Reports: entries, tables, and notes about everything that is missing or left out."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from carrousel.contracts import Published, Reading
from carrousel.experiments.report import table
from carrousel.experiments.report.collect import Report, collect, stored, unstored
from carrousel.experiments.report.show import show, show_as_json, table_of
from carrousel.experiments.store.store import Store
from support.case import each
from support.experiments import fakes
from support.experiments.fakes import put


def rendered(what: object, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, legacy_windows=False)
    console.print(what)
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


ROWS = {
    "4-1": fakes.experiment("4-1"),
    "2a/rtrl-p4-a10": fakes.experiment(
        "2a/rtrl-p4-a10",
        title="noise-free long lag, p = 4",
        published=Published("Table 2", 22.0, 1_254_000.0, 36, 18),
        readings=(Reading("stop.every", "100", "not said"), *fakes.experiment().readings),
    ),
    "6a": fakes.experiment("6a"),
}


RIVAL = "2a/rtrl-p4-a10"


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Report:
    """An unfinished run, a rival, a row with an unsolved trial and two seeds, unknown trials."""
    with Store(tmp_path_factory.mktemp("store")) as store:
        store.session(ROWS["4-1"], seed=0, trials=10)
        put(store, *(fakes.trial(i, sequences=70_000 + 10_000 * i) for i in range(4)))
        store.append(fakes.trial(0, RIVAL), ROWS[RIVAL], instruction_set="none")
        put(store, fakes.trial(0, "6a"), fakes.trial(1, "6a", ending="budget"))
        put(store, fakes.trial(0, "6a", seed=3))
        put(store, fakes.trial(9), budget=5)
        put(store, fakes.trial(0, "7z"))
        return collect(store, ROWS)


def test_entries_are_in_the_order_of_the_catalogue(report):
    assert [entry.experiment.name for entry in report.entries] == list(ROWS)


def test_other_settings_and_unknown_rows_are_left_out_and_listed(report):
    first = report.entries[0]
    assert [trial.index for trial in first.trials] == [0, 1, 2, 3]
    listed = " ".join(report.left_out)
    assert "1 trial of 4-1 (seed 0): they ran with other settings" in listed
    assert "budget was 5, is 1000000" in listed
    assert "1 trial of 7z (seed 0): this version has no such experiment" in listed
    assert len(report.left_out) == 2


def test_seeds_are_taken_together(report):
    entry = report.entries[2]
    assert entry.seeds == (0, 3)
    assert entry.asked == 3
    assert entry.summary.successes == 2


def test_unfinished_runs_have_a_note(report):
    first = report.entries[0]
    assert not first.complete
    assert any("4 of 10 trials have ended" in note for note in first.notes)
    assert "4-1: 4 of 10 trials have ended" in rendered(table.terminal(report), 200)


def test_a_run_without_an_ended_trial_has_a_note(tmp_path):
    with Store(tmp_path) as store:
        store.session(ROWS["4-1"], seed=0, trials=4)
        (entry,) = collect(store, ROWS).entries
    assert entry.notes == ["none of 4 trials has ended yet"]


def test_unsolved_trials_have_a_note(report):
    (note,) = report.entries[2].notes
    assert note == "1 trial was stopped unsolved at the budget of 1,000,000 sequences"


def test_one_runs_share_of_the_wall_time(tmp_path):
    row = ROWS["4-1"]
    with Store(tmp_path) as store:
        put(store, *(fakes.trial(i, seconds=float(work)) for i, work in enumerate((1, 2, 3))))
        store.add_seconds({store.session(row, seed=0, trials=3): 12.0})
        assert stored(store, row, 0, 3).summary.seconds == 12.0
        part = stored(store, row, 0, 2)
        assert part.summary.seconds == 6.0
        assert [trial.index for trial in part.trials] == [0, 1]
        assert stored(store, row, 1, 3).summary.trials == 0


def test_the_terminal_table_fits_80_columns(report):
    many = [fakes.trial(i, RIVAL, sequences=4_000_000 + 2_000_000 * (i % 2)) for i in range(300)]
    widest = unstored(ROWS[RIVAL], many, 0, 3_000.0, asked=300)
    entries = (report.entries[0], widest, report.entries[2])
    lines = rendered(table.terminal(Report(entries, report.left_out))).splitlines()
    assert max(map(len, lines)) <= 80
    cells_of = [line.split() for line in lines[: len(ROWS) + 1]]
    assert cells_of[0] == ["row", "solved", "paper", "sequences", "paper", "verdict"]
    assert [line[0] for line in cells_of[1:]] == list(ROWS)  # no cell is cut or wrapped
    # mean of 70, 80, 90 and 100 thousand; t(3) * sd / 2 = 20.5 thousand
    cells = ["4-1", "4", "of", "4", "100", "%", "85,000", "±", "10,000", "74,000", "pending"]
    assert cells_of[1][: len(cells)] == cells
    assert "300 of 300" in lines[2]
    assert "5,000,000 ± 110,000" in lines[2]


@each("width", [60, 66, 80, 100, 140])
def test_no_cell_is_cut(report, width):
    lines = rendered(table.terminal(report, width=width), width).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    assert ("adding problem" in lines[1]) == (width == 140)
    assert ("verdict" in lines[0]) == (width > 60)
    assert ("time" in lines[0]) == (width > 66)


def test_markdown_is_a_table(report):
    text = table.markdown(report)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(ROWS)
    assert {line.count("|") for line in lines} == {len(table.COLUMNS) + 1}
    assert "85,000 ± 10,000" in text
    assert "2000 sequences in a row are right" in text
    assert re.search(r"first marker: 1\. Why: the paper does not say \(4-1, .*, 6a\)", text)


def test_markdown_escapes_text():
    odd = fakes.experiment(title="a|b *c* <d> [e] _f_")
    entry = unstored(odd, [fakes.trial(0)], 0, 1.0, asked=1)
    assert r"a\|b \*c\* \<d\> \[e\] \_f\_" in table.markdown(Report((entry,), ()))


def test_the_report_of_an_empty_store_is_empty(tmp_path):
    with Store(tmp_path) as store:
        empty = collect(store, ROWS)
    assert empty == Report((), ())
    assert "row" in rendered(table.terminal(empty))
    assert "# Experiments" in table.markdown(empty)


# --- lists and single experiments -----------------------------------------------------------------


def test_the_list_contains_every_row():
    text = rendered(table_of(ROWS.values()))
    assert max(map(len, text.splitlines())) <= 80
    for row in ROWS.values():
        assert row.name in text
    assert "1,254,000" in text


def test_show_contains_all_settings_figures_and_readings():
    text = " ".join(rendered(show(ROWS["4-1"])).split())
    for part in (
        *("adding problem, T = 100", "2000 sequences in a row are right"),
        *("1,000,000 training sequences", "truncated", "hidden_recurrent 8 x 8"),
        *("FakeTask: inputs 2, outputs 1, length 100, targets (0.5, 1)", "rate 0.5"),
        *("wiring full, bias all", "range 0.1", "Table 7", "74,000", "first marker: 1"),
        *("the paper does not say", "carrousel reproduce 4-1"),
    ):
        assert part in text


def test_a_recipe_is_shown_with_its_command():
    text = " ".join(rendered(show(replace(ROWS["4-1"], name="4-1 robust"))).split())
    assert "carrousel reproduce 4-1 --recipe robust" in text


def test_show_marks_departures_from_the_paper():
    row = replace(ROWS["4-1"], readings=(Reading("training.rate", "4", "1 is printed", True),))
    assert "training.rate: 4 (departs from the paper)" in " ".join(rendered(show(row)).split())
    assert show_as_json(row)["readings"][0]["departs"] is True


def test_show_as_json():
    found = show_as_json(ROWS["4-1"])
    promised = ("name", "task", "learner", "weights", "trials")
    assert tuple(found)[:5] == promised
    assert [found[key] for key in promised] == [
        *("4-1", "adding problem, T = 100", "truncated", 93, 10)
    ]
    layout = found["layout"]
    ends = [part["start"] + int(np.prod(part["shape"])) for part in layout.values()]
    assert [part["start"] for part in layout.values()] == [0, *ends[:-1]]
    assert ends[-1] == found["weights"]
