"""Large data sets: equal to the same rows read at once, from any division into files and blocks."""

from __future__ import annotations

import gc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.errors import DataError, SettingError, ShapeError, StoreError, UnknownNameError
from carrousel.estimators.data.larger import TableDataset
from carrousel.estimators.data.running import KEPT, Running, RunningMedian
from carrousel.estimators.data.table import read_table
from carrousel.estimators.net.features import Features
from support.case import case
from support.frames import long_columns, ragged

NAMES: dict[str, Any] = {"id": "id", "time": "t", "target": "label"}
WRITERS: dict[str, Any] = {
    ".parquet": lambda table, path: pyarrow.parquet.write_table(table, path, row_group_size=3),
    ".arrow": lambda table, path: pyarrow.feather.write_feather(table, path, chunksize=3),
}


def table_of(rows: list[np.ndarray]) -> pa.Table:
    columns = long_columns(rows)
    columns["label"] = [len(name) % 2 + int(name[1:]) for name in columns["id"]]
    types = {name: pa.float64() for name in columns if name.startswith("c")}
    return pa.table({name: pa.array(cells, types.get(name)) for name, cells in columns.items()})


@settings(max_examples=8)
@given(ragged(), st.integers(1, 9), st.integers(1, 3), st.integers(0, 99))
def test_a_data_set_equals_the_table_in_memory(tmp_path_factory, rows, block, files, seed):
    folder, table = tmp_path_factory.mktemp("files"), table_of(rows)
    memory = read_table(table, **NAMES)
    cuts = np.linspace(0, len(table), files + 1).astype(int)
    for suffix, write in WRITERS.items():
        paths = []
        for k, (low, high) in enumerate(pairwise(cuts)):
            if high > low:
                paths.append(folder / f"part{k}{suffix}")
                write(table.slice(low, high - low), paths[-1])
        with case(suffix), TableDataset(paths, **NAMES, block=block) as data:
            assert len(data) == len(memory.series)
            assert data.n_steps == memory.series.n_steps
            np.testing.assert_array_equal(data.lengths, memory.series.lengths)
            assert data.targets().tolist() == np.asarray(memory.y).tolist()
            some = np.random.default_rng(seed).integers(0, len(data), 4)
            one, other = data.take(some), memory.series.take(some)
            np.testing.assert_array_equal(one.values, other.values)
            np.testing.assert_array_equal(one.times, other.times)
            np.testing.assert_array_equal(one.offsets, other.offsets)
            assert one.channels == other.channels
            assert data.targets(some).tolist() == np.asarray(memory.y)[some].tolist()
            expected, found = Features.fit(memory.series), data.statistics
            np.testing.assert_allclose(found.mean, expected.mean, atol=1e-12)
            np.testing.assert_allclose(found.scale, expected.scale, atol=1e-12)
            assert found.unit == expected.unit
            assert found.timed
            assert found.gaps == bool(np.isnan(memory.series.values).any())


def test_the_precision_of_the_files_is_kept(tmp_path):
    for kind, kept in ((pa.float32(), np.float32), (pa.float64(), float), (pa.int8(), float)):
        table = pa.table({"id": [1, 1], "x": pa.array([1, 2], kind)})
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        with TableDataset(tmp_path, id="id") as data:
            assert data.take([0]).values.dtype == kept
            assert data.take([0]).times is None
            with pytest.raises(SettingError, match="without a target"):
                data.targets()


def test_targets_of_any_kind(tmp_path):
    for cells, expected in (
        (["b", None, "a", "a"], ["b", "a"]),
        ([None, 2, 1, None], [2, 1]),
        ([0.5, None, None, 1.5], [0.5, 1.5]),
        ([True, True, False, None], [True, False]),
        (pa.array(["u", "u", "v", "v"]).dictionary_encode(), ["u", "v"]),
    ):
        table = pa.table({"id": [7, 7, 3, 3], "x": [1.0] * 4, "y": cells})
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        for block in (1, 3, 4):
            opened = TableDataset(tmp_path, id="id", target="y", block=block)
            with case(cells, block), opened as data:
                assert data.targets().tolist() == expected


BAD: dict[str, tuple[dict[str, Any], Any, str]] = {
    "apart": ({"id": [1, 2, 1]}, DataError, "series 0 and series 2 have the same id"),
    "no id": ({"id": [1, None, 2]}, DataError, "row 1, column 'id'"),
    "no time": ({"t": [0.0, None, 1.0]}, DataError, "row 1, column 't'"),
    "backwards": ({"t": [0.0, 2.0, 1.0]}, DataError, "row 2, column 't'.*1 follows 2"),
    "infinite": ({"x": [0.0, np.inf, 1.0]}, DataError, "row 1, column 'x'"),
    "targets": ({"label": [1, 1, 2]}, DataError, "row 2, column 'label'.*changes"),
    "no target": ({"label": pa.nulls(3, pa.int64())}, DataError, "series 0 has no target"),
    "text": ({"x": ["a", "b", "c"]}, ShapeError, "column 'x'.*expected numbers"),
    "no rows": (
        {k: [] for k in ("id", "t", "x", "label")},
        (DataError, ShapeError),
        "no rows|null",
    ),
}


def test_errors_name_row_and_column_and_leave_no_copy(tmp_path):
    good = {"id": [1, 1, 1], "t": [0.0, 1.0, 2.0], "x": [1.0, 2.0, 3.0], "label": [1, 1, 1]}
    copies = tmp_path / "copies"
    copies.mkdir()
    for name, (columns, kind, message) in BAD.items():
        path = tmp_path / "a.parquet"
        pyarrow.parquet.write_table(pa.table(good | columns), path)
        for block in (1, 3):
            with case(name, block), pytest.raises(kind, match=message):
                TableDataset(path, **NAMES, block=block, folder=copies)
    assert list(copies.iterdir()) == []


def test_wrong_calls(tmp_path):
    with pytest.raises(SettingError, match="suffixes"):
        TableDataset(tmp_path, id="id")
    with pytest.raises(SettingError, match="suffixes"):
        TableDataset("a.pkl", id="id")
    with pytest.raises(StoreError, match="cannot be read"):
        TableDataset(tmp_path / "a.parquet", id="id")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"a\.parquet"):
        TableDataset(tmp_path / "a.parquet", id="id")
    pyarrow.parquet.write_table(pa.table({"id": [1], "x": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(UnknownNameError, match=r"a\.parquet has no column 'who'"):
        TableDataset(tmp_path / "a.parquet", id="who")
    with pytest.raises(ShapeError, match="no channels"):
        TableDataset(tmp_path / "a.parquet", id="id", time="x")
    with TableDataset(tmp_path / "a.parquet", id="id") as data:
        for wrong in ([-1], [1]):
            with pytest.raises(DataError, match=r"0\.\.0"):
                data.take(wrong)
    with pytest.raises(StoreError, match="closed"):
        data.take([0])
    data.close()


def test_the_copy_is_removed_with_the_object(tmp_path):
    pyarrow.parquet.write_table(pa.table({"id": [1], "x": [1.0]}), tmp_path / "a.parquet")
    copies = tmp_path / "copies"
    copies.mkdir()
    data = TableDataset(Path(tmp_path, "a.parquet"), id="id", folder=copies)
    assert len(list(copies.iterdir())) == 1
    del data
    gc.collect()
    assert list(copies.iterdir()) == []


@given(st.lists(st.integers(1, 40), min_size=1), st.floats(-1e6, 1e6))
def test_running_statistics_do_not_depend_on_blocks(sizes, mean):
    values = np.random.default_rng(0).standard_normal((sum(sizes), 2)) + mean
    values[::3, 1] = np.nan
    running = Running.of(2)
    for block in np.split(values, np.cumsum(sizes)[:-1]):
        running.add(block)
    if not np.isnan(values[:, 1]).all():
        # Both round: a sum of n numbers of size m has an error of at most n eps m.
        error = len(values) * np.finfo(float).eps * max(1.0, abs(mean))
        np.testing.assert_allclose(running.mean, np.nanmean(values, axis=0), rtol=0, atol=error)
        np.testing.assert_allclose(running.scale, np.nanstd(values, axis=0), atol=1e-9)
    assert running.gaps


@given(st.lists(st.integers(0, 3 * KEPT), min_size=1, max_size=6))
@settings(max_examples=10)
def test_the_sample_of_a_median_is_even(sizes):
    """The numbers kept are every ``stride``-th, whatever the blocks; memory is bounded."""
    median, numbers = RunningMedian(), np.arange(float(sum(sizes)))
    for block in np.split(numbers, np.cumsum(sizes)[:-1]):
        median.add(block)
    kept = np.concatenate(median.sample)
    np.testing.assert_array_equal(kept, numbers[:: median.stride])
    assert len(kept) <= 2 * KEPT
