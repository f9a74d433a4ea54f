"""`carrousel stream`: several rows ahead, intervals, late targets, seasons, scales by key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.online import OnlineLSTM, read_checkpoint
from support.online.cases import case
from support.online.sensor import numbers, read
from support.paths import TESTS

SMALL = ("--cells", 4)
KEPT = TESTS / "online" / "evaluation" / "data"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Write rows.csv: a wave, noise, and the time at which the target is known; two keys."""
    rng = np.random.default_rng(1)
    n = 500
    level = np.sin(0.2 * np.arange(n)) + 0.1 * rng.normal(size=n)
    head = "at,known,pump,level,noise"
    rows = [
        f"{i},{i + 5 + i % 7},{'ab'[i % 2]},{level[i]:.4f},{rng.normal():.4f}" for i in range(n)
    ]
    (tmp_path / "rows.csv").write_text("\n".join([head, *rows]) + "\n")
    return tmp_path


def stream(call: Any, *words: object) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Run the command; return its output and the summary."""
    found = call("stream", "rows.csv", *words, *SMALL, "--out", "out.csv", "--json")
    assert found.code == 0, found.err
    return read(Path("out.csv")), json.loads(found.out)


# --- columns ----------


NEXT, TARGET = ("--predict-next", "level"), ("--target", "level")
BOTH = ("--predict-next", "level,noise")
COLUMNS = {
    (*NEXT, "--ahead", 3): "line target prediction next next_2 next_3",
    (*TARGET, "--ahead", 3): "line target prediction prediction_2 prediction_3",
    (*TARGET, "--level", 0.9): "line target prediction lower upper",
    (*NEXT, "--level", 0.9): "line target prediction lower upper next next_lower next_upper",
    (*NEXT, "--level", 0.9, "--ahead", 2): (
        "line target prediction lower upper next next_lower next_upper "
        "next_2 next_2_lower next_2_upper"
    ),
    (*BOTH, "--ahead", 2): (
        "line target_level prediction_level target_noise prediction_noise "
        "next_level next_noise next_2_level next_2_noise"
    ),
    (*TARGET, "--level", 0.8, "--ahead", 2, "--key", "pump"): (
        "line key target prediction lower upper prediction_2 prediction_2_lower prediction_2_upper"
    ),
}


def test_leads_and_intervals_are_columns(call, folder):
    for words, names in COLUMNS.items():
        rows, _ = stream(call, *words, "--ignore", "at,known")
        with case(words):
            assert list(rows[0]) == names.split()


def test_several_targets_have_an_interval_each(call, folder):
    rows, result = stream(call, *BOTH, "--level", 0.9, "--ahead", 2, "--ignore", "at,known")
    for name in ("level", "noise"):
        lower, upper = (numbers(rows, f"{side}_{name}") for side in ("lower", "upper"))
        target = numbers(rows, f"target_{name}")
        assert np.mean((lower <= target) & (target <= upper)) > 0.75
        for lead in ("next", "next_2"):
            sides = [float(rows[-1][f"{lead}_{name}_{side}"]) for side in ("lower", "upper")]
            assert sides[0] < sides[1]
    assert result["interval"]["targets"] == 2 * 499 - 2


def test_columns_are_forecasts_of_the_rows_that_they_name(call, folder):
    """`next` of a row is `prediction` of the row after; `next_2` is close to its `next`."""
    rows, _ = stream(call, *NEXT, "--ahead", 2, "--level", 0.9, "--ignore", "at,known,pump,noise")
    for now, after in (
        ("next", "prediction"),
        ("next_lower", "lower"),
        ("next_upper", "upper"),
    ):
        np.testing.assert_array_equal(numbers(rows, now)[:-1], numbers(rows, after)[1:])
    level = numbers(rows, "target")
    assert np.abs(numbers(rows, "next_2")[200:-2] - level[202:]).mean() < 0.2


def test_the_summary_shows_coverage_and_leads(call, folder):
    words = (*NEXT, "--ahead", 3, "--level", 0.9, "--ignore", "at,known")
    _, result = stream(call, *words)
    interval = result["interval"]
    assert interval.keys() == {"level", "coverage", "width", "targets"}
    assert 0.8 < interval["coverage"] < 1
    assert len(result["lead_mae"]) == 3
    found = call("stream", "rows.csv", *words, *SMALL, "--quiet")
    assert (
        f"Intervals of 90 %: {100 * interval['coverage']:.1f} % of 498 targets within" in found.out
    )
    assert "MAE by lead, from the nearest: " in found.out
    assert (
        call("stream", "rows.csv", *NEXT, *SMALL, "--quiet", "--ignore", "at,known,pump").out.count(
            "Intervals"
        )
        == 0
    )


# --- resuming ----------


OPTIONS = {
    "ahead": (*NEXT, "--ahead", 3),
    "level": (*NEXT, "--level", 0.9, "--ahead", 2),
    "target and level": (*TARGET, "--level", 0.9),
    "season": (*NEXT, "--season", "31,62"),
    "no season": (*NEXT, "--season", "none"),
    "no experts": (*NEXT, "--no-experts"),
    "scale by key": (*NEXT, "--key", "pump", "--scale-by-key"),
    "delay": (*TARGET, "--delay", 7, "--key", "pump"),
    "delay and next": (*NEXT, "--delay", 7, "--level", 0.8),
    "label time": (*TARGET, "--time", "at", "--label-time", "known", "--key", "pump"),
    "label time and delay": (*TARGET, "--time", "at", "--label-time", "known", "--delay", 6),
    "label time of classes": (
        *("--target", "pump", "--task", "binary"),
        *("--time", "at", "--label-time", "known"),
    ),
    "label time and level": (
        *("--target", "level,noise", "--time", "at", "--label-time", "known"),
        *("--level", 0.9, "--ahead", 2),
    ),
}


def test_a_resumed_run_writes_what_an_uninterrupted_one_writes(call, folder):
    lines = (folder / "rows.csv").read_text().splitlines(keepends=True)
    for name, words in OPTIONS.items():
        ignored = () if "--label-time" in words else ("--ignore", "known")
        common = ("part.csv", *words, *ignored, *SMALL, "--anomaly", "--window", 50, "--json")
        (folder / "part.csv").write_text("".join(lines))
        whole = call("stream", *common, "--out", "whole.csv")
        assert whole.code == 0, (name, whole.err)
        keep = (*common, "--out", "parts.csv", "--checkpoint", "c", "--resume")
        for stop in (38, 211, len(lines)):
            (folder / "part.csv").write_text("".join(lines[:stop]))
            found = call("stream", *keep)
            assert found.code == 0, (name, found.err)
        with case(name):
            assert (folder / "parts.csv").read_bytes() == (folder / "whole.csv").read_bytes()
            results = [json.loads(each.out) for each in (whole, found)]
            for each in results:
                del each["seconds"], each["rows_per_second"]
            assert results[0] == results[1]
        (folder / "c").unlink()
        (folder / "parts.csv").unlink()


def test_options_of_forecasts_must_be_the_same(call, folder):
    words = ("rows.csv", *NEXT, "--ignore", "at,known,pump", *SMALL, "--quiet", "--checkpoint", "c")
    assert call("stream", *words, "--ahead", 2, "--level", 0.9).code == 0
    for more, told in (
        (("--ahead", 3, "--level", 0.9), "c was written with --ahead 2, not 3"),
        (("--ahead", 2), "c was written with --level 0.9, not unset"),
        (("--ahead", 2, "--level", 0.9, "--delay", 1), "c was written with --delay 0, not 1"),
        (("--ahead", 2, "--level", 0.9, "--no-experts"), "--no-experts off, not on"),
    ):
        with case(more):
            found = call("stream", *words, *more, "--resume")
            assert (found.code, told in found.err) == (2, True), found.err


def test_an_old_checkpoint_continues_without_rules(call, tmp_path):
    """By the default options: the file does not know them."""
    shutil.copy(KEPT / "rows.csv", tmp_path / "rows.csv")
    shutil.copy(KEPT / "level.ckpt", tmp_path / "c")
    words = (
        "--predict-next",
        "level",
        "--time",
        "at",
        "--anomaly",
        "--streams",
        2,
        "--key",
        "pump",
    )
    how = ("--streams", 2, "--window", 20, "--cells", 2, "--rate", 0.05, "--on-error", "skip")
    (tmp_path / "out.csv").write_bytes((KEPT / "level.csv").read_bytes())
    out = (*words, *how, "--out", "out.csv", "--json", "--checkpoint", "c", "--resume")
    found = call("stream", "rows.csv", *out)
    assert (found.code, found.err) == (0, "")
    params = read_checkpoint(tmp_path / "c").model.get_params()
    assert params["experts"] is None
    assert (params["ahead"], params["delay"], params["levels"]) == (1, 0, ())


# --- late targets ----------


def test_the_target_is_learned_when_its_time_has_come(call, folder):
    """Rows of one key: the same as a delay, where the time is always that of a later row."""
    lines = (folder / "rows.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    text = [",".join([row[0], str(int(row[0]) + 6), *row[2:]]) for row in rows]
    (folder / "rows.csv").write_text("\n".join([lines[0], *text]) + "\n")
    outputs = set()
    for words in (
        ("--delay", 5, "--ignore", "known"),
        ("--label-time", "known", "--delay", 5),
    ):
        stream(call, *TARGET, "--time", "at", *words)
        outputs.add((folder / "out.csv").read_bytes())
    assert len(outputs) == 1


def test_targets_that_come_too_late_are_shown(call, folder):
    words = (*TARGET, "--time", "at", "--label-time", "known", "--ignore", "pump")
    _, result = stream(call, *words)
    assert "targets_too_late" not in result
    _, result = stream(call, *words, "--delay", 6)
    lost = result["targets_too_late"]
    assert 100 < lost < 400
    found = call("stream", "rows.csv", *words, *SMALL, "--delay", 6, "--quiet")
    assert f"Warning: {lost} targets came after their row had been dropped" in found.out
    assert OnlineLSTM().delay == 0


def test_bad_label_times_are_bad_rows(call, folder):
    lines = (folder / "rows.csv").read_text().splitlines()
    lines[100] = lines[100].replace(lines[100].split(",")[1], "soon", 1)
    lines[200] = ",".join(["199", "", *lines[200].split(",")[2:]])
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    words = (*TARGET, "--time", "at", "--label-time", "known", *SMALL, "--quiet", "--json")
    found = call("stream", "rows.csv", *words)
    assert found.code == 1
    assert "rows.csv: line 101, column 'known': value 'soon' is not a number" in found.err
    found = json.loads(call("stream", "rows.csv", *words, "--on-error", "skip").out)
    assert (found["rows"], sum(found["skipped"].values())) == (498, 2)
    found = json.loads(call("stream", "rows.csv", *words, "--on-error", "hold").out)
    assert (found["rows"], found["without_target"]) == (500, 2)


WRONG = {
    (*TARGET, "--label-time", "known"): "give --target and --time too",
    (*NEXT, "--time", "at", "--label-time", "known"): "give --target and --time too",
    (*TARGET, "--time", "at", "--label-time", "at"): "column 'at' has two roles",
    (
        *TARGET,
        "--time",
        "at",
        "--label-time",
        "nothing",
    ): "--label-time is 'nothing', expected a",
    (*NEXT, "--ahead", 0): "--ahead is 0, expected a whole number of at least 1",
    (*NEXT, "--level", 1.5): "--level is 1.5, expected a number below 1",
    (*NEXT, "--delay", -1): "--delay is -1, expected a whole number of at least 0",
    (*NEXT, "--season", "daily"): "--season is 'daily', expected auto, none, or numbers of rows",
    (*NEXT, "--season", "1"): "--season is 1, expected a whole number",
    (*NEXT, "--ahead", 2, "--no-experts"): "do not turn the rules off by --no-experts",
    (*NEXT, "--level", 0.9, "--no-standardise"): "do not turn the rules off by --no-experts or",
    ("--target", "pump", "--ahead", 2): "use --task regression",
    ("--target", "pump", "--level", 0.9): "use --task regression",
    (*NEXT, "--scale-by-key"): "--scale-by-key needs --key COLUMN",
}


def test_wrong_options_are_refused_before_anything_is_written(call, folder):
    for words, told in WRONG.items():
        with case(words):
            found = call("stream", "rows.csv", *words, *SMALL, "--out", "out.csv")
            assert found.code == 2, found.err
            assert told in found.err
            assert not (folder / "out.csv").exists()
