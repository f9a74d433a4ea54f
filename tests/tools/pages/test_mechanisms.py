"""Sections of the pages that show why readings fail or work, from saved measurements."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from tools.mechanisms.__main__ import MECHANISMS, RESULTS
from tools.pages.reproduction import mechanisms
from tools.pages.reproduction.rows import LARGEST_PICTURE, PAGES

pytest.importorskip("jinja2", reason="needs the extra 'report'")


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def test_all_parts_have_been_measured(measured):
    assert {page: list(parts) for page, parts in measured.items()} == {
        page: list(parts) for page, parts in MECHANISMS.items()
    }
    assert {f"{page}.md" for page in measured} <= set(PAGES)


def test_sections_show_the_measured_figures(measured):
    """Computed here from the saved results, without the pages' own formats where possible."""
    found = {page: mechanisms.section(page, each) for page, each in measured.items()}
    for page, text in found.items():
        assert text.startswith("## Mechanism: ")
        assert f"]({mechanisms.picture_name(page)})" in text
    gates = measured["experiment-2c"]["2c-9 printed"]["start"]["update"]["gates"]
    assert f"{gates:,.0f} for q = 1000" in found["experiment-2c"]
    freed = measured["experiment-1"]["1-4 direct"]
    rows = [f"{len(freed[way]['dead'])} of {freed['dead']}" for way in ("as before", "floor")]
    assert f"| {' | '.join(rows)} |" in found["experiment-1"]
    cost = measured["experiment-2b"]["every step"]["cost"]
    assert f"{cost:.3g} in a sequence" in found["experiment-2b"]
    lines = found["experiment-4"].splitlines()
    assert sum(line.startswith("| 4-") for line in lines) == 9


def test_a_page_without_measurements_has_no_section():
    assert mechanisms.section("experiment-3", None) == ""
    assert mechanisms.section("experiment-4", {}) == ""


def test_pictures_are_small_and_show_all_readings(measured):
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    drawn = mechanisms.pictures(measured)
    assert set(drawn) == {mechanisms.picture_name(page) for page in measured}
    for name, text in drawn.items():
        assert len(text) < LARGEST_PICTURE, name
        assert ElementTree.fromstring(text).tag.endswith("svg")
    written = "".join(ElementTree.fromstring(drawn["mechanism-2c.svg"]).itertext())
    for reading in mechanisms.WIRINGS:
        assert reading in written


def stage(inputs: float, gates: float, biases: float) -> dict[str, Any]:
    return {
        "state": 2.0,
        "spread": 1.0,
        "slope": 0.25,
        "constant": 0.1,
        "drift": 1.5,
        "correlation": None,
        "growth": 0.0,
        "update": {"inputs": inputs, "gates": gates, "cells": 0.0, "biases": biases},
    }


def test_a_table_of_drift_has_its_figures():
    found = {"lag": 1012, "start": stage(3.0, 1.0, 0.5), "learned": stage(1.0, 0.0, 0.0)}
    assert mechanisms.useful(found["start"]) == 2.0
    assert mechanisms.useful(found["learned"]) is None
    *_, line = mechanisms.drift({"r all": found}, ["r"], ["all"]).splitlines()
    absent = "–"  # noqa: RUF001
    wanted = ["r", "1,012", "all", "0.1", "1.5", absent, "0", "2 ± 1", "0.25"]
    wanted += ["3", "1", "0", "0.5", "2", "2", "0.25", absent]
    assert [cell.strip() for cell in line.strip("|").split("|")] == wanted
