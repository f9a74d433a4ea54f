"""The page of real streams, from invented figures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tools.pages.real_streams import real_streams_page

pytest.importorskip("jinja2", reason="needs the extra 'report'")
pytest.importorskip("matplotlib", reason="needs the extra 'plot'")


MEASURES = {"binary": "share wrong", "anomaly": "1 - ROC AUC"}


def stream(task: str = "forecast", **errors: list[float]) -> dict[str, Any]:
    """A stream whose contenders have these errors, one a seed."""
    names = {"ours": "OnlineLSTM", "calendar": "OnlineLSTM, calendar columns", "last": "last value"}
    rows = {
        names.get(name, name.replace("_", " ")): {
            str(seed): {"error": error, "later": error / 2, "seconds": 1.0, "precision": 0.5}
            for seed, error in enumerate(found)
        }
        for name, found in errors.items()
    }
    return {
        "title": "a | b",
        "source": "data.csv",
        "task": task,
        "measure": MEASURES.get(task, "mean absolute error"),
        "unit": "MW",
        "rows_read": 1234,
        "columns": ["y"],
        "keys": None,
        "time": True,
        "needs": ["missing"],
        "rows": rows,
    }


def page(made_up: Any = None, parts: Any = None, **streams: dict[str, Any]) -> str:
    found = real_streams_page(
        {
            "start": 77,
            "machine": {"versions": {"python": "3", "numpy": "2"}, "processor": "P"},
            "packages": {"river": "0.1"},
            "streams": streams,
            **(parts or {}),
        },
        made_up,
    )
    assert ("real_streams-regret.svg" in found) == ("regret" in (parts or {}))
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
    counted_with_calendar = "better by over 2 % on 2, within 2 % on 1, and worse on 0"
    assert counted_with_calendar in counted  # streams without times count by the defaults
    assert "| **0.97 (0.96-0.98)** | – | last value | 1 |" in text  # noqa: RUF001  (no figure)
    assert "| 3 | – | 0.970 | – | better |" in text  # noqa: RUF001
    assert "| river | **1** |" in text
    assert "| 1.500 | 0.500 | worse, better |" in text
    assert "On the 1 streams where the time" in counted
    assert "better than the best baseline on 1, within" in counted
    assert "The first 77 rows" in counted
    assert "river 0.1" in text
    assert "deep-river" not in text


def test_classes_are_judged_by_accuracy_and_anomalies_by_area():
    text = page(
        near=stream("binary", ours=[0.09, 0.11], last=[0.085]),
        far=stream("binary", ours=[0.3], last=[0.2]),
        unusual=stream("anomaly", ours=[0.004], last=[0.01]),
    )
    counted = re.sub(r"\s+", " ", text)
    assert "better by over 2 % on 0, within 2 % on 2, and worse on 1, of 3 streams" in counted
    assert "| accuracy (higher is better), MW |" not in text
    assert "| 0.9 (0.89-0.91) | 0.1 (0.09-0.11) | 1.017 | 1.176 |" in text
    assert "| 1.143 | – | worse |" in text  # noqa: RUF001
    assert "ROC AUC, MW (higher is better) | **0.996** |" in text


def test_contenders_of_a_stream_are_in_the_order_of_their_errors():
    text = page(one=stream(ours=[2.0], last=[1.0], diverged=[1e9]))
    _, _, details = text.partition("<details>")
    assert details.index("| last value") < details.index("| **OnlineLSTM**") < details.index("1.0e")
    assert "Further settings of OnlineLSTM: `missing`." in details
    assert "a \\| b: 1,234 rows" in details


def test_a_stream_without_figures_of_ours_is_not_counted():
    text = page(one=stream(last=[1.0]), two=stream(ours=[2.0], last=[1.0]))
    assert "of 1 streams" in re.sub(r"\s+", " ", text)


def test_tables_of_further_figures_come_from_their_parts():
    running = {"rows": [1, 2], "mixed": [1.0, 2.5], "best": [2.0, 3.0]}
    mixtures = {"base": 3.5, "full": 4.0, "mixed": 3.0}
    parts = {
        "intervals": {
            "electricity": {
                **{"title": "power", "targets": 1000, "error": 2.0, "levels": [0.8, 0.9]},
                **{"coverage": [0.83, 0.915], "width": [3.0, 4.0]},
            }
        },
        "regret": {
            "electricity": {
                **{"title": "power", "rules": {"last": 4.0, "mean": 8.0}, "running": running},
                **mixtures,
            }
        },
        "leads": {
            "solar": {
                **{"title": "sun", "leads": [1, 6]},
                "errors": {"OnlineLSTM": [1.0, 3.0], "last value": [2.0, 2.0]},
            }
        },
        "many_keys": {
            "1000, with experts": {"rows": 7, "error": 0.1, "later": 0.2, "last": 0.9},
            "1000, without": {"rows": 7, "error": 0.3, "later": 0.4, "last": 0.9},
        },
    }
    made_up = {"streams": {"walk": {**stream(ours=[1.0, 2.0], last=[1.0]), "title": "walk"}}}
    text = page(made_up, parts, one=stream(ours=[1.0], last=[1.0]))
    for line in (
        "| power | 1,000 | **83.0 %** | 91.5 % | 3.00 | 4.00 |",  # marked: over two points off
        "| power | **4** | 8 |",
        "| 3.5 | 4 | 3 | -1 | -25.0 |",
        "| sun | OnlineLSTM | **1** | 3 |",
        "| sun | last value | 2 | **2** |",
        "| 1,000 | 7 | 0.1 | 0.2 | 0.3 | 0.4 | 0.9 |",
        "| walk | `data.csv` | 1.5 | – | **1** |",  # noqa: RUF001
    ):
        assert line in text, line
    alone = page(one=stream(ours=[1.0], last=[1.0]))
    for head in ("Prediction intervals", "The rules", "Several rows", "Many keys", "Streams on"):
        assert f"## {head}" in text, head
        assert f"## {head}" not in alone, head
