"""The import arrows, the size of files and the public names are rules; here they are enforced."""

from __future__ import annotations
import __future__

import ast
import fnmatch
import sys
import types
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import carrousel

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "carrousel"
MAX_LINES = 400

# A module imports from the ranks before its own. Names are first components below `carrousel`.
RANKS = (
    ("shapes",),
    ("files",),
    ("sequences",),
    ("contracts",),
    ("kernels", "cells", "tasks"),
    ("networks",),
    ("learners", "nn", "insight"),
    ("experiments", "online", "estimators"),
    ("cli",),
    ("__main__",),
)

# Inside `experiments`: small tools, the rows of the tables, what a worker does.
TOOLS = (
    "experiments.curve",
    "experiments.seeds",
    "experiments.settings",
    "experiments.statistics",
    "experiments.stopping",
)
ROWS = (
    "experiments.paper1997*",
    "experiments.rivals",
    "experiments.far",
    "experiments.gradients",
    "experiments.vowels",
    "experiments.tour",
)

# Modules of one package import each other only where a row says so: importer, may import.
SIBLINGS = (
    ("contracts.network", ("contracts.cells",)),
    ("contracts.learning", ("contracts.network", "contracts.cells")),
    ("contracts.streaming", ("contracts.network", "contracts.learning")),
    ("contracts.study", ("contracts.network", "contracts.learning")),
    ("kernels.reference_paths", ("kernels.reference_layers", "kernels.signs")),
    ("kernels.native", ("kernels.signs",)),
    ("kernels.autograd*", ("kernels.autograd_*", "kernels.sequence", "kernels.described")),
    ("kernels.sequence", ("kernels.described",)),
    ("kernels.reference_sequence", ("kernels.reference_sequence_cells",)),
    ("nn.*", ("nn.*",)),
    ("online.*", ("online.*",)),
    ("kernels.reference_truncated", ("kernels.reference_layers",)),
    ("kernels.reference_stream", ("kernels.reference", "kernels.reference_*", "kernels.signs")),
    (
        "kernels.stream",
        ("kernels.reference_layers", "kernels.reference_paths", "kernels.stream_checks"),
    ),
    ("tasks.continual", ("tasks.reber",)),
    ("kernels.memory", ("kernels.reference_paths",)),
    ("kernels.reference", ("kernels.reference_*", "kernels.signs")),
    ("learners.*", ("learners.update",)),
    ("learners.guess", ("learners.guess_run",)),
    ("learners.chunker_data", ("learners.chunker_nets",)),
    ("learners.chunker", ("learners.chunker_data", "learners.chunker_nets")),
    ("learners.compressor", ("learners.chunker_data", "learners.chunker_nets")),
    ("learners.cascade_train", ("learners.cascade_batch",)),
    ("learners.cascade_lane", ("learners.cascade_batch", "learners.cascade_train")),
    ("learners.cascade", ("learners.cascade_*",)),
    ("learners.elman", ("learners.gradient",)),
    ("learners.gradient", ("learners.gradient_*",)),
    ("learners.batch", ("learners.gradient", "learners.batch_*")),
    ("networks.recurrent", ("networks.topology", "networks.weights")),
    ("experiments.paper1997*", (*TOOLS, "experiments.paper1997*")),
    ("experiments.rivals", ("experiments.paper1997*",)),
    ("experiments.far", TOOLS),
    ("experiments.gradients", (*TOOLS, "experiments.paper1997*")),
    ("experiments.vowels", TOOLS),
    ("experiments.tour", (*TOOLS, *ROWS)),
    ("experiments.store", TOOLS),
    ("experiments.store_packed", (*TOOLS, "experiments.store")),
    ("experiments.lanes", TOOLS),
    ("experiments.clusters", (*TOOLS, "experiments.lanes")),
    (
        "experiments.runner",
        (*TOOLS, *ROWS, "experiments.store", "experiments.lanes", "experiments.clusters"),
    ),
    ("experiments.vary", TOOLS),
    ("experiments.recipes", (*ROWS, "experiments.recipes_*", "experiments.vary")),
    ("cli.running", ("cli.screen",)),
    ("cli.options", ("cli.running",)),
    ("cli.stream*", ("cli.stream_*", "cli.options", "cli.order", "cli.screen")),
    ("cli.study", ("cli.options", "cli.order", "cli.running", "cli.screen")),
    ("experiments.verdict", (*TOOLS, "experiments.report_words")),
    ("experiments.survival_plot", (*TOOLS, "experiments.report_words")),
    (
        "experiments.report_study*",
        ("experiments.vary", "experiments.verdict", "experiments.survival_plot"),
    ),
    ("experiments.report*", (*TOOLS, *ROWS, "experiments.store", "experiments.report*")),
)

# Everything from outside the standard library, and the modules that may import it.
OUTSIDE = {
    "numpy": ("*",),
    "jaxtyping": ("shapes",),
    "carrousel._native": ("kernels.native*", "kernels.sequence*", "kernels.stream"),
    "joblib": ("experiments.runner*", "experiments.clusters"),
    "dask": ("experiments.clusters",),
    "distributed": ("experiments.clusters",),
    "ray": ("experiments.clusters",),
    "typer": ("cli*",),
    "rich": ("cli*", "experiments.report*"),
    "scipy": ("experiments.statistics",),
    "jinja2": ("experiments.report*",),
    "plotly": ("experiments.report*",),
    "aeon": ("tasks.vowels",),
    "torch": ("kernels.autograd*", "nn*"),
    "safetensors": ("nn*", "online*"),
    "sympy": ("nn.equations*",),
    "numba": ("nn.equations*",),
    "llvmlite": ("nn.equations*",),
    "sklearn": ("estimators*",),
    "river": ("online*",),
    "pyarrow": ("online.rows*", "online.sinks*", "online.table*"),
    "confluent_kafka": ("online.kafka*",),
    "matplotlib": ("insight*", "experiments.survival_plot"),
    "onnx": ("nn*",),
}

RANK_OF = {name: rank for rank, names in enumerate(RANKS) for name in names}


def modules(source: Path) -> dict[str, Path]:
    """Dotted name below `carrousel` -> file; a package goes by its own name, the root by ""."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """Absolute dotted names that a module imports, wherever in it, and their lines.

    `from package import thing` means the module `package.thing` if there is one, else `package`.
    """
    own_package = ["carrousel", *(name.split(".") if name else [])]
    if path.name != "__init__.py":
        own_package.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            up = own_package[: len(own_package) + 1 - node.level] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                is_module = full == "carrousel._native" or full.removeprefix("carrousel.") in known
                yield (full if is_module else base), node.lineno


def may_import(importer: str, target: str, *, is_package: bool) -> bool:
    """Whether one module of ours may import another; names are below `carrousel`."""
    if importer == "" or (is_package and target.startswith(importer + ".")):
        return True  # an __init__ re-exports what lies below it
    if importer == target or target == "":
        return False
    here, there = importer.split(".")[0], target.split(".")[0]
    if here not in RANK_OF or there not in RANK_OF:
        return False
    if here != there:
        return RANK_OF[there] < RANK_OF[here]
    return any(
        fnmatch.fnmatchcase(importer, pattern) and fnmatch.fnmatchcase(target, allowed)
        for pattern, targets in SIBLINGS
        for allowed in targets
    )


def broken_arrows(source: Path) -> list[str]:
    """Every import that the tables above do not allow, as `module:line imports target`."""
    known = modules(source)
    graph: dict[str, set[str]] = {name: set() for name in known}
    broken = []
    for name, path in known.items():
        for target, line in imported(name, path, known):
            top = target.split(".")[0]
            if top == "carrousel" and target != "carrousel._native":
                inner = target.removeprefix("carrousel").removeprefix(".")
                graph[name].add(inner)
                allowed = may_import(name, inner, is_package=path.name == "__init__.py")
            else:
                key = target if top == "carrousel" else top
                allowed = key in sys.stdlib_module_names or any(
                    fnmatch.fnmatchcase(name, pattern) for pattern in OUTSIDE.get(key, ())
                )
            if not allowed:
                broken.append(f"{name or '__init__'}:{line} imports {target}")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        broken.append("cycle: " + " > ".join(error.args[1]))
    return broken


def python_files() -> list[Path]:
    folders = ("src", "tests", "benchmarks")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_imports_follow_the_arrows():
    assert broken_arrows(SOURCE) == []


def test_every_module_has_a_rank():
    tops = {name.split(".")[0] for name in modules(SOURCE)} - {""}
    assert sorted(tops - set(RANK_OF)) == []


def test_every_folder_is_a_package():
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert sorted(str(f) for f in folders if not (f / "__init__.py").exists()) == []


def test_files_are_short():
    files = [*python_files(), *(ROOT / "native").glob("*.*")]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    too_long = {str(p.relative_to(ROOT)): n for p, n in lengths.items() if n >= MAX_LINES}
    assert too_long == {}


def test_annotations_are_postponed_everywhere():
    missing = []
    for path in python_files():
        body = ast.parse(path.read_text(encoding="utf-8")).body
        postponed = any(
            isinstance(node, ast.ImportFrom)
            and node.module == "__future__"
            and any(alias.name == "annotations" for alias in node.names)
            for node in body
        )
        if body and not postponed:
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def test_public_names_agree():
    names = carrousel.__all__
    assert len(names) == len(set(names))
    for name in names:
        getattr(carrousel, name)
    visible = {
        name
        for name, value in vars(carrousel).items()
        if not name.startswith("_")
        and not isinstance(value, (types.ModuleType, __future__._Feature))
    }
    assert sorted(visible - set(names)) == []


GOOD = {
    "__init__.py": "from carrousel.sequences import Sequences as Sequences\n",
    "shapes.py": "import math\nimport numpy as np\n",
    "sequences.py": "from carrousel.shapes import check\n",
    "contracts.py": "from .sequences import Sequences\n",
    "kernels/__init__.py": "from carrousel.kernels.native.lanes import run\nfrom . import reference\n",
    "kernels/reference/lanes.py": "from carrousel import contracts\n",
    "kernels/native/lanes.py": "from carrousel import _native\n",
    "tasks/__init__.py": "",
    "tasks/lags.py": "from carrousel.contracts import Task\n",
    "networks/recurrent.py": "from .weights import a\nfrom carrousel.kernels import reference\n",
    "contracts/initial.py": "",
    "learners/lanes.py": "",
    "learners/bptt.py": "from carrousel.learners.lanes import step\n",
    "experiments/paper/lstm.py": "",
    "experiments/run/runner.py": "import joblib\nfrom . import paper1997\n",
    "cli.py": "import typer\nfrom carrousel.experiments import runner\n",
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_checker_accepts_the_layout(tmp_path):
    assert broken_arrows(write(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("shapes.py", "import carrousel.sequences", "shapes:1 imports carrousel.sequences"),
        ("shapes.py", "import requests", "shapes:1 imports requests"),
        ("contracts.py", "import carrousel", "contracts:1 imports carrousel"),
        ("contracts.py", "from . import Sequences", "contracts:1 imports carrousel"),
        (
            "tasks/lags.py",
            "def f():\n    from ..kernels import reference",
            "tasks.lags:2 imports carrousel.kernels.reference.lanes",
        ),
        (
            "tasks/noise.py",
            "from carrousel.tasks import lags",
            "tasks.noise:1 imports carrousel.tasks.lags",
        ),
        ("tasks/noise.py", "from . import Task", "tasks.noise:1 imports carrousel.tasks"),
        (
            "kernels/native/lanes.py",
            "from .reference import f",
            "kernels.native:1 imports carrousel.kernels.reference.lanes",
        ),
        (
            "kernels/reference/lanes.py",
            "from carrousel._native import f",
            "kernels.reference:1 imports carrousel._native",
        ),
        (
            "learners/lanes.py",
            "from carrousel.learners.bptt import f",
            "cycle: learners.bptt > learners.update > learners.bptt",
        ),
        (
            "learners/rtrl.py",
            "from carrousel.learners.bptt import f",
            "learners.rtrl:1 imports carrousel.learners.bptt",
        ),
        (
            "experiments/store/store.py",
            "from carrousel.experiments.run.runner import f",
            "experiments.store:1 imports carrousel.experiments.run.runner",
        ),
        ("learners/rtrl.py", "import torch", "learners.rtrl:1 imports torch"),
        ("cli.py", "from sklearn.base import f", "cli:1 imports sklearn.base"),
        ("attic.py", "import carrousel.shapes", "attic:1 imports carrousel.shapes"),
    ],
)
def test_checker_rejects_a_planted_violation(tmp_path, file, text, expected):
    broken = broken_arrows(write(tmp_path, {**GOOD, file: text}))
    assert any(set(row.split()) == set(expected.split()) for row in broken), broken
