"""Markdown tables and escaping."""

from __future__ import annotations

import pytest

from carrousel.experiments.report.markdown import escaped, table


def test_the_last_alignment_holds_for_further_columns():
    lines = table(["a", "b", "c"], [["1", "2", "3"]], "lcr").splitlines()
    assert lines[1] == "| :-- | :-: | --: |"
    assert table(["a", "b", "c"], []).splitlines()[1] == "| :-- | --: | --: |"
    assert table(["a", "b"], [], "r").splitlines()[1] == "| --: | --: |"


def test_padded_columns_line_up():
    text = table(["", "long head"], [["a longer cell", "1"], ["b", "22"]], padded=True)
    assert len({len(line) for line in text.splitlines()}) == 1
    assert text.splitlines()[2:] == [
        "| a longer cell |         1 |",
        "| b             |        22 |",
    ]


def test_rows_of_another_length_are_refused():
    for row in ([], ["1"], ["1", "2", "3"]):
        with pytest.raises(ValueError, match=f"{len(row)} cells, expected 2"):
            table(["a", "b"], [row])


def test_escaped_text_stays_one_cell():
    for text in ("a|b", "[-2, 2]", "x_y", "<b>", "`c`", "back\\slash"):
        cell = table(["a"], [[escaped(text)]]).splitlines()[2]
        assert cell.replace("\\|", "").count("|") == 2, text
        assert escaped(text).replace("\\", "") == text.replace("\\", ""), text
