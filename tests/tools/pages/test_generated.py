"""Generated documents: the committed ones are current, complete, and come from templates."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path

import pytest
from tools.pages.render import TEMPLATES

from carrousel.errors import MissingExtraError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.beyond.gradients import GRADIENT_ROWS
from tools.pages import __main__ as pages
from tools.pages import render

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def documents() -> dict[Path, str]:
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    pytest.importorskip("jinja2", reason="needs the extra 'report'")
    return pages.documents()


def pinned(package: str) -> str:
    """The version in constraints.txt."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^{package}==(\S+)$", text, flags=re.MULTILINE)
    return found


def test_committed_documents_are_current(documents):
    """An edited figure, template or setting shows here."""
    same_matplotlib = version("matplotlib") == pinned("matplotlib")
    for path, text in documents.items():
        now = path.read_text(encoding="utf-8")
        if path.suffix == ".svg" and not same_matplotlib:
            assert ElementTree.fromstring(now).tag.endswith("svg")
        else:
            assert now == text, f"stale: {path.name}; run `python -m tools.pages`"


def test_the_folder_of_generated_pages_holds_nothing_else(documents):
    folder = ROOT / "docs" / "reproduction"
    assert {path for path in documents if path.parent == folder} == set(folder.iterdir())


def test_every_measurement_is_shown_and_every_template_is_used(documents):
    shown = {path.stem for path in documents}
    # parts of docs/reproduction, docs/rivals.md, docs/step.md, docs/gradients.md and
    # docs/real_streams.md; docs/estimators_results.md
    parts = {"calls", "far", "gradients", "made_up_streams", "mechanisms", "stream_gradients"}
    parts |= {"estimators", "larger"}
    assert {path.stem for path in pages.RESULTS.glob("*.json")} <= shown | parts
    one = {"experiment"}  # of docs/reproduction/experiment-*.md
    templates = {path.name.partition(".")[0] for path in TEMPLATES.rglob("*.jinja")}
    assert templates <= shown | one


def test_every_experiment_is_in_a_table():
    readme, beyond, rivals = (
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("README.md", "docs/reproduction/README.md", "docs/rivals.md")
    )
    for name, row in EXPERIMENTS.items():
        group, _, rest = name.partition("/")
        if name in GRADIENT_ROWS:
            assert f"| {rest.split('-')[0]} | {row.learner} |" in rivals, name
        elif group in ("lag", "adding"):
            assert f"| {name} |" in beyond, name
        else:
            assert f"| {name} |" in (rivals if rest else readme), name


def test_measured_figures_are_on_the_pages(documents):
    """Computed here from the saved results, without the pages' own code."""
    results = {
        name: json.loads((pages.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("step", "stream", "vowels")
    }
    times = [row["us"] for row in results["step"]["rows"] if "us" in row]
    wanted = {"step": [f"{us['median']:.2f} ({us['p99']:.2f})" for us in times]}
    wanted["stream"] = [f"| {row['weights']:,} |" for row in results["stream"]["rows"]]
    wanted["stream"].append(f"| {results['stream']['soak']['steps']:,} |")
    wanted["vowels"] = [
        f"{row['score']:.2f} ± {row['spread']:.2f} | {row['squared_error']:.4f}"
        for group in ("wide", "near")
        for row in results["vowels"][group]
    ]
    for name, figures in wanted.items():
        text = documents[ROOT / "docs" / f"{name}.md"]
        for figure in figures:
            assert figure in text, (name, figure)


def test_a_missing_variable_of_a_template_is_an_error():
    jinja2 = pytest.importorskip("jinja2", reason="needs the extra 'report'")
    with pytest.raises(jinja2.UndefinedError, match="times"):
        render.render("step.md")


def test_without_jinja2_the_error_names_the_extra(monkeypatch):
    render._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[report\]'"):
        render.render("step.md")
    render._environment.cache_clear()
