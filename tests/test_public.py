"""The public names: the module, what type checkers see, and the page that lists them agree."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import carrousel
from carrousel import errors
from support.paths import ROOT

SOURCE = ROOT / "src" / "carrousel"


def test_the_module_shows_its_public_names_alone():
    assert dir(carrousel) == sorted(carrousel.__all__)
    assert len(set(carrousel.__all__)) == len(carrousel.__all__)
    for name in carrousel.__all__:
        assert getattr(carrousel, name) is not None


def test_type_checkers_see_the_public_names():
    """Names are imported lazily, so that a checker reads them under TYPE_CHECKING."""
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    seen = {"__version__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("carrousel"):
            seen |= {alias.asname for alias in node.names if alias.asname}
    assert seen == set(carrousel.__all__)


def test_every_exception_is_public_and_has_one_home():
    ours = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, errors.CarrouselError)
        and not name.startswith("_")
    }
    assert ours <= set(carrousel.__all__)
    elsewhere = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and path.name != "errors.py":
                bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                if bases & ours:
                    elsewhere.append(f"{path.relative_to(SOURCE)}: {node.name}")
    assert elsewhere == []


def test_the_page_of_the_interface_lists_the_public_names():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = [
        line.removeprefix("### `carrousel.").removesuffix("`")
        for line in text.splitlines()
        if line.startswith("### `carrousel.") and line.count(".") == 1
    ]
    assert sorted(listed) == sorted(carrousel.__all__)


def test_importing_the_package_is_light():
    """Nothing but the package itself is loaded before a name is used, NumPy neither."""
    code = "import sys, carrousel; print(sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert not loaded & {"numpy", "scipy", "torch", "typer", "rich", "joblib", "safetensors"}


def test_the_package_runs_as_a_module(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "carrousel", "--version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["carrousel", carrousel.__version__]


def test_a_missing_extra_is_an_attribute_that_is_missing():
    """As hasattr(), help() and inspect expect; an import statement names the extra."""
    code = """
        import sys
        sys.modules["torch"] = None
        import carrousel
        assert not hasattr(carrousel, "nn")
        try:
            from carrousel import nn
        except carrousel.MissingExtraError as error:
            assert "carrousel[torch]" in str(error), error
        else:
            raise AssertionError
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
