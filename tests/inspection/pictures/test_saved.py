"""JSON: finite numbers only, and back to the same report."""

from __future__ import annotations

import json

import numpy as np
import pytest

from carrousel.errors import DataError, UnwritableError
from carrousel.inspection import Report
from support.inspection_reports import made, odd_reports, of_net


def same(one: object, other: object) -> None:
    """Assert that two values are equal to seven digits, wherever they are dataclasses."""
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=1e-6)
    elif hasattr(one, "__dataclass_fields__"):
        assert type(one) is type(other)
        for name in one.__dataclass_fields__:  # type: ignore[attr-defined]
            same(getattr(one, name), getattr(other, name))
    elif isinstance(one, tuple | list):
        assert type(one) is type(other)
        for mine, theirs in zip(one, other, strict=True):  # type: ignore[call-overload]
            same(mine, theirs)
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert list(one) == list(other)
        same(list(one.values()), list(other.values()))
    elif isinstance(one, float):
        np.testing.assert_equal(other, one)
    else:
        assert one == other


def test_reports_survive_a_file(tmp_path):
    odd = [report for name, report in odd_reports().items() if name != "large"]
    reports = [*odd, of_net(), of_net("GRU", num_layers=2, bidirectional=True)]
    for report in reports:
        report.save_json(tmp_path / "report.json")
        text = (tmp_path / "report.json").read_text("utf-8")
        data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        same(report, Report.from_dict(data))


def test_infinities_are_strings_and_nan_is_null():
    data = made(T=3, value=np.inf).to_dict()
    assert data["traces"][0]["h"][0] == ["inf"] * 4
    assert made(T=3, value=-np.inf).to_dict()["units"][0]["mean"] == ["-inf"] * 4
    assert made(T=3, value=np.nan).to_dict()["reach"][0]["h"][0] == [None] * 3


def test_the_verdict_is_part_of_the_file_and_unknown_fields_are_ignored():
    data = made().to_dict()
    assert data["verdict"]
    same(made(), Report.from_dict({**data, "later": 1}))


def test_other_data_are_refused():
    good = made().to_dict()
    wrong = [
        {},
        [],
        {**good, "format": 2},
        {"format": 1},
        {**good, "reach": 3},
        {**good, "reach": [3]},
        {**good, "loss": "much"},
        {**good, "unit_memory": [{"part": "a", "state": "c", "difference": [1.0]}]},
        {**good, "faults": [{"name": 3, "part": "", "evidence": "", "remedy": ""}]},
    ]
    for data in wrong:
        with pytest.raises(DataError, match=r"to_dict"):
            Report.from_dict(data)  # type: ignore[arg-type]


def test_nothing_is_left_behind_if_a_file_cannot_be_written(tmp_path):
    report = made()
    for write in (report.save_json, report.save_html):
        with pytest.raises(UnwritableError):
            write(tmp_path / "missing" / "file")
        with pytest.raises(UnwritableError):
            write(tmp_path)
    assert list(tmp_path.iterdir()) == []
