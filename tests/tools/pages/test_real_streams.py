"""The page of real streams, from invented figures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tools.pages.real_streams import real_streams_page

pytest.importorskip("jinja2", reason="needs the extra 'report'")
pytest.importorskip("matplotlib", reason="needs the extra 'plot'")


def stream(task: str = "forecast", **errors: list[float]) -> dict[str, Any]:
    """A stream whose contenders have these errors, one a seed."""
    names = {"ours": "OnlineLSTM", "calendar": "OnlineLSTM, calendar columns", "last": "last value"}
    rows = {
        names.get(name, name.replace("_", " ")): {
            str(seed): {"error": error, "later": error / 2, "seconds": 1.0}
            for seed, error in enumerate(found)
        }
        for name, found in errors.items()
    }
    return {
        "title": "a | b",
        "source": "data.csv",
        "task": task,
        "measure": "mean absolute error",
        "unit": "MW",
        "rows_read": 1234,
        "columns": ["y"],
        "keys": None,
        "time": True,
        "needs": ["missing"],
        "chose_settings": False,
        "rows": rows,
    }


def page(**streams: dict[str, Any]) -> str:
    found = real_streams_page(
        {
            "start": 77,
            "machine": {"versions": {"python": "3", "numpy": "2"}, "processor": "P"},
            "packages": {"river": "0.1"},
            "streams": streams,
        }
    )
    assert found["real_streams-ratios.svg"].count("<svg") == 1
    return found["real_streams.md"]


def test_streams_are_counted_by_their_ratio_to_the_best_baseline():
    text = page(
        better=stream(ours=[0.96, 0.98], last=[1.0], value_24_rows_before=[3.0]),
        equal=stream(ours=[1.01], last=[2.0], river=[1.0]),
        worse=stream(ours=[1.5], calendar=[0.5], last=[1.0]),
    )
    counted = re.sub(r"\s+", " ", text)
    assert "better by over 2 % on 1, within 2 % on 1, and worse on 1, of 3 streams" in counted
    assert "| **0.97 (0.96-0.98)** | 0.485 (0.48-0.49) | last value | 1 |" in text
    assert "| 3 | – | 0.970 |" in text  # noqa: RUF001  (an en dash: no figure)
    assert "| river | **1** |" in text
    assert "On the 1 streams where it is known" in counted
    assert "better than the best baseline on 1, within" in counted
    assert "The first 77 rows" in counted
    assert "river 0.1" in text
    assert "deep-river" not in text


def test_contenders_of_a_stream_are_in_the_order_of_their_errors():
    text = page(one=stream(ours=[2.0], last=[1.0], diverged=[1e9]))
    _, _, details = text.partition("<details>")
    assert details.index("| last value") < details.index("| **OnlineLSTM**") < details.index("1.0e")
    assert "Further settings of OnlineLSTM: `missing`." in details
    assert "a \\| b: 1,234 rows" in details


def test_a_stream_without_figures_of_ours_is_not_counted():
    text = page(one=stream(last=[1.0]), two=stream(ours=[2.0], last=[1.0]))
    assert "of 1 streams" in re.sub(r"\s+", " ", text)


def test_streams_that_chose_settings_are_named():
    chosen = {**stream(ours=[1.0], last=[2.0]), "chose_settings": True}
    assert "except on a | b" in page(one=chosen)
