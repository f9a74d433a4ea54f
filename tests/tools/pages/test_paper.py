"""The paper: its figures come from the store, and nowhere else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from tools.pages.paper.mechanisms import dead_outputs, drift
from tools.pages.paper.outcomes import RowOutcome, outcomes, total
from tools.pages.paper.page import paper_pages
from tools.pages.paper.ratios import ratios_svg
from tools.pages.paper.references import REFERENCES, Citations
from tools.pages.paper.tables import PENDING, groups
from tools.pages.render import TEMPLATES

from carrousel.contracts import Experiment
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.judge.verdict import verdict
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.report.collect import Report, collect, unstored
from carrousel.experiments.store.store import Store
from support.experiments import fakes

pytest.importorskip("jinja2", reason="needs the extra 'report'")

TEMPLATE = TEMPLATES / "paper.md.jinja"


def put(store: Store, experiment: Experiment, ratio: float) -> None:
    """Store solved trials whose mean is ``ratio`` times the printed one."""
    printed, trials = experiment.published.sequences or 0, experiment.published.trials
    for n in range(trials):
        ended = fakes.trial(
            n,
            experiment.name,
            ending="solved",
            sequences=round(printed * ratio * (0.5 + n / (trials - 1))),
            seconds=2.0,
        )
        store.append(ended, experiment, instruction_set="none")


def paper(folder: Path) -> dict[str, str]:
    with Store(folder, read_only=True) as store:
        return paper_pages(store, collect(store, EXPERIMENTS), None)


def cells(text: str, name: str) -> list[list[str]]:
    """Rows of all tables whose first cell is ``name``."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_figures_come_from_the_store(tmp_path):
    with Store(tmp_path) as store:
        for name, ratio in (("6a", 0.5), ("4-1", 1.0)):
            put(store, LSTM_ROWS[name], ratio)
        put(store, by_recipe(LSTM_ROWS["6a"], "principle"), 2.0)
    found = paper(tmp_path)
    text = found["paper.md"]
    mean = LSTM_ROWS["6a"].published.sequences
    assert mean is not None
    own, strict = cells(text, "6a")
    assert own[1:6] == ["2", "100 %", f"{mean:,}", "20 of 20", f"{round(mean / 2):,}"]
    assert own[-2:] == ["0.50", "faster"]
    assert strict[-3:] == ["2.00", "slower", "0.50"]
    assert "gradient, 30 trials." in " ".join(text.split())
    assert f"Our mean counts are {PENDING} to {PENDING} times" in text.replace("\n", " ")
    assert "1 reproduced (4-1); 1 faster (6a); 29 pending" in text
    for name in LSTM_ROWS:
        assert len(cells(text, name)) >= 2, name
    written = "".join(ElementTree.fromstring(found["ratios.svg"]).itertext())
    assert "0.50" in written
    assert written.count("pending") == len(LSTM_ROWS) - 2


def test_sums_are_shown_when_all_rows_have_a_verdict(tmp_path):
    entries = []
    for place, (name, row) in enumerate(LSTM_ROWS.items()):
        middle = (row.published.sequences or 0) * (0.5 if place else 1.1)
        ended = [
            fakes.trial(n, name, ending="solved", sequences=round(middle * (0.9 + 0.2 * (n % 2))))
            for n in range(30)
        ]
        entries.append(unstored(row, ended, 0, 1.0, asked=30))
    Store(tmp_path).close()
    with Store(tmp_path, read_only=True) as store:
        pages = paper_pages(store, Report(tuple(entries), ()), None)
    text = " ".join(pages["paper.md"].split())
    departing = sum(any(each.departs for each in row.readings) for row in LSTM_ROWS.values())
    assert f"31 of 31 rows come out, {departing} of these with" in text
    assert "Our mean counts are 0.50 to 1.10 times the printed ones (median 0.50)" in text
    assert "Of 930 trials, 930 were solved. In Experiment 1 they were 150 of 150" in text
    assert "amounts to 148 of 150" in text


def test_mechanisms_are_cited_if_measured(tmp_path):
    def start(gates: float, biases: float) -> dict:
        return {
            "start": {"state": 65.5, "slope": 0.03, "update": {"gates": gates, "biases": biases}}
        }

    measured = {
        "experiment-2c": {"2c-9 printed": start(2396, 0), "2c-9 gates-only": start(0.03, 0)},
        "experiment-4": {"4-3 bias-all": start(1, 608), "4-3 bias-gates": start(1, 1.1)},
    }
    assert drift(measured) is None
    freed = {"dead": 9, "floor": {"dead": [600, 900]}, "as before": {"dead": []}}
    found = {f"{row} direct": freed for row in ("1-1", "1-4")}
    assert dead_outputs({"experiment-1": found}) is None
    found["1-1 printed"] = {"cells": {"state": 17.6, "outer": 0.5189}}
    cited = dead_outputs({"experiment-1": found})
    assert cited is not None
    assert [cited[name] for name in ("dead", "freed", "alone", "outer")] == ["18", "4", "0", "52 %"]
    measured["experiment-2c"]["2c-1 printed"] = start(11, 0)
    Store(tmp_path).close()
    with Store(tmp_path, read_only=True) as store:
        report = collect(store, EXPERIMENTS)
        plain = paper_pages(store, report, None)["paper.md"]
        pictures = ["README.md", "mechanism-2c.svg"]
        full = paper_pages(store, report, None, None, measured, pictures)["paper.md"]
    assert "2,400 (row 2c-1" in full
    assert "networks become right" not in full
    assert "](../reproduction/mechanism-2c.svg)" in full
    assert "**Figure 3.**" in full
    assert "row 2c-9" not in plain
    assert "**Figure 3.**" not in plain


def test_missing_figures_are_marked(tmp_path):
    Store(tmp_path).close()
    text = paper(tmp_path)["paper.md"]
    assert text.count(PENDING) > 5
    assert f"{len(LSTM_ROWS)} pending" in text


def test_no_figure_is_typed_into_the_template():
    """Digits may occur in formulas, in code, in years, and where the original is cited."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for allowed in (
        r"\{\{.*?\}\}|\{%.*?%\}",
        r"\$\$.*?\$\$",
        r"`[^`\n]*`",
        r"<div[^>]*>",
        r"\b(19|20)\d\d\b",
        r"\(\d+\)",  # equations of the original
        r"\bExperiments?\s\d[abc]?((,|\s+and|\s+to)\s+\d[abc]?)*",
        r"\b[1-6][abc](-\d)?\b",  # rows and experiments by name
        r"\b95 % interval",
    ):
        text = re.sub(allowed, "", text, flags=re.DOTALL)
    formulas = re.findall(r"\$[^$\n]+\$", text)
    assert not re.findall(r"[3-9]|\d\d", " ".join(formulas)), "a figure is typed as a formula"
    text = re.sub(r"\$[^$]+\$", "", text)
    assert not [line for line in text.splitlines() if re.search(r"\d", line)]


def test_references_are_cited_and_sorted():
    text = TEMPLATE.read_text(encoding="utf-8")
    cited = set(re.findall(r'"(\w+)"', " ".join(re.findall(r"cite\.\w+\((.*?)\)", text))))
    assert cited == set(REFERENCES)
    entries = [one.entry for one in REFERENCES.values()]
    assert entries == sorted(entries)
    for one in REFERENCES.values():
        assert f"({one.year})" in one.entry
        assert one.entry.startswith(one.who.split(" ")[0])
    cite = Citations()
    assert cite.brackets("lancaster", "efron") == "(Lancaster, 1961; Efron, 1987)"
    assert cite.listed().count("\n- ") == 1
    with pytest.raises(KeyError):
        cite.text("unknown")


def test_pictures_are_well_formed_and_ordered():
    row = LSTM_ROWS["6a"]
    found = []
    for scale in (0.01, 0.4, 1.0, 3.0, 100.0):
        count = round((row.published.sequences or 0) * scale)
        ended = [
            fakes.trial(n, row.name, ending="solved", sequences=count + n)
            for n in range(row.published.trials)
        ]
        entries = outcomes({"6a": row}, {})
        assert not entries[0].judged
        found.append(RowOutcome("6a", row, None, verdict(row, ended)))
    picture = ElementTree.fromstring(ratios_svg(found))
    points = [float(one.attrib["cx"]) for one in picture.iter() if one.tag.endswith("circle")]
    assert points == sorted(points)
    assert points[2] == pytest.approx(277, abs=1)  # a ratio of 1, in the middle of the axis
    assert total(found).met == 3


def test_rows_are_listed_by_experiment():
    assert groups(LSTM_ROWS) == "1, 2a, 2b, 2c, 3a, 3b, 3c, 4, 5, 6a, 6b"
    assert groups(["1-1", "3b-3"]) == "1-1, 3b-3"
