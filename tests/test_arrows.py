"""Rules of the layout: which module may import which, and how long a file may be."""

from __future__ import annotations

import ast
import fnmatch
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from support.arrows import OUTSIDE, RANKS, ROOMS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "carrousel"
MAX_LINES = 400

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
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # A module's full name in a string is an import by `import_module`, or as good as one.
            # (The bare name of a package is also the name of a file format.)
            package, _, inner = node.value.partition(".")
            if package == "carrousel" and inner in known and not known[inner].match("__init__.py"):
                yield node.value, node.lineno


def room_of(name: str) -> str:
    """The room a module lies in: a folder below its package, or its file there."""
    return ".".join(name.split(".")[:2])


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
    room, other = room_of(importer), room_of(target)
    return room == other or other in ROOMS.get(room, ())


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
    folders = ("src", "tests", "benchmarks", "tools")
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
    files = [*python_files(), *(ROOT / "native").glob("*/*.*")]
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


GOOD = {
    "__init__.py": "from carrousel.sequences import Sequences as Sequences\n",
    "shapes.py": "import math\nimport numpy as np\n",
    "checks.py": "from carrousel.shapes import Floats\n",
    "sequences.py": "from carrousel.checks import check\n",
    "contracts/__init__.py": "from .learning import Training as Training\n",
    "contracts/learning.py": "from carrousel.sequences import Sequences\n",
    "kernels/__init__.py": "from carrousel.kernels.native.lanes import run\n",
    "kernels/reference/__init__.py": "",
    "kernels/reference/layers.py": "from carrousel import contracts\n",
    "kernels/reference/lanes.py": "from carrousel.kernels.reference.layers import f\n",
    "kernels/native/__init__.py": "",
    "kernels/native/lanes.py": "from carrousel import _native\n",
    "tasks/__init__.py": "",
    "tasks/lags.py": "from carrousel.contracts import Task\n",
    "learners/lanes.py": "",
    "learners/guess/__init__.py": "",
    "learners/guess/learner.py": "from carrousel.learners.lanes import step\n",
    "experiments/run/__init__.py": "",
    "experiments/run/runner.py": "import joblib\nfrom carrousel.experiments import stopping\n",
    "experiments/stopping.py": "",
    "cli/__init__.py": "import typer\nfrom carrousel.experiments.run import runner\n",
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
        ("checks.py", "import carrousel", "checks:1 imports carrousel"),
        ("tasks/noise.py", "from . import Task", "tasks.noise:1 imports carrousel.tasks"),
        (
            "tasks/noise.py",
            "def f():\n    from ..kernels.reference import lanes",
            "tasks.noise:2 imports carrousel.kernels.reference.lanes",
        ),
        (
            "tasks/noise.py",
            "from carrousel.tasks import lags",
            "tasks.noise:1 imports carrousel.tasks.lags",
        ),
        (
            "kernels/reference/layers.py",
            "from ..native.lanes import f",
            "kernels.reference.layers:1 imports carrousel.kernels.native.lanes",
        ),
        (
            "kernels/reference/layers.py",
            "import_module('carrousel.kernels.native.lanes')",
            "kernels.reference.layers:1 imports carrousel.kernels.native.lanes",
        ),
        (
            "kernels/reference/layers.py",
            "from carrousel._native import f",
            "kernels.reference.layers:1 imports carrousel._native",
        ),
        (
            "kernels/reference/layers.py",
            "from carrousel.kernels.reference.lanes import f",
            "cycle: kernels.reference.layers > kernels.reference.lanes > kernels.reference.layers",
        ),
        (
            "learners/rtrl/learner.py",
            "from carrousel.learners.guess.learner import f",
            "learners.rtrl.learner:1 imports carrousel.learners.guess.learner",
        ),
        (
            "experiments/stopping.py",
            "from carrousel.experiments.run.runner import f",
            "experiments.stopping:1 imports carrousel.experiments.run.runner",
        ),
        ("learners/rtrl.py", "import torch", "learners.rtrl:1 imports torch"),
        ("cli/fit.py", "from sklearn.base import f", "cli.fit:1 imports sklearn.base"),
        ("attic.py", "import carrousel.shapes", "attic:1 imports carrousel.shapes"),
    ],
)
def test_checker_rejects_a_planted_violation(tmp_path, file, text, expected):
    broken = broken_arrows(write(tmp_path, {**GOOD, file: text}))
    assert any(set(row.split()) == set(expected.split()) for row in broken), broken


def test_rooms_do_not_import_each_other_in_a_circle():
    """The table of rooms has no circle, however many imports between files it allows."""
    TopologicalSorter({room: set(others) for room, others in ROOMS.items()}).prepare()


def test_every_room_exists_and_every_arrow_is_used():
    """The table lists the arrows in use: an arrow that no import needs is taken out."""
    known = modules(SOURCE)
    used = {
        (room_of(name), room_of(target.removeprefix("carrousel.")))
        for name, path in known.items()
        for target, _ in imported(name, path, known)
        if target.startswith("carrousel.")
    }
    listed = {(room, other) for room, others in ROOMS.items() for other in others}
    assert sorted(listed - used) == []
    assert sorted(room for room in ROOMS if room not in {room_of(name) for name in known}) == []
