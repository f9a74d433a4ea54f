"""Files of measurements: continued after a restart, never mixed with others."""

from __future__ import annotations

import csv
import json
import math
import warnings

import numpy as np
import pytest

from carrousel.errors import DataError, UnwritableError
from carrousel.inspection.training import CsvFile, JsonLines, Measurement

KINDS = {"csv": CsvFile, "jsonl": JsonLines}
VALUES = [0.1, math.inf, math.nan, 1e-300]


def row(step: int, value: float = 0.5, **more: float) -> Measurement:
    scalars = {"reach/half_life": value, "gates/saturated": 1 / 3, **more}
    return Measurement(step, 1000.0 + step, scalars, np.ones(3))


def test_a_table_has_one_header_and_exact_values(tmp_path):
    path = tmp_path / "reach.csv"
    for n, value in enumerate(VALUES):  # each time as a run that is started again
        CsvFile(path)(row(10 * n, value))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [one["step"] for one in rows] == ["0", "10", "20", "30"]
    assert float(rows[1]["timestamp"]) == 1010.0
    np.testing.assert_array_equal([float(one["reach/half_life"]) for one in rows], VALUES)
    assert float(rows[0]["gates/saturated"]) == 1 / 3


def test_lines_are_a_history_of_wandb(tmp_path):
    path = tmp_path / "reach.jsonl"
    for n, value in enumerate([*VALUES, -math.inf]):
        JsonLines(path)(row(n, value))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    rows = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
    assert [one["_step"] for one in rows] == [0, 1, 2, 3, 4]
    assert rows[0] == {
        "_step": 0, "_timestamp": 1000.0, "reach/half_life": 0.1, "gates/saturated": 1 / 3,
    }  # fmt: skip
    assert [one["reach/half_life"] for one in rows[1:]] == ["Infinity", "NaN", 1e-300, "-Infinity"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_killed_at_any_byte_is_continued(tmp_path, kind):
    """A cut line goes; rows that are there stay, and are not written twice."""
    path = tmp_path / f"reach.{kind}"
    whole = KINDS[kind](path)
    for step in range(3):
        whole(row(step))
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        again = KINDS[kind](path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for step in range(3):
                again(row(step))
        assert path.read_bytes() == data


@pytest.mark.parametrize("kind", KINDS)
def test_steps_that_a_file_has_are_left_out_with_a_warning(tmp_path, kind):
    path = tmp_path / f"reach.{kind}"
    KINDS[kind](path)(row(5))
    again = KINDS[kind](path)
    with pytest.warns(UserWarning, match="has rows up to step 5 already; measurements from step 4"):
        again(row(4))
    again(row(5))
    again(row(6))
    assert len(path.read_text().splitlines()) == 2 + (kind == "csv")


def test_a_table_of_other_columns_is_refused(tmp_path):
    path = tmp_path / "reach.csv"
    CsvFile(path)(row(0))
    before = path.read_bytes()
    with pytest.raises(DataError, match="other columns than this training: gradient/norm"):
        CsvFile(path)(row(1, **{"gradient/norm": 1.0}))
    sink = CsvFile(path)
    sink(row(1))
    with pytest.raises(DataError, match="has no column 'gradient/norm'"):
        sink(row(2, **{"gradient/norm": 1.0}))
    assert path.read_bytes().startswith(before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_others_is_refused_and_stays(tmp_path, kind):
    path = tmp_path / f"reach.{kind}"
    for data in (b"\xff\xfe\n", b"text", b"some text\nof others", b"[1]\n", b"1,2\n", b"\n"):
        path.write_bytes(data)
        with pytest.raises(DataError):
            KINDS[kind](path)(row(0))
        assert path.read_bytes() == data


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_cannot_be_written_is_named(tmp_path, kind):
    for path in (tmp_path / "missing" / f"reach.{kind}", tmp_path):
        with pytest.raises(UnwritableError, match=rf"{path}.* cannot be written"):
            KINDS[kind](path)(row(0))
