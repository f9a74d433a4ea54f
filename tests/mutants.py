"""Breaks the kernels on purpose, one line at a time, and asks the suite to notice.

    python tests/mutants.py reference     # seconds
    python tests/mutants.py native        # minutes: compiles the kernels once for each mutant
    python tests/mutants.py               # both

Each mutant replaces one piece of text in a copy of one file. Text that is not found exactly once is
an error: a mutant that no longer applies tests nothing. A mutant must turn the tests named with it
red; without a mutant the same tests must be green.
"""

from __future__ import annotations

import contextlib
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
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
OPTIONS = ["-x", "-q", "--tb=no", "--no-header", "-p", "no:cacheprovider",
           "--hypothesis-profile", "mutants", "--rootdir", str(ROOT)]  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One way to be wrong."""

    what: str
    file: str
    old: str
    new: str

    def applied(self, text: str) -> str:
        """The text with the mutation; an error unless there is exactly one place for it."""
        found = text.count(self.old)
        if found != 1:
            raise LookupError(f"mutant {self.what!r}: {found} places in {self.file}, expected 1")
        return text.replace(self.old, self.new)

    def source(self) -> str:
        return self.applied((ROOT / self.file).read_text(encoding="utf-8"))


def _reference(what: str, old: str, new: str) -> Mutant:
    return Mutant(what, "src/carrousel/kernels/reference.py", old, new)


REFERENCE = (
    _reference("sign of the state's change", "state.s + y_in * g", "state.s - y_in * g"),
    _reference("input gates swapped with output gates", "[y_in[::size], state.y_cell, kept]",
               "[kept, state.y_cell, y_in[::size]]"),
    _reference("trace of gates forgets", "state.ds_in + np.outer", "0 * state.ds_in + np.outer"),
    _reference("trace of cells forgets", "state.ds_cell + np.outer", "np.outer"),
    _reference("last step is dropped", "enumerate(inputs)", "enumerate(inputs[:-1])"),
    _reference("state is not reset between sequences",
               "state = begin(network, training, self.dtype)",
               'state = self.__dict__.setdefault("s", begin(network, training, self.dtype))'),
    _reference("gradients are not cleared", "waiting.clear()", "pass"),
    _reference("slope of squashing", "(low + scale - y) / scale", "(scale - y) / scale"),
    _reference("slope of input gates", "y_in * (1 - y_in)", "y_in * y_in"),
    _reference("no h' on the way in", "* slope(cell.h, state.h_s) * back", "* back"),
    _reference("no y_out on the way in", "e_s = np.repeat(state.y_out, size) * ", "e_s = "),
    _reference("output derivative left out", "y * (1 - y) if training", "1 if training"),
    _reference("error of the first cell only", "np.add.reduceat(e_s[:, None] * state.ds_in, "
               "np.arange(0, cell.n_cells, size))", "(e_s[:, None] * state.ds_in)[::size]"),
    _reference("error reaches cells that take no part", "@ e_k) * cells_on", "@ e_k)"),
    _reference("recurrent activations of the same step", "np.concatenate([x, recurrent,",
               "np.concatenate([x, 0 * recurrent,"),
    _reference("weights change per call instead of per sequence", '== "sequence"', '== "never"'),
    _reference("weights change per sequence instead of per step", '== "step"', '== "never"'),
    _reference("largest error without its sign", "np.abs(error).max()", "error.max()"),
    _reference("initial activation", "np.full(cell.n_units, training.initial_activation, dtype)",
               "np.zeros(cell.n_units, dtype)"),
)  # fmt: skip

NATIVE = (
    Mutant("sign of the cell input", "native/pointwise.h",
           "low + span * y; }", "low - span * y; }"),
    Mutant("trace of gates and of cells swapped", "native/lanes_forward.h",
           "by_gate[c] = input * slope_in, by_cell[c] = g.slope(input) * y_in;",
           "by_cell[c] = input * slope_in, by_gate[c] = g.slope(input) * y_in;"),
    Mutant("lanes become live a step late", "native/lanes.cc",
           "t + k >= start_[lane] ? -1 : 0", "t + k > start_[lane] ? -1 : 0"),
    Mutant("sums over a chunk forget what was there", "native/lanes_traces.h",
           "sum[i][j] = out[i * to.width + j];", "sum[i][j] = splat(0.0f);"),
    Mutant("traces are not reset between sequences", "native/lanes.cc",
           "if (p_.learn) clear_traces(p_);", ""),
    Mutant("activations are not carried to the next chunk", "native/lanes.cc",
           "      carry(steps);\n", ""),
    Mutant("gradients are not cleared", "native/lanes_traces.h",
           "gradient[i] = splat(0.0f);", ""),
    Mutant("output gate of another block", "native/lanes_errors.h",
           "p.shape.output_gate ? p.unit_y[p.B + p.C + j]",
           "p.shape.output_gate ? p.unit_y[p.B + p.C]"),
    Mutant("a neighbour's target is every lane's", "native/lanes_outputs.h",
           "const vec error = mask ? goal - y : splat(0.0f);", "const vec error = 1.0f - y;"),
    Mutant("one output is not counted", "native/lanes_outputs.h",
           "      event.count(error);\n", "      if (o) event.count(error);\n"),
    Mutant("a trace row of a large alphabet is not cleared", "native/lanes_rows.h",
           "      clear_trace(p, lane, symbol);\n", ""),
    Mutant("symbols are not checked", "native/checks.cc",
           "return count == 0 || worst < limit;", "return count == 0 || worst <= limit;"),
)  # fmt: skip

REFERENCE_TESTS = ["kernels/test_reference_gradient.py", "learners/test_truncated.py"]
NATIVE_TESTS = ["kernels/test_native_accuracy.py", "native/test_identity.py",
                "native/test_hostile.py"]  # fmt: skip


# --- the reference: the code of its functions is exchanged where it stands -----------------------


def functions(module: types.ModuleType, name: str) -> Iterator[types.FunctionType]:
    """Every function a module defines, those of its classes included, in order of definition."""
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
    """The package's module behaves as the mutant does, for everybody who has imported from it."""
    from carrousel.kernels import reference

    assert reference.__file__ is not None
    other = types.ModuleType(reference.__name__)
    exec(compile(mutant.source(), reference.__file__, "exec"), vars(other))
    pairs = list(
        zip(functions(reference, other.__name__), functions(other, other.__name__), strict=True)
    )
    kept = [ours.__code__ for ours, _ in pairs]
    for ours, theirs in pairs:
        assert ours.__qualname__ == theirs.__qualname__
        ours.__code__ = theirs.__code__
    try:
        yield
    finally:
        for (ours, _), code in zip(pairs, kept, strict=True):
            ours.__code__ = code


def green(tests: list[str]) -> bool:
    """Whether the tests pass, in this process."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        outcome = pytest.main([*OPTIONS, *[str(TESTS / name) for name in tests]])
    if outcome not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"the tests could not be run:\n{quiet.getvalue()}")
    return outcome == pytest.ExitCode.OK


def reference_survivors() -> Iterator[tuple[Mutant | None, bool]]:
    """Each mutant, ``None`` first for no mutation, and whether the tests were green."""
    yield None, green(REFERENCE_TESTS)
    for mutant in REFERENCE:
        with mutated(mutant):
            yield mutant, green(REFERENCE_TESTS)


# --- the extension: compiled anew, for the instruction set that compiles fastest -----------------


class Workshop:
    """Compiles copies of ``native/`` in a folder of its own; what has not changed is kept."""

    def __init__(self, folder: Path) -> None:
        import nanobind

        compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
        if compiler is None:
            raise FileNotFoundError("no C++ compiler; set CXX")
        self.folder = folder
        self.plain = {path.name for path in (ROOT / "native").glob("*.cc")}
        library = Path(nanobind.source_dir())
        includes = [sysconfig.get_path("include"), nanobind.include_dir(),
                    library.parent / "ext" / "robin_map" / "include"]  # fmt: skip
        self.compile = [compiler, "-std=gnu++20", "-O1", "-fPIC", "-w", "-fvisibility=hidden",
                        "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing", "-DNDEBUG",
                        "-DCARROUSEL_ISA=plain", "-DCARROUSEL_ISA_PLAIN=1",
                        *[f"-I{include}" for include in includes]]  # fmt: skip
        self.objects = {name: self._object(ROOT / "native" / name) for name in self.plain}
        self.objects["nanobind"] = self._object(library / "nb_combined.cpp")

    def _object(self, source: Path, name: str | None = None) -> Path:
        made = self.folder / f"{name or source.name}.o"
        command = [*self.compile, f"-I{source.parent}", "-c", str(source), "-o", str(made)]
        subprocess.run(command, check=True)
        return made

    def extension(self, mutant: Mutant | None) -> Path:
        """The shared library, mutated or as it is."""
        made = self.folder / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
        objects = dict(self.objects)
        if mutant is not None:
            copy = self.folder / "native"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(ROOT / "native", copy)
            (copy / Path(mutant.file).name).write_text(mutant.source(), encoding="utf-8")
            name = Path(mutant.file).name
            again = [name] if name in objects else ["lanes.cc"]  # headers are those of the lanes
            for source in again:
                objects[source] = self._object(copy / source, f"mutated-{source}")
        link = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
        command = [self.compile[0], "-shared", "-o", str(made), *link, *map(str, objects.values())]
        subprocess.run(command, check=True)
        return made


def native_survivors() -> Iterator[tuple[Mutant | None, bool]]:
    """Each mutant, ``None`` first for no mutation, and whether the tests were green."""
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        for mutant in (None, *NATIVE):
            library = workshop.extension(mutant)
            command = [sys.executable, __file__, "--with", str(library), *NATIVE_TESTS]
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = subprocess.run(command, capture_output=True, text=True, timeout=600)
                if done.returncode > 1:
                    raise RuntimeError(done.stderr)
                yield mutant, done.returncode == 0
                continue
            yield mutant, False


def replace_extension(library: Path) -> None:
    """Let the package find another extension than its own."""
    spec = importlib.util.spec_from_file_location("_native", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["carrousel._native"] = module


# --- the command ---------------------------------------------------------------------------------


def judge(outcomes: Iterator[tuple[Mutant | None, bool]]) -> bool:
    """Print one line for each outcome; return whether all are as they should be."""
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
        return 0 if green(arguments[2:]) else 1
    kinds = {"reference": reference_survivors, "native": native_survivors}
    chosen = arguments or list(kinds)
    return 0 if all([judge(kinds[kind]()) for kind in chosen]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
