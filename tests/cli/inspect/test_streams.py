"""`carrousel inspect` of models of streams."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from carrousel.online import OnlineLSTM
from support.case import each

SMALL = ("--quiet", "--cells", 4)


@pytest.fixture
def streams(call, tmp_path) -> Path:
    """A folder with the checkpoints of three streams, and their rows."""
    draw = random.Random(0)
    values = [draw.gauss(0, 1) for _ in range(400)]
    rows = [
        f"{t},{'abbc'[t % 4]},{values[t]:.4f},{values[t - 2]:.4f},{'xyxz'[t % 4]}"
        for t in range(400)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["at,who,in,out,s", *rows]), encoding="utf-8")
    for words in (
        "--target out --ignore who,s --time at --checkpoint one.ckpt",
        "--predict-next in --key who --ignore at,s,out --checkpoint keys.ckpt",
        "--predict-next s --ignore at,who,in,out --checkpoint symbols.ckpt",
    ):
        assert call("stream", "rows.csv", *words.split(), *SMALL).code == 0
    OnlineLSTM.load(tmp_path / "one.ckpt").save(tmp_path / "model.safetensors")
    return tmp_path


@each(
    "words, subject, loss",
    [
        ("one.ckpt", "one.ckpt on 400 rows of rows.csv", "the expert rules, for out at the last"),
        ("one.ckpt --steps 5 --lag 2", "one.ckpt on 80 rows", "for out at the last row"),
        ("keys.ckpt --steps 10", "keys.ckpt on 160 rows of rows.csv, stream b", "the next in at"),
        ("keys.ckpt --stream c", "keys.ckpt on 100 rows of rows.csv, stream c", "the next in at"),
        ("symbols.ckpt", "symbols.ckpt on 400 rows", "cross-entropy of the next s at the last row"),
    ],
)
def test_a_checkpoint_knows_its_columns(call, streams, words, subject, loss):
    name, *more = words.split()
    found = call("inspect", name, "rows.csv", *more, "--json")
    assert found.code == 0, found.err
    report = json.loads(found.out)
    assert subject in report["subject"]
    assert loss in report["loss_is"]
    assert report["reach"][0]["part"] == "hidden"


def test_a_model_alone_needs_the_columns(call, streams):
    words = ("inspect", "model.safetensors", "rows.csv", "--json")
    found = call(*words)
    assert (found.code, found.out) == (2, "")
    assert "give --target COLUMN or --predict-next COLUMN" in found.err
    assert call(*words, "--target", "out").code == 2  # other columns than those of the model


def test_rows_that_cannot_be_used_are_left_out_and_counted(call, streams):
    with open("rows.csv", "a", encoding="utf-8") as file:
        file.write("\n400,a,oops,1.0,x\n401,a,1.0,1.0,x\n")
    found = call("inspect", "one.ckpt", "rows.csv", "--json")
    assert found.code == 0, found.err
    assert "1 row that cannot be used is left out." in found.err
    assert "on 401 rows" in json.loads(found.out)["subject"]


@each(
    "words, message",
    [
        ("one.ckpt", "no file of data was named; carrousel inspect one.ckpt DATA"),
        ("one.ckpt absent.csv", "absent.csv does not exist"),
        ("keys.ckpt rows.csv --stream z", "stream 'z' is unknown; expected one of 'a', 'b', 'c'"),
        ("one.ckpt rows.csv --stream a", "--stream needs the rows to have a key"),
        ("one.ckpt rows.csv --clip 2", "--clip has no meaning for a model of streams"),
        ("one.ckpt rows.csv --target ot", "did you mean 'out'"),
        ("one.ckpt rows.csv --gradient bpt", "did you mean 'bptt'"),
        ("one.ckpt empty.csv", "empty.csv"),
        ("one.ckpt rows.csv --html one.ckpt", "WHAT and --html are the same file one.ckpt"),
    ],
)
def test_a_wrong_call_is_one_line(call, streams, words, message):
    (streams / "empty.csv").write_text("at,who,in,out,s\n", encoding="utf-8")
    found = call("inspect", *words.split())
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert found.err.count("\n") == 1
