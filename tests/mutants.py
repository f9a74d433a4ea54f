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
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
OPTIONS = ["-x", "-q", "--tb=no", "--no-header", "-p", "no:cacheprovider",
           "--hypothesis-profile", "mutants", "--rootdir", str(ROOT)]  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One way to be wrong. The file may be a pattern: then the text stands in one of several."""

    what: str
    file: str
    old: str
    new: str

    @property
    def path(self) -> Path:
        """The one file that holds the text; an error if there is none, or more than one."""
        files = sorted(ROOT.glob(self.file))
        holding = [file for file in files if self.old in file.read_text(encoding="utf-8")]
        if len(holding) != 1:
            raise LookupError(
                f"mutant {self.what!r}: text in {len(holding)} files of {self.file}, expected 1"
            )
        return holding[0]

    def applied(self, text: str) -> str:
        """The text with the mutation; an error unless there is exactly one place for it."""
        found = text.count(self.old)
        if found != 1:
            raise LookupError(f"mutant {self.what!r}: {found} places in {self.file}, expected 1")
        return text.replace(self.old, self.new)

    def source(self) -> str:
        return self.applied(self.path.read_text(encoding="utf-8"))


def _reference(what: str, old: str, new: str) -> Mutant:
    return Mutant(what, "src/carrousel/kernels/reference*.py", old, new)


REFERENCE = (
    _reference("sign of the state's change", "state.s + y_in * g", "state.s - y_in * g"),
    _reference("input gates swapped with output gates",
               "[y_in[::size], forget, state.y_cell, shown]",
               "[shown, forget, state.y_cell, y_in[::size]]"),
    _reference("trace of gates forgets", "state.ds_in + np.outer", "0 * state.ds_in + np.outer"),
    _reference("trace of cells forgets", "state.ds_cell + np.outer", "np.outer"),
    _reference("last step is dropped", "enumerate(inputs)", "enumerate(inputs[:-1])"),
    _reference("state is not reset between sequences",
               "self.state = begin(self._network, self._training, self._dtype)",
               'self.state = self.__dict__.setdefault('
               '"kept", begin(self._network, self._training, self._dtype))'),
    _reference("gradients are not cleared", "waiting.clear()", "pass"),
    _reference("slope of squashing", "(low + scale - y) / scale", "(scale - y) / scale"),
    _reference("slope of input gates", "y_in * (1 - y_in)", "y_in * y_in"),
    _reference("no h' on the way in", "* slope(cell.h, state.h_s) * back", "* back"),
    _reference("no y_out on the way in", "e_s = np.repeat(state.y_out, size) * ", "e_s = "),
    _reference("output derivative left out", "y * (1 - y) if self", "1 if self"),
    _reference("error of the first cell only", "np.add.reduceat(e_s[:, None] * state.ds_in, first)",
               "(e_s[:, None] * state.ds_in)[::size]"),
    _reference("error reaches cells that take no part", "meet(back * on)", "meet(back)"),
    _reference("largest error without its sign", "np.abs(error).max()", "error.max()"),
    _reference("recurrent activations of the same step",
               "np.concatenate([x, recurrent, np.ones(1, state.s.dtype)])",
               "np.concatenate([x, 0 * recurrent, np.ones(1, state.s.dtype)])"),
    _reference("weights change per call instead of per sequence", '== "sequence"', '== "never"'),
    _reference("weights change per sequence instead of per step", '== "step"', '== "never"'),
    _reference("initial activation", "np.full(cell.n_units, training.initial_activation, dtype)",
               "np.zeros(cell.n_units, dtype)"),
    # forget gates
    _reference("trace of forget gates without decay", "kept[:, None] * state.ds_forget + change",
               "state.ds_forget + change"),
    _reference("trace of input gates without decay", "kept * state.s, kept[:, None] * state.ds_in",
               "kept * state.s, state.ds_in"),
    _reference("forget gate sees the state it has made", "rate[forgets][own] * before",
               "rate[forgets][own] * s"),
    # one step of the layer, and its derivatives
    _reference("slope of tanh", "else 1 - new * new", "else 1 - new"),
    _reference("path inside the cells is left out", "w_recurrent, self.by_state]",
               "w_recurrent, 0 * self.by_state]"),
    _reference("recurrent weights the wrong way round", "self.by_net @ w_recurrent",
               "self.by_net @ w_recurrent.T"),
    _reference("no h' inside a step", "(y_out * slope(cell.h, h))[:, None]", "y_out[:, None]"),
    _reference("output gate without the state", "rate[outs][own] * h", "rate[outs][own]"),
    _reference("error of united outputs at other units", "back[-len(error) :]",
               "back[: len(error)]"),
    # backwards
    _reference("errors go back through the Jacobian itself", "step.jacobian(recurrent).T @ e",
               "step.jacobian(recurrent) @ e"),
    _reference("stride off by one", "== self._gradient.stride", "== self._gradient.stride + 1"),
    _reference("depth off by one", "deque(maxlen=self._gradient.depth)",
               "deque(maxlen=self._gradient.depth and self._gradient.depth + 1)"),
    _reference("only the latest error goes back", "back < len(errors)", "back < 1"),
    _reference("only errors of the last step send others back", "if all(error is None",
               "if any(error is None"),
    _reference("output weights do not wait for hidden ones", 'update == "step" and due',
               'update == "step" and target'),
    _reference("cell states are not reset between sequences",
               "self.s = np.zeros(cell.n_states, self._dtype)",
               'self.s = getattr(self, "s", np.zeros(cell.n_states, self._dtype))'),
    # forwards
    _reference("sensitivities through the Jacobian's transpose", '"pq,qlm->plm"', '"qp,qlm->plm"'),
    _reference("sensitivities of the first step only", "self.p) + immediate", "self.p)"),
    _reference("sensitivities are not restricted", "self.p = self.p * self._mask[:, :, None]",
               "pass"),
    _reference("reach off by one", "range(steps - 1)", "range(steps)"),
    _reference("reach is looked for in saturation", "0.5 / sources", "0.5"),
    _reference("state is not balanced, weights are", "r0 * carried", "carried"),
    _reference("signs are not balanced, weights are", "r1 * signs", "signs"),
    _reference("rank-one weights forget", "before / r0 + immediate", "immediate"),
)  # fmt: skip

NATIVE = (
    Mutant("sign of the cell input", "native/pointwise.h",
           "low + span * y; }", "low - span * y; }"),
    Mutant("trace of gates and of cells swapped", "native/lanes_forward.h",
           "by_gate[c] = input * slope_in, by_cell[c] = g.slope(input) * y_in;",
           "by_cell[c] = input * slope_in, by_gate[c] = g.slope(input) * y_in;"),
    Mutant("lanes become live a step late", "native/lanes_rounds.h",
           "time >= start_[lane] ? -1 : 0", "time > start_[lane] ? -1 : 0"),
    Mutant("sums over a chunk forget what was there", "native/lanes_traces.h",
           "sum[i][j] = out[i * to.width + j];", "sum[i][j] = splat(0.0f);"),
    Mutant("traces are not reset between sequences", "native/lanes.cc",
           "if (p_.learn) clear_traces(p_);", ""),
    Mutant("activations are not carried to the next chunk", "native/lanes.cc",
           "      Layer::carry(p_, steps);\n", ""),
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
    Mutant("united wiring is not checked", "native/bind.cc",
           "if (s.united && (s.direct", "if (s.inputs < 0 && (s.direct"),
    Mutant("error of the first of united outputs", "native/lanes_outputs.h",
           "p.output_e[c - (p.C - p.O)];", "p.output_e[0];"),
    # paths through time
    Mutant("slope of tanh", "native/paths*.h", "tanh ? 1.0f - y * y", "tanh ? 1.0f - y"),
    Mutant("errors pass through the time before a sequence", "native/paths*.h",
           "f.rate[u] = where(live, logistic_slope(y[u]));", "f.rate[u] = logistic_slope(y[u]);"),
    Mutant("errors go back through the transpose", "native/paths*.h",
           "weights[(first + i) * p.U + k] * net[k]", "weights[k * p.U + first + i] * net[k]"),
    Mutant("errors inside cells do not pass forget gates", "native/paths*.h",
           "e_s[c] = f.keep[c] * e;", "e_s[c] = e;"),
    Mutant("errors met are sent back again", "native/paths.cc",
           "met[c] = lanes ? splat(0.0f) : met[c];", ""),
    Mutant("errors of lanes that wait go back too", "native/paths.cc",
           "add_where(lanes, x_.error_y[reads + c], met[c]);", "x_.error_y[reads + c] += met[c];"),
    Mutant("errors go back a step too far", "native/paths.cc",
           "time - x_.depth + 1 > 0 ? time - x_.depth + 1 : 0",
           "time - x_.depth > 0 ? time - x_.depth : 0"),
    Mutant("the tape moves by a step too many", "native/paths.cc",
           "tape_start_ += first;", "tape_start_ += first - 1;"),
    Mutant("errors wait a step too long", "native/paths.cc",
           "++since_[lane] != x_.stride", "++since_[lane] <= x_.stride"),
    Mutant("a symbol's gradient is that of its first step", "native/paths.cc",
           "gradient[u][lane] += x_.spread", "gradient[u][lane] = x_.spread"),
    Mutant("sensitivities of the first step are missing", "native/paths*.h",
           "x.nets[u * PathPlan::kTile + i] += source_of(p, x, k, m, symbol);", ";"),
    Mutant("sensitivities of cells do not pass forget gates", "native/paths*.h",
           "vec sum = f.keep[c] * ds[c] +", "vec sum = ds[c] +"),
    Mutant("sensitivities are not reset between sequences", "native/paths.cc",
           "    forward_.reset(p_);\n", "    forward_.reset(p_);\n    if (n) return;\n"),
    Mutant("traces of input gates do not pass forget gates", "native/paths*.h",
           "trace[c] = f.keep[c] * trace[c] +", "trace[c] = trace[c] +"),
    Mutant("forget gates do not learn", "native/paths*.h",
           "add_where(lanes, into[p.B + j], scale * forget);", ";"),
)  # fmt: skip

REFERENCE_TESTS = ["kernels/test_reference_gradient.py", "learners/test_truncated.py",
                   "kernels/test_gradients_learn.py", "kernels/test_gradients.py",
                   "kernels/test_gradients_forward.py"]  # fmt: skip
NATIVE_TESTS = ["kernels/test_native_accuracy.py", "kernels/test_native_paths.py",
                "native/test_identity.py", "native/test_hostile.py"]  # fmt: skip


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
    """The package's module behaves as the mutant does, for everybody who has imported from it.

    Functions are exchanged, those of classes included; nothing else of a module can be mutated.
    """
    path = mutant.path
    ours = importlib.import_module(f"carrousel.kernels.{path.stem}")
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
    """Whether the tests of one file pass, in this process."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        outcome = pytest.main([*OPTIONS, str(TESTS / name)])
    if outcome not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"the tests could not be run:\n{quiet.getvalue()}")
    return outcome == pytest.ExitCode.OK


def reference_survivors() -> Iterator[tuple[Mutant | None, bool]]:
    """Each mutant, ``None`` first for no mutation, and whether the tests were green.

    The file that noticed the mutant before is asked first: neighbours in the list are alike.
    """
    files = list(REFERENCE_TESTS)
    yield None, all([green(name) for name in files])
    for mutant in REFERENCE:
        with mutated(mutant):
            noticed = next((name for name in files if not green(name)), None)
        if noticed is not None:
            files.remove(noticed)
            files.insert(0, noticed)
        yield mutant, noticed is None


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
            (copy / mutant.path.name).write_text(mutant.source(), encoding="utf-8")
            name = mutant.path.name
            headers = ["paths.cc"] if name.startswith("paths") else ["lanes.cc", "paths.cc"]
            again = [name] if name in objects else headers
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
        return 0 if all(green(name) for name in arguments[2:]) else 1
    kinds = {"reference": reference_survivors, "native": native_survivors}
    chosen = arguments or list(kinds)
    return 0 if all([judge(kinds[kind]()) for kind in chosen]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
