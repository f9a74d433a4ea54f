"""Sinks of other packages' objects: what they receive, and what these packages read back."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.inspection.training import Loggers, Measurement, TensorBoard, WandbRun

CURVE = np.array([1.0, 0.5, 0.25, 0.0])
ROWS = [
    Measurement(10, 0.0, {"reach/half_life": 1.5, "gates/saturated": 0.25}, CURVE),
    Measurement(20, 1.0, {"reach/half_life": math.inf, "gates/saturated": 0.5}, CURVE[:0]),
    Measurement(
        30, 2.0, {"reach/half_life": 0.0, "gates/saturated": 0.75}, np.array([1.0, math.inf])
    ),
]


class Spy:
    """Keeps the calls of its methods."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.calls.append((tag, scalar_value, global_step))

    def add_histogram_raw(self, *arguments: Any, **fields: Any) -> None:
        self.calls.append((*arguments, fields))

    def log(self, values, step) -> None:
        self.calls.append((values, step))

    log_metrics = log


def test_runs_and_loggers_receive_the_scalars_with_the_step():
    for sink in (WandbRun(spy := Spy()), Loggers([spy])):
        spy.calls.clear()
        for row in ROWS:
            sink(row)
        assert spy.calls == [(row.scalars, row.step) for row in ROWS]


def test_a_writer_receives_the_curve_by_lag_if_it_is_finite():
    spy = Spy()
    for row in ROWS:
        TensorBoard(spy)(row)
    assert [one for one in spy.calls if one[0] == "gates/saturated"] == [
        ("gates/saturated", 0.25, 10), ("gates/saturated", 0.5, 20), ("gates/saturated", 0.75, 30),
    ]  # fmt: skip
    ((tag, fields),) = [one for one in spy.calls if isinstance(one[1], dict)]
    assert (tag, fields["global_step"]) == ("reach/curve", 10)
    assert fields["bucket_counts"] == CURVE.tolist()
    assert fields["bucket_limits"] == [0.5, 1.5, 2.5, 3.5]
    assert (fields["sum"], fields["sum_squares"]) == (1.0, 1.5)
    spy.calls.clear()
    TensorBoard(spy, histogram=False)(ROWS[0])
    assert len(spy.calls) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_the_scalars_and_the_curve(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import (  # pyright: ignore[reportMissingImports]
        EventAccumulator,
    )
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for row in ROWS:
            TensorBoard(writer)(row)
    found = EventAccumulator(str(tmp_path)).Reload()
    for name in ROWS[0].scalars:
        assert [one.step for one in found.Scalars(name)] == [10, 20, 30]
        np.testing.assert_allclose(
            [one.value for one in found.Scalars(name)], [row.scalars[name] for row in ROWS]
        )
    (curve,) = found.Histograms("reach/curve")
    assert curve.step == 10
    np.testing.assert_allclose(curve.histogram_value.bucket, CURVE)


@pytest.mark.filterwarnings("ignore")
def test_wandb_stores_the_history(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(mode="offline", dir=str(tmp_path), project="reach") as run:
        folder = Path(run.dir).parent
        for row in ROWS:
            WandbRun(run)(row)
    wandb.teardown()  # waits until the file is written
    (path,) = folder.glob("*.wandb")
    found = history(path)
    assert [one["_step"] for one in found] == [10, 20, 30]
    assert [one["gates/saturated"] for one in found] == [0.25, 0.5, 0.75]
    assert [one["reach/half_life"] for one in found] == [1.5, math.inf, 0.0]


def history(path: Path) -> list[dict]:
    """Return the rows of an offline run, which is a log of LevelDB: blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2  # pyright: ignore[reportMissingImports]

    data, at, whole, rows = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if 2**15 - at % 2**15 < 7:
            at += 2**15 - at % 2**15
        if kind in (2, 3):  # the record continues in the next block
            continue
        record = wandb_internal_pb2.Record()
        record.ParseFromString(whole)
        whole = b""
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items})
    return rows
