"""Mutation tests: break the kernels one line at a time, and expect the tests to fail.

    python -m mutants reference     # seconds
    python -m mutants native        # minutes: compiles the kernels once for each mutant
    python -m mutants               # both

Each mutant replaces one piece of text in a copy of one file. It is an error if the text does not
occur exactly once. With a mutant, one of the named test files must fail; without, all must pass.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutants.lists import NATIVE_LISTS, REFERENCE_LISTS, ROOT, TESTS, Mutant

NATIVE_FOLDER = ROOT / "native"
OPTIONS = ["-x", "-q", "--tb=no", "--no-header", "-p", "no:cacheprovider",
           "--hypothesis-profile", "mutants", "--rootdir", str(ROOT)]  # fmt: skip


# --- the reference: the code of its functions is replaced in place -------------------------------


def functions(module: types.ModuleType, name: str) -> Iterator[types.FunctionType]:
    """Yield every function and method that a module defines, in order of definition."""
    for each in vars(module).values():
        if getattr(each, "__module__", None) != name:
            continue
        members = vars(each).values() if isinstance(each, type) else [each]
        for member in members:
            member = getattr(member, "__func__", member)
            if isinstance(member, types.FunctionType) and member.__code__.co_filename != "<string>":
                yield member


@contextlib.contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Replace the code of the package's functions and methods by that of the mutant.

    It affects all modules that have imported them. Nothing but functions can be mutated.
    """
    path = mutant.path
    ours = importlib.import_module(f"carrousel.kernels.reference.{path.stem}")
    other = types.ModuleType(ours.__name__)
    exec(compile(mutant.source(), str(path), "exec"), vars(other))
    pairs = list(zip(functions(ours, ours.__name__), functions(other, ours.__name__), strict=True))
    kept = [old.__code__ for old, _ in pairs]
    assert [old.__qualname__ for old, _ in pairs] == [new.__qualname__ for _, new in pairs]
    for old, new in pairs:
        old.__code__ = new.__code__
    try:
        yield
    finally:
        for (old, _), code in zip(pairs, kept, strict=True):
            old.__code__ = code


def green(name: str) -> bool:
    """Return whether the tests of one file pass, in this process."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        outcome = pytest.main([*OPTIONS, str(TESTS / name)])
    if outcome not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"the tests could not be run:\n{quiet.getvalue()}")
    return outcome == pytest.ExitCode.OK


def reference_survivors(every: int = 1) -> Iterator[tuple[Mutant | None, bool]]:
    """Yield each mutant (first None: no mutation), and whether the tests passed.

    The file that failed for the previous mutant runs first, since neighbours in the list are alike.
    With ``every > 1`` only some mutants are used, and the tests without a mutation are omitted.
    """
    for mutants, tests in REFERENCE_LISTS.items():
        files = list(tests)
        if every == 1:
            yield None, all([green(name) for name in files])
        else:
            green(
                "contracts/test_learning.py"
            )  # loads the plugins of pytest before functions are replaced
        for mutant in mutants[::every]:
            with mutated(mutant):
                noticed = next((name for name in files if not green(name)), None)
            if noticed is not None:
                files.remove(noticed)
                files.insert(0, noticed)
            yield mutant, noticed is None


# --- the extension: recompiled, for the instruction set that compiles fastest --------------------


class Workshop:
    """Compiles copies of ``native/`` in a temporary folder; unchanged objects are reused."""

    def __init__(self, folder: Path) -> None:
        import nanobind

        compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
        if compiler is None:
            raise FileNotFoundError("no C++ compiler; set CXX")
        self.folder = folder
        self.plain = {str(path.relative_to(NATIVE_FOLDER)) for path in NATIVE_FOLDER.rglob("*.cc")}
        library = Path(nanobind.source_dir())
        includes = [sysconfig.get_path("include"), nanobind.include_dir(),
                    library.parent / "ext" / "robin_map" / "include"]  # fmt: skip
        self.compile = [compiler, "-std=gnu++20", "-O1", "-fPIC", "-w", "-fvisibility=hidden",
                        "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing", "-DNDEBUG",
                        "-DCARROUSEL_ISA=plain", "-DCARROUSEL_ISA_PLAIN=1",
                        *[f"-I{include}" for include in includes]]  # fmt: skip
        self.objects = {name: self._object(NATIVE_FOLDER, name) for name in self.plain}
        self.objects["nanobind"] = self._object(library, "nb_combined.cpp")

    def _object(self, root: Path, source: str, prefix: str = "") -> Path:
        """Compile a source file; ``root`` is its include folder."""
        made = self.folder / f"{prefix}{source.replace('/', '-')}.o"
        command = [*self.compile, f"-I{root}", "-c", str(root / source), "-o", str(made)]
        subprocess.run(command, check=True)
        return made

    def extension(self, mutant: Mutant | None) -> Path:
        """Return the shared library, with or without a mutation."""
        made = self.folder / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
        objects = dict(self.objects)
        if mutant is not None:
            copy = self.folder / "native"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(NATIVE_FOLDER, copy)
            changed = str(mutant.path.relative_to(NATIVE_FOLDER))
            (copy / changed).write_text(mutant.source(), encoding="utf-8")
            folder = changed.split("/")[0]
            users = {"paths": ["paths/paths.cc"], "sequence": ["sequence/sequence.cc"],
                     "stream": ["stream/stream.cc"], "chunker": ["chunker/chunker.cc"],
                     "sample": ["sample/fill.cc"],
                     "bind": ["bind/sample.cc", "bind/sequence.cc", "bind/strings.cc",
                              "bind/unmasked.cc"]}  # fmt: skip
            headers = users.get(folder, ["lanes/lanes.cc", "paths/paths.cc"])
            for source in [changed] if changed in objects else headers:
                objects[source] = self._object(copy, source, "mutated-")
        link = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
        command = [self.compile[0], "-shared", "-o", str(made), *link, *map(str, objects.values())]
        subprocess.run(command, check=True)
        return made


def native_survivors() -> Iterator[tuple[Mutant | None, bool]]:
    """Yield each mutant (first None: no mutation), and whether the tests passed."""
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        asked = {None: sorted({name for tests in NATIVE_LISTS.values() for name in tests})}
        for mutants, tests in NATIVE_LISTS.items():
            asked |= dict.fromkeys(mutants, tests)
        for mutant, tests in asked.items():
            library = workshop.extension(mutant)
            command = [sys.executable, "-m", "mutants", "--with", str(library), *tests]
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = subprocess.run(
                    command, cwd=TESTS, capture_output=True, text=True, timeout=600
                )
                if done.returncode > 1:
                    raise RuntimeError(done.stderr)
                yield mutant, done.returncode == 0
                continue
            yield mutant, False


def replace_extension(library: Path) -> None:
    """Make the package import another extension."""
    spec = importlib.util.spec_from_file_location("_native", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["carrousel._native"] = module


# --- the command ---------------------------------------------------------------------------------


def judge(outcomes: Iterator[tuple[Mutant | None, bool]]) -> bool:
    """Print one line per outcome; return whether all are as expected."""
    good = True
    for mutant, is_green in outcomes:
        right = is_green == (mutant is None)
        good = good and right
        what = "no mutation" if mutant is None else f"{Path(mutant.file).name}: {mutant.what}"
        verdict = ("green" if is_green else "red") + ("" if right else "  <-- WRONG")
        print(f"{what:64} {verdict}", flush=True)
    return good


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--with"]:
        replace_extension(Path(arguments[1]))
        return 0 if all(green(name) for name in arguments[2:]) else 1
    kinds = {
        "reference": reference_survivors,
        "native": native_survivors,
        "sample": lambda: reference_survivors(every=24),
    }
    chosen = arguments or ["reference", "native"]
    return 0 if all([judge(kinds[kind]()) for kind in chosen]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
