"""HTML report: its plots, its text, and that it loads nothing."""

from __future__ import annotations

import json
import math
import re
import sys

import numpy as np
import pytest

from carrousel.contracts import Trial
from carrousel.errors import MissingExtraError
from carrousel.experiments.report import collect as reports
from carrousel.experiments.report.collect import Report
from carrousel.experiments.report.html import curves, html, median_curve, overview
from support.experiments import fakes
from support.pages import BROWSER, Tags, opened

pytest.importorskip("jinja2", reason="needs the extra 'report'")
pytest.importorskip("plotly", reason="needs the extra 'report'")

HOSTILE = "</script><script>console.error('broken out')</script> & <b>"


def entry(name: str, *trials: Trial, **changes: object) -> reports.Entry:
    return reports.unstored(fakes.experiment(name, **changes), trials, 0, 2.5, asked=len(trials))


@pytest.fixture(scope="module")
def report() -> Report:
    nothing = fakes.experiment().published
    return Report(
        (
            entry("4-1", *(fakes.trial(i) for i in range(5))),
            entry(
                "1/rtrl-3",
                fakes.trial(0, "1/rtrl-3", ending="budget", sequences=1_000_000),
                fakes.trial(1, "1/rtrl-3", ending="diverged", curve=((10, 0.5), (20, math.nan))),
                fakes.trial(2, "1/rtrl-3", curve=((10, 0.5), (20, 0.0)), sequences=20),
                title=HOSTILE,
            ),
            entry("6a", fakes.trial(0, "6a", curve=())),
            entry("6b", published=nothing),
        ),
        ("3 trials of 2b (seed 0): they ran with other settings (budget was 1, is 2)",),
    )


@pytest.fixture(scope="module")
def page(report) -> str:
    return html(report)


@pytest.fixture(scope="module")
def tags(page) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    return tags


def test_the_page_is_well_formed(tags):
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))


def test_all_links_lead_into_the_page(tags):
    outside = [one for one in tags.addresses if not one.startswith(("#", "data:,"))]
    assert outside == []
    assert {one[1:] for one in tags.addresses if one.startswith("#")} <= set(tags.ids)


def test_figures_contain_the_trials(tags, report):
    found = json.loads(tags.figures["data-4-1"])
    assert [trial["sequences"] for trial in found["trials"]] == [
        trial.sequences for trial in report.entries[0].trials
    ]
    assert found["paper"] == 74_000
    assert found["ours"] == report.entries[0].summary.sequences_mean
    # four digits are kept: half a unit of the last is 5e-4 of a number that starts with 1
    for ours, theirs in zip(found["trials"], report.entries[0].trials, strict=True):
        seen, error = zip(*theirs.curve, strict=True)
        assert tuple(ours["seen"]) == seen
        np.testing.assert_allclose(ours["error"], error, rtol=5e-4)


def test_errors_that_a_log_axis_cannot_show_are_left_out():
    drawn = curves(entry("4-1", fakes.trial(0, curve=((1, 0.0), (2, math.inf), (3, 0.5)))))
    assert drawn["trials"][0]["error"] == [None, None, 0.5]


def test_the_overview_contains_rows_with_both_means(report):
    first, second, third = overview(report.entries)["rows"]
    assert [row["name"] for row in (first, second, third)] == ["4-1", "1/rtrl-3", "6a"]
    assert 0 < first["low"] < first["ratio"] < first["high"]
    assert second["low"] == second["ratio"] == second["high"]  # one trial has no interval


def test_the_page_contains_figures_and_notes(page):
    text = re.sub(r"\s+", " ", page[: page.index("<noscript>")])
    for part in (
        "74,000",
        "2000 sequences in a row are right",
        "1 trial was stopped unsolved at the budget of 1,000,000 sequences",
        "1 trial was stopped because weights were no longer finite",
        "the paper does not say",
        "No learning curve was stored.",
        "3 trials of 2b (seed 0): they ran with other settings",
    ):
        assert part in text
    assert HOSTILE not in page


def test_without_the_extra_the_error_names_it(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[report\]'"):
        html(report)


def test_an_empty_report_is_a_page():
    assert "No trial has ended yet" in html(Report((), ()))


# --- median --------------------------------------------------------------------------------------


def test_the_median_is_that_of_all_trials():
    rng = np.random.default_rng(3)
    table = rng.uniform(0.1, 1.0, (7, 30))
    seen = range(10, 310, 10)
    trials = [
        fakes.trial(i, curve=tuple(zip(seen, row.tolist(), strict=True)))
        for i, row in enumerate(table)
    ]
    found = median_curve(trials)
    np.testing.assert_array_equal(found["seen"], np.unique(found["seen"]))
    points = np.isin(found["seen"], seen)  # between points, curves are interpolated
    assert points.sum() > 15
    at = np.array(found["seen"])[points] // 10 - 1
    # four digits are kept
    expected = np.median(table, axis=0)[at]
    np.testing.assert_allclose(np.array(found["error"])[points], expected, rtol=5e-4)


def test_the_median_stops_where_half_of_the_trials_have_ended():
    trials = [fakes.trial(i, curve=((10, 1.0), (100 * (i + 1), 0.5))) for i in range(5)]
    assert median_curve(trials)["seen"][-1] == 300


def test_a_diverged_trial_has_the_largest_error():
    good = [fakes.trial(i, curve=((10, 0.5), (20, 0.1))) for i in range(2)]
    bad = fakes.trial(2, curve=((10, math.nan), (20, math.nan)))
    assert median_curve([*good, bad])["error"][-1] == 0.1
    assert median_curve([good[0], bad, bad])["error"][-1] is None


def test_one_curve_has_no_median():
    assert median_curve([fakes.trial(0)]) == {"seen": [], "error": []}


# --- browser --------------------------------------------------------------------------------------


@pytest.mark.skipif(BROWSER is None, reason="needs the program chromium")
def test_a_browser_draws_every_plot(page, tmp_path):
    document, console = opened(page, tmp_path)
    assert console == []
    assert 'data-drawn="3"' in document  # the overview and two rows with curves
    plots = document.split('data-figure="')[1:]
    traces = {plot[: plot.index('"')]: plot.count('class="trace scatter') for plot in plots}
    assert traces["overview"] == 1
    assert traces["4-1"] == 3  # curves, their median, their ends
    assert traces["1/rtrl-3"] == 5  # the same, solved and not solved apart
    assert ">paper 74,000</text>" in document
    planted, console = opened(page.replace("</body>", "<img src=http://x.test/></body>"), tmp_path)
    assert len(console) == 1  # the check of the console works
    assert "Content Security Policy" in console[0]
    assert 'data-drawn="3"' in planted
