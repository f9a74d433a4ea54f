"""Reports and snapshots as text."""

from __future__ import annotations

import pytest

from carrousel.errors import InputError
from carrousel.inspection import Snapshots, compare
from support.inspection_reports import HOSTILE, made, odd_reports, of_net


def test_texts_have_a_verdict_a_row_for_each_part_and_the_faults():
    for report in [*odd_reports().values(), of_net()]:
        lines = str(report).splitlines()
        assert lines[0]
        assert lines[1].startswith("loss ")
        start = next(n for n, line in enumerate(lines) if line.startswith("part"))
        assert len(lines) >= start + 1 + len(report.reach)
        assert sum(line.startswith("- ") for line in lines) == len(report.faults)
        assert "\x1b" not in str(report)
        assert len(repr(report)) < 400


def test_snapshots_have_a_row_each():
    text = str(Snapshots([(HOSTILE, made()), ("b", made()), ("c", of_net())]))
    assert len(text.splitlines()) == 4
    assert "\x1b" not in text
    assert [label for label, _ in compare(made(), made())] == ["Before learning", "After learning"]


def test_snapshots_are_pairs_of_a_label_and_a_report():
    for wrong in ([], [made()], [("a",)], [(1, made())], [("a", 3)]):
        with pytest.raises(InputError, match="labelled"):
            Snapshots(wrong)  # type: ignore[arg-type]
