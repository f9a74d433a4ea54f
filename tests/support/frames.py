"""Data frames of every kind that is installed, and series that tests draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

Frame = Callable[[dict[str, list[Any]]], Any]


def frame_kinds() -> dict[str, Frame]:
    """Functions that create a data frame from columns, by the name of its package."""
    kinds: dict[str, Frame] = {"pandas": pd.DataFrame, "pyarrow": pa.table}
    try:
        import polars  # pyright: ignore[reportMissingImports]
    except ImportError:
        return kinds
    return kinds | {"polars": polars.DataFrame, "lazy polars": polars.LazyFrame}


FRAMES = frame_kinds()

cells = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32))


@st.composite
def ragged(draw: st.DrawFn, most: int = 5) -> list[np.ndarray]:
    """Series ``[T, I]`` of unequal length with gaps."""
    width = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = [rng.standard_normal((T, width)) for T in lengths]
    for row in rows:
        row[rng.random(row.shape) < 0.3] = np.nan
    return rows


def long_columns(rows: list[np.ndarray]) -> dict[str, list[Any]]:
    """The columns of a long table of series: ``id``, ``t`` and channels ``c0``, ``c1``, ..."""
    columns: dict[str, list[Any]] = {
        "id": [f"s{n}" for n, row in enumerate(rows) for _ in row],
        "t": [t for row in rows for t in range(len(row))],
    }
    for k in range(rows[0].shape[1]):
        values = np.concatenate([row[:, k] for row in rows])
        columns[f"c{k}"] = [None if np.isnan(value) else float(value) for value in values]
    return columns
