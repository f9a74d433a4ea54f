"""Files: every format holds the same table, and damaged or dangerous ones are refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings

from carrousel.errors import CarrouselError, DataError, SettingError, StoreError, UnknownNameError
from carrousel.estimators.data.files import SUFFIXES, read_file
from carrousel.estimators.data.table import read_table
from support.case import case
from support.frames import long_columns, ragged


def table_of(rows: list[np.ndarray]) -> pa.Table:
    columns = long_columns(rows)
    columns["label"] = [f"k{ord(name[-1]) % 2}" for name in columns["id"]]
    columns["group"] = [f"g{name}" for name in columns["id"]]
    types = {name: pa.float64() for name in columns if name.startswith("c")}
    return pa.table({name: pa.array(cells, types.get(name)) for name, cells in columns.items()})


def write_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def write_json(table: pa.Table, path: Path) -> None:
    table.to_pandas().to_json(path, orient="records", lines=True, double_precision=15)


def write_npz(table: pa.Table, path: Path) -> None:
    columns = {name: table[name].to_numpy() for name in table.column_names}
    np.savez(path, **{n: c.astype("U") if c.dtype == object else c for n, c in columns.items()})


def write_tsv(table: pa.Table, path: Path) -> None:
    table.to_pandas().to_csv(path, sep="\t", index=False)


WRITERS: dict[str, Callable[[pa.Table, Path], Any]] = {
    "a.csv": pyarrow.csv.write_csv,
    "a.tsv": write_tsv,
    "b.csv.gz": lambda table, path: table.to_pandas().to_csv(path, index=False),
    "a.parquet": pyarrow.parquet.write_table,
    "a.pq": pyarrow.parquet.write_table,
    "a.feather": pyarrow.feather.write_feather,
    "a.arrow": write_stream,
    "a.ipc": write_stream,
    "a.jsonl": write_json,
    "a.ndjson": write_json,
    "b.jsonl.gz": write_json,
    "a.npz": write_npz,
}
NAMES: dict[str, Any] = {"id": "id", "time": "t", "target": "label", "groups": "group"}


@settings(max_examples=5)
@given(ragged())
def test_every_format_holds_the_same_table(tmp_path_factory, rows):
    folder, table = tmp_path_factory.mktemp("files"), table_of(rows)
    expected = read_table(table, **NAMES)
    assert {Path(name).suffix for name in WRITERS} - {".gz"} == set(SUFFIXES) - {".ts"}
    for name, write in WRITERS.items():
        write(table, folder / name)
        with case(name):
            found = read_file(folder / name, **NAMES)
            # pandas writes 15 decimals as JSON
            np.testing.assert_allclose(found.series.values, expected.series.values, atol=1e-15)
            np.testing.assert_array_equal(found.series.times, expected.series.times)
            assert found.series.ids == expected.series.ids
            assert found.series.channels == expected.series.channels
            assert list(found.y or [] if found.per_step else np.asarray(found.y)) == list(
                np.asarray(expected.y)
            )
            assert np.asarray(found.groups).tolist() == np.asarray(expected.groups).tolist()


def test_arrays_in_npz(tmp_path):
    X = np.random.default_rng(0).standard_normal((4, 5, 2))
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(4), who=np.array(list("aabb")))
    table = read_file(tmp_path / "a.npz", target="y", groups="who")
    np.testing.assert_array_equal(table.series.values, X.reshape(20, 2))
    assert np.asarray(table.y).tolist() == [0, 1, 2, 3]
    assert np.asarray(table.groups).tolist() == list("aabb")
    with pytest.raises(UnknownNameError, match="no array 'label'"):
        read_file(tmp_path / "a.npz", target="label")
    with pytest.raises(SettingError, match="no column for time"):
        read_file(tmp_path / "a.npz", time="t")
    np.savez(tmp_path / "b.npz", X=X, y=np.arange(3))
    with pytest.raises(DataError, match="y has 3 entries for 4 series"):
        read_file(tmp_path / "b.npz", target="y")


def test_ts_files_of_aeon():
    datasets = pytest.importorskip("aeon.datasets")
    folder = Path(datasets.__file__).parent / "data"
    X, y = datasets.load_japanese_vowels(split="train")
    path = folder / "JapaneseVowels" / "JapaneseVowels_TRAIN.ts"
    table = read_file(path)
    np.testing.assert_array_equal(table.series.values, np.concatenate([each.T for each in X]))
    assert np.asarray(table.y).tolist() == y.tolist()
    with pytest.raises(SettingError, match="no column for id"):
        read_file(path, id="id")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was opened",))


def test_pickles_are_not_opened(tmp_path):
    for name in ("a.pkl", "a.pickle", "a.joblib"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        with case(name), pytest.raises(DataError, match="a pickle runs code"):
            read_file(tmp_path / name)
    bomb = np.empty(1, object)
    bomb[0] = Bomb()
    np.savez(tmp_path / "a.npz", X=bomb)
    with pytest.raises(DataError, match="allow_pickle"):
        read_file(tmp_path / "a.npz")


DAMAGED: dict[str, Any] = {
    "a.csv": b"id,x\n1\n",
    "b.csv": b"",
    "a.parquet": b"PAR1",
    "a.arrow": b"ARROW1 and no more",
    "b.arrow": b"\xff",
    "a.npz": b"PK\x03\x04",
    "a.jsonl": b'{"id": 1}\n{"id"',
    "b.jsonl": b"[1]\n",
    "c.jsonl": b'{"id": 1, "x": 1}\n{"id": "a", "x": 2}\n',
    "a.jsonl.gz": b"no gzip",
    "a.ts": b"@data\n",
}


def test_damaged_files_are_errors_of_ours_with_the_name(tmp_path):
    for name, contents in DAMAGED.items():
        (tmp_path / name).write_bytes(contents)
        with case(name), pytest.raises(CarrouselError, match=name):
            read_file(tmp_path / name, id=None if name == "a.ts" else "id")
    with pytest.raises(DataError, match=r"a\.jsonl: line 2: this is not JSON"):
        read_file(tmp_path / "a.jsonl", id="id")


def test_missing_files_and_unknown_suffixes(tmp_path):
    for name in WRITERS:
        with case(name), pytest.raises(StoreError, match="cannot be read"):
            read_file(tmp_path / name, id="id")
    for name in ("a.xls", "a", "a.parquet.gz"):
        with case(name), pytest.raises(UnknownNameError, match="suffix"):
            read_file(tmp_path / name)
