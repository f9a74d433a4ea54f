"""The page on an estimator: its text, its plots, and that it loads nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from carrousel.errors import MissingExtraError
from carrousel.estimators.classifier import LSTMClassifier
from carrousel.estimators.data.series import Series
from carrousel.estimators.forecaster import LSTMForecaster
from carrousel.estimators.regressor import LSTMRegressor
from carrousel.estimators.report.build import Setting, build
from carrousel.estimators.report.evaluate import evaluate, evaluate_held_out
from carrousel.estimators.report.html import html
from carrousel.estimators.report.measures import measures
from carrousel.estimators.tagger import LSTMTagger
from support.pages import BROWSER, Tags, opened
from support.report_data import CLASSES, HOSTILE

pytest.importorskip("jinja2", reason="needs the extra 'report'")
pytest.importorskip("plotly", reason="needs the extra 'report'")

SMALL: dict[str, Any] = {"hidden_size": 4, "members": 2, "max_steps": 3, "random_state": 0}
SETTING = Setting(HOSTILE, HOSTILE, (HOSTILE,), 1.5, 20.0, footer=HOSTILE)


@pytest.fixture(scope="module")
def series() -> Series:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(rng.integers(6, 12), 2)) for _ in range(30)]
    for values in arrays:
        values[rng.random(values.shape) < 0.1] = np.nan
        values[0] = 0.0
    ids = tuple(f"{n}{HOSTILE}" for n in range(30))
    return Series.of(arrays, channels=(HOSTILE, "y"), named=True, ids=ids)


@pytest.fixture(scope="module")
def pages(series) -> dict[str, str]:
    """One page for each task."""
    labels = np.array([CLASSES[n % 3] for n in range(30)], object)
    numbers = np.arange(60.0).reshape(30, 2)
    steps = [np.where(each.values[:, 1] > 0, "up", "down") for each in series]
    found = {
        "class": (LSTMClassifier(**SMALL).fit(series, labels), labels, ()),
        "value": (LSTMRegressor(**SMALL).fit(series, numbers), numbers, (HOSTILE, "b")),
        "tags": (LSTMTagger(**SMALL).fit(series, steps), steps, ()),
        "forecast": (LSTMForecaster(horizon=2, **SMALL).fit(series), None, ()),
    }
    pages = {}
    for task, (model, y, names) in found.items():
        evaluated = evaluate(model, series, y, names)
        pages[task] = html(build(evaluated, series, model, SETTING))
    model = found["forecast"][0]
    pages["nothing held out"] = html(build(None, series, model, SETTING))
    return pages


def test_pages_are_well_formed_and_all_links_lead_into_them(pages):
    for page in pages.values():
        tags = Tags()
        tags.feed(page)
        tags.close()
        assert tags.open == []
        assert len(tags.ids) == len(set(tags.ids))
        outside = [one for one in tags.addresses if not one.startswith(("#", "data:,"))]
        assert outside == []
        assert {one[1:] for one in tags.addresses if one.startswith("#")} <= set(tags.ids)
        assert all(json.loads(data) for data in tags.figures.values())


def test_text_from_the_data_is_escaped_and_plotly_is_inlined_once(pages):
    for page in pages.values():
        assert HOSTILE not in page
        assert "<script>console" not in page
        assert page.count("Plotly.js v") <= 1
        assert page.count("plotly.js v") == 1


def test_pages_have_the_sections_of_their_task(pages):
    sections = {
        "class": ("confusion", "anytime", "calibration", "hardest", "learning", "data", "model"),
        "value": ("values-0", "values-1", "anytime", "hardest", "learning", "data", "model"),
        "tags": ("confusion", "calibration", "hardest", "learning", "data", "model"),
        "forecast": ("leads", "coverage", "examples", "learning", "data", "model"),
        "nothing held out": ("learning", "data", "model"),
    }
    for task, names in sections.items():
        found = [name for name in pages[task].split('<section class="card" id="')[1:]]
        assert [name[: name.index('"')] for name in found] == list(names)


@pytest.mark.skipif(BROWSER is None, reason="needs the program chromium")
@pytest.mark.parametrize("task", ["class", "forecast"])
def test_a_browser_draws_every_plot(pages, tmp_path, task):
    document, console = opened(pages[task], tmp_path)
    assert console == []
    figures = pages[task].count("data-figure=")
    assert f'data-drawn="{figures}"' in document
    assert document.count('class="main-svg"') >= figures


def test_held_out_predictions_are_those_of_the_members_that_have_not_learned(series):
    labels = np.array([CLASSES[n % 3] for n in range(30)], object)
    model = LSTMClassifier(**{**SMALL, "members": 3}).fit(series, labels)
    held = model.held_out_
    found: Any = evaluate_held_out(model, series, labels, held, ())
    chosen = np.flatnonzero(held.any(axis=1))
    assert found.series.ids == tuple(series.ids[n] for n in chosen)
    members = model.ensemble_.members
    for k, n in enumerate(chosen):
        mine = [member for member, is_held in zip(members, held[n], strict=True) if is_held]
        ensemble = model.ensemble_
        model.ensemble_ = replace(ensemble, members=mine)
        expected = model.predict_proba(series[int(n)], at="every step")[0]
        model.ensemble_ = ensemble
        low, high = found.series.offsets[k : k + 2]
        # float32 outputs of the same nets in batches of other sizes
        np.testing.assert_allclose(found.outputs[low:high], expected, atol=1e-5)


def test_scores_are_those_of_the_estimators(series):
    labels = np.array([CLASSES[n % 3] for n in range(30)], object)
    model = LSTMClassifier(**SMALL).fit(series, labels)
    found = measures(evaluate(model, series, labels))
    assert found["accuracy"] == pytest.approx(model.score(series, labels))
    numbers = np.arange(30.0)
    regressor = LSTMRegressor(**SMALL).fit(series, numbers)
    found = measures(evaluate(regressor, series, numbers))
    assert found["r2"] == pytest.approx(regressor.score(series, numbers))


def test_without_the_extra_the_error_names_it(series, monkeypatch):
    model = LSTMForecaster(horizon=2, **SMALL).fit(series)
    report = build(None, series, model, SETTING)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[report\]'"):
        html(report)
