"""What the documentation shows is what the program does."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


sys.path.append(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_examples_of_the_readme_run():
    found = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "derivations").glob("*.md")), ids=lambda page: page.stem
)
def test_examples_of_derivations_run(page: Path):
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 3
    assert found.failed == 0


def test_generated_parts_are_current(generate):
    """Tables come from the committed runs: an edited figure or a changed setting shows here."""
    for path, text in generate.documents().items():
        assert path.read_text(encoding="utf-8") == text, "stale: run `python docs/generate.py`"


def test_every_experiment_is_in_a_table(generate):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rivals = (ROOT / "docs" / "rivals.md").read_text(encoding="utf-8")
    for name, row in generate.EXPERIMENTS.items():
        group, _, rest = name.partition("/")
        cells = f"| {rest.split('-')[0]} | {row.learner} |" if group == "adding" else f"| {name} |"
        assert cells in (rivals if "/" in name else readme), name
