"""`carrousel stream`: other separators, forgetting, nothing that can be taken, foreign files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from carrousel.online.model import OnlineLSTM

SMALL = ("--cells", 2)


def write(path: Path, separator: str = ",", n: int = 60) -> None:
    """A level that swings and then leaps to another height, and what comes of it."""
    level = np.sin(0.3 * np.arange(n)) + 50.0 * (np.arange(n) >= n // 2)
    rows = [separator.join((f"{each:.4f}", f"{2 * each:.4f}")) for each in level]
    path.write_text("\n".join([separator.join(("level", "y")), *rows]) + "\n")


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


# --- separators -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("separator", "word"), [(";", ";"), ("|", "|"), ("\t", r"\t")])
def test_values_may_be_separated_by_any_character(call, tmp_path, separator, word):
    write(tmp_path / "comma.csv")
    write(tmp_path / "other.csv", separator)
    for name, how in (("comma", ()), ("other", ("--delimiter", word))):
        found = call("stream", f"{name}.csv", "--target", "y", *how, "--out", f"{name}.out.csv")
        assert found.code == 0, found.err
    assert len(read(tmp_path / "comma.out.csv")) == 60
    assert (tmp_path / "comma.out.csv").read_bytes() == (tmp_path / "other.out.csv").read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rows.csv", "--delimiter", ";;"), "--delimiter is ';;', expected one character"),
        (("rows.csv", "--delimiter", ""), "--delimiter is '', expected one character"),
        (("rows.csv", "--delimiter", '"'), "--delimiter is '\"', expected one character"),
        (("rows.csv", "--delimiter", ";", "--format", "jsonl"), "--delimiter is for CSV"),
        (("kafka://localhost:1/t", "--delimiter", ";"), "--delimiter is for CSV"),
        (("rows.csv", "--horizon", "0.5"), "--horizon is 0.5, expected a finite number of at"),
        (("rows.csv", "--horizon", "nan"), "--horizon is nan, expected a finite number of at"),
    ],
)
def test_values_out_of_range_name_their_option(call, tmp_path, words, told):
    write(tmp_path / "rows.csv")
    found = call("stream", *words, "--target", "y", "--quiet")
    assert (found.code, found.out) == (2, "")
    assert told in found.err


@pytest.mark.parametrize(
    ("made", "other", "told"),
    [
        (("--delimiter", ";"), ("--delimiter", "|"), "made with --delimiter ;, not |"),
        (("--horizon", 20), ("--horizon", 30), "made with --horizon 20.0, not 30.0"),
        (("--horizon", 20), (), "made with --horizon 20.0, not unset"),
    ],
)
def test_a_checkpoint_holds_them(call, tmp_path, made, other, told):
    write(tmp_path / "rows.csv", ";" if "--delimiter" in made else ",")
    words = ("rows.csv", "--target", "y", *SMALL, "--quiet", "--checkpoint", "c", "--resume")
    assert call("stream", *words, *made).code == 0
    found = call("stream", *words, *other)
    assert found.code == 2
    assert told in found.err
    again = call("stream", *words, *made, "--json")
    assert (again.code, json.loads(again.out)["rows"]) == (0, 60)


# --- the model ------------------------------------------------------------------------------------


def test_running_means_forget_where_a_horizon_is_given(call, tmp_path):
    write(tmp_path / "rows.csv")
    told = {}
    for horizon in (None, 5):
        how = () if horizon is None else ("--horizon", horizon)
        words = ("rows.csv", "--target", "y", *SMALL, "--quiet", "--checkpoint", f"c{horizon}")
        found = call("stream", *words, *how, "--json")
        assert found.code == 0, found.err
        told[horizon] = json.loads(found.out)["errors"]["model"]["mae"]
        assert OnlineLSTM.load(tmp_path / f"c{horizon}").horizon == horizon
    assert told[5] < told[None]


# --- what is told ---------------------------------------------------------------------------------
