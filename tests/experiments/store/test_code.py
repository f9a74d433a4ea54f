"""The hash of an experiment's own code: only a change of what the code does changes it."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from carrousel import learners
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import EVERYTHING
from carrousel.experiments.report.collect import collect, stored
from carrousel.experiments.report.table import footnotes
from carrousel.experiments.run import runner
from carrousel.experiments.run.runner import run
from carrousel.experiments.store.code import code_of
from carrousel.experiments.store.packed import MergeResult, merge, pack
from carrousel.experiments.store.settings import describe, fingerprint
from carrousel.experiments.store.store import Store
from carrousel.experiments.study.study import find
from carrousel.experiments.study.table import notes
from carrousel.learners import GradientLearner
from support.experiments import fakes, scripted

ROW = fakes.experiment()
OWN = """
    '''A module of a user's.'''
    from dataclasses import dataclass
    from math import floor
    import math

    STEP = 3
    UNUSED = 4

    def helper(x):
        '''Adds.'''
        return x + deeper(x)

    def deeper(x):
        return floor(x)

    def unused(x):
        return x

    class Base:
        def shared(self, x):
            return STEP * x

    @dataclass(frozen=True)
    class Rule(Base):
        '''A rule.'''

        bound: float = 0.5

        def watch(self, x):
            # a comment
            return helper(self.shared(x))

        @property
        def every(self):
            return 1
"""


@pytest.fixture
def module(tmp_path, monkeypatch) -> Callable[..., ModuleType]:
    """A function that writes a module with some replacements in its source and imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(*changes: tuple[str, str], name: str = "own_rules") -> ModuleType:
        text = textwrap.dedent(OWN)
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        (tmp_path / f"{name}.py").write_text(text)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        found = importlib.import_module(name)
        monkeypatch.setitem(sys.modules, name, found)
        return found

    return write


def code_with(stop: Any) -> str:
    """Hash of the built-in row 4-1 with another stop rule."""
    return code_of(dataclasses.replace(EXPERIMENTS["4-1"], stop=stop))


def test_the_packages_own_experiments_have_no_hash():
    assert {code_of(row) for row in EVERYTHING.values()} == {""}
    assert {code_of(dataclasses.replace(ROW, learner=name)) for name in ("bptt:9", "adam")} == {
        code_of(ROW)
    }


@pytest.mark.parametrize(
    "change",
    [
        ("return helper(self.shared(x))", "return helper(self.shared(x)) + 1"),
        ("return 1", "return 2"),
        ("return x + deeper(x)", "return x - deeper(x)"),
        ("return floor(x)", "return floor(2 * x)"),
        ("STEP = 3", "STEP = 5"),
        ("STEP * x", "STEP + x"),
        ("bound: float = 0.5", "bound: float = 0.25"),
        ("from math import floor", "from math import ceil as floor"),
    ],
    ids=lambda change: change[1],
)
def test_a_change_of_what_the_code_does_changes_the_hash(module, change):
    assert code_with(module().Rule(0.5)) != code_with(module(change).Rule(0.5))


@pytest.mark.parametrize(
    "change",
    [
        ("# a comment", "# another"),
        ("'''A rule.'''", "'''Another rule.'''"),
        ("'''Adds.'''", ""),
        ("UNUSED = 4", "UNUSED = 5"),
        ("def unused(x):", "def other(x, y):"),
        ("return helper(self.shared(x))", "return helper(\n            self.shared(x),\n        )"),
        ("def deeper", "\n\n\ndef deeper"),
    ],
    ids=lambda change: repr(change),
)
def test_layout_docstrings_and_other_code_do_not_matter(module, change):
    assert code_with(module().Rule()) == code_with(module(change).Rule())


def test_the_hash_does_not_depend_on_the_modules_name(module):
    one, other = module().Rule(), module(name="other_rules").Rule()
    assert code_with(one) == code_with(other) != ""
    assert describe(one) == {"kind": "own_rules.Rule", "bound": 0.5}
    assert describe(other)["kind"] == "other_rules.Rule"


def test_bases_in_other_modules_count(module):
    module(name="bases")
    changes = (("class Base:", "from bases import Base\n\nclass Unused:"),)
    first = code_with(module(*changes).Rule())
    module(("STEP * x", "STEP - x"), name="bases")
    assert code_with(module(*changes).Rule()) != first


def test_a_method_that_was_replaced_is_not_hashed_by_the_source_of_the_old_one(module):
    rule = module().Rule
    before = code_with(rule())
    rule.watch = lambda self, x: x
    with pytest.warns(UserWarning, match=r"own_rules\.Rule cannot be read"):
        after = code_with(rule())
    assert after != before
    rule.watch = lambda self, x: x + 1
    assert code_with(rule()) not in (before, after)  # and warns only once


def defined(text: str) -> Any:
    """A stop rule without a source file, as in an interactive session."""
    space: dict[str, Any] = {"__name__": "nowhere"}
    exec(compile(textwrap.dedent(text), "<stdin>", "exec"), space)
    return space["Rule"]()


@pytest.mark.filterwarnings("ignore:the source of nowhere")
def test_without_source_the_bytecode_is_hashed():
    text = """
    from dataclasses import dataclass
    def helper(x):
        return 2 * x
    @dataclass
    class Rule:
        '''A rule.'''
        def watch(self, x):
            '''Watches.'''
            return [helper(each) for each in x if each in {1, 2, 'a', 'b'}]
        def later(self, x=9):
            return x
    """
    first = code_with(defined(text))
    assert first == code_with(defined(text)) != ""
    assert first == code_with(defined(text.replace("A rule", "Another").replace("Watches", "Is")))
    for before, after in (
        ("2 * x", "3 * x"),
        ("'b'", "'c'"),
        ("x=9", "x=8"),
        ("helper(each)", "abs(each)"),
    ):
        assert code_with(defined(text.replace(before, after))) != first, after


def test_values_of_an_enclosing_function_count():
    def rule(bound: int) -> Any:
        @dataclasses.dataclass
        class Rule:
            def watch(self) -> int:
                return bound

        return Rule()

    assert code_with(rule(1)) == code_with(rule(1)) != code_with(rule(2))


class Other:
    @dataclasses.dataclass(frozen=True)
    class FakeStop(fakes.FakeStop):
        """A class with the name and the fields of another."""


def test_two_classes_of_one_name_are_different_settings():
    other = dataclasses.replace(ROW, stop=Other.FakeStop())
    assert fingerprint(other) != fingerprint(ROW)
    assert describe(other.stop)["kind"].endswith("test_code.Other.FakeStop")
    assert code_of(other) != code_of(ROW)


@pytest.mark.parametrize("started", ["mine.py", "-m mine", "-m mine_again"])
def test_a_class_of_the_program_is_named_after_its_file(tmp_path, started):
    """A run by ``python mine.py`` and one that imports the module find the same trials."""
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
        from dataclasses import dataclass
        from carrousel.experiments.store.settings import describe
        @dataclass
        class Mine:
            x: int = 1
        print(describe(Mine()))
        """)
    )
    (tmp_path / "mine_again.py").write_text("import mine")
    command = [sys.executable, *started.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "{'kind': 'mine.Mine', 'x': 1}\n", done.stderr


# --- learners ------------------------------------------------------------------------------------


def test_the_learner_as_registered_counts(monkeypatch):
    def code(factory: Any) -> str:
        monkeypatch.setitem(learners.LEARNERS, "mine", factory)  # type: ignore[arg-type]
        return code_of(dataclasses.replace(EXPERIMENTS["4-1"], learner="mine"))

    class Mine(GradientLearner):
        pass

    found = {
        code(factory)
        for factory in (
            GradientLearner,
            partial(GradientLearner, gradient="bptt:7"),
            partial(GradientLearner, gradient="bptt:9"),
            Mine,
            scripted.ScriptedLearner,
            partial(scripted.ScriptedLearner, n_lanes=5),
        )
    }
    assert len(found) == 6
    mine: Any = Mine  # whose settings these are not
    one, other = (partial(mine, helper=scripted.ScriptedLearner.__new__) for _ in range(2))
    assert code(one) == code(other)
    assert code(partial(mine, x=object())) == code(partial(mine, x=object()))  # no addresses
    assert code(partial(mine, x=ROW.task)) != code(partial(mine, x=ROW.stop))
    assert "" in found  # the package's own class


# --- stores and reports --------------------------------------------------------------------------


def fill(folder: Path, first: int = 2, second: int = 3) -> Path:
    with Store(folder) as store:
        for code, number in (("", first), ("earlier", second)):
            store.session(ROW, seed=0, trials=number, code=code)
            for index in range(number):
                trial = fakes.trial(index, steps=number)
                assert store.append(trial, ROW, instruction_set="plain", code=code or None)
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_trials_of_other_code_are_kept_and_not_returned(tmp_path, packed):
    fill(tmp_path)
    if packed:
        pack(tmp_path)
    with Store(tmp_path) as store:
        for code, number in ((code_of(ROW), 2), ("earlier", 3)):
            found = store.trials(ROW.name, code=code)
            assert [trial.steps for trial in found] == [number] * number
        assert store.trials(ROW.name, code="unknown") == []
        assert not store.append(fakes.trial(0), ROW, instruction_set="plain")
        with pytest.raises(Exception, match="2 different code"):
            store.trials(ROW.name)


@pytest.mark.parametrize("packed", [False, True])
def test_merging_keeps_codes_apart(tmp_path, packed):
    one, two = fill(tmp_path / "a"), fill(tmp_path / "b", 4, 1)
    for folder in (one, two) if packed else ():
        pack(folder)
    assert merge(one, two) == MergeResult(added=2, differing=3)
    with Store(one, read_only=True) as store:
        assert {each.code: each.trials for each in store.holdings() if each.trials} == {
            code_of(ROW): 4,
            "earlier": 3,
        }


def test_reports_and_studies_count_trials_of_other_code(tmp_path):
    fill(tmp_path)
    with Store(tmp_path, read_only=True) as store:
        report, study = collect(store, {ROW.name: ROW}), find(store, ROW)
        entry = stored(store, ROW, 0, 2)
    assert [len(each.trials) for each in (*report.entries, *study.variations, entry)] == [2] * 3
    assert (study.other_code, entry.other_code) == (3, 3)
    assert entry.as_json()["trials_of_other_code"] == 3
    said = "trials that other code of the experiment's classes ran"
    assert f"not counted: 3 {said}" in entry.notes
    assert f"Not counted: 3 {said}." in notes(study)
    assert "3 trials of 4-1 (seed 0): other code" in "".join(footnotes(report))


def test_a_run_after_a_change_of_the_code_starts_again(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "learner_named", lambda name: scripted.ScriptedLearner)
    row = scripted.experiment()
    with Store(tmp_path) as store:
        first = run(row, trials=2, seed=5, store=store)
        assert run(row, trials=2, seed=5, store=store) == first  # none is run again
        monkeypatch.setattr(runner, "code_of", lambda experiment: "another")
        with pytest.warns(UserWarning, match="2 trials of .* were run by other code"):
            run(row, trials=2, seed=5, store=store)
        assert {each.code: each.trials for each in store.holdings()} == {
            code_of(row): 2,
            "another": 2,
        }
