"""The suite fails when a kernel is wrong; see __main__.py."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mutants.lists import NATIVE_LISTS, REFERENCE_LISTS, TESTS, Mutant
from support.case import case

pytestmark = pytest.mark.skipif(
    "CARROUSEL_SANITIZED" in os.environ, reason="mutants are compiled without sanitizers"
)

LISTS = NATIVE_LISTS | REFERENCE_LISTS


@pytest.mark.parametrize("mutants", LISTS, ids=lambda mutants: mutants[0].file)
def test_mutants_apply(mutants):
    """The line that each mutant breaks exists once."""
    for mutant in mutants:
        with case(mutant.what):
            assert mutant.source() != mutant.path.read_text(encoding="utf-8")


def test_the_named_tests_exist():
    """Otherwise a mutant would be noticed by nothing."""
    for files in LISTS.values():
        for name in files:
            assert (TESTS / name).is_file(), name


def test_a_mutant_that_does_not_apply_is_an_error():
    mutant = Mutant("gone", "somewhere", "x = 1", "x = 2")
    for text in ("y = 1", "x = 1; x = 1"):
        with pytest.raises(LookupError, match="places in somewhere, expected 1"):
            mutant.applied(text)


def test_text_in_no_file_or_several_files_is_an_error():
    for old, found in (("x = no such line", 0), ("import annotations", r"\d+")):
        mutant = Mutant("lost", "src/carrousel/kernels/reference/*.py", old, "")
        with pytest.raises(LookupError, match=rf"text in {found} files of src/.*, expected 1"):
            mutant.source()


def red_for_each(kind: str) -> None:
    command = [sys.executable, "-m", "mutants", kind]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_some_mutants_of_the_reference_turn_the_suite_red():
    red_for_each("sample")  # all of them, and those of the extension: make mutants
