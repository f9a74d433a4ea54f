"""The suite notices when a kernel is wrong; see __main__.py."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mutants.lists import NATIVE, REFERENCE, SEQUENCE, STREAM, STREAM_REFERENCE, TESTS, Mutant

pytestmark = pytest.mark.skipif(
    "CARROUSEL_SANITIZED" in os.environ, reason="mutants are compiled without sanitizers"
)

EVERY = [*REFERENCE, *NATIVE, *SEQUENCE, *STREAM_REFERENCE, *STREAM]


@pytest.mark.parametrize("mutant", EVERY, ids=lambda m: m.what)
def test_mutants_apply(mutant):
    """The line each mutant breaks exists, once."""
    assert mutant.source() != mutant.path.read_text(encoding="utf-8")


def test_a_mutant_that_no_longer_applies_is_an_error():
    mutant = Mutant("gone", "somewhere", "x = 1", "x = 2")
    for text in ("y = 1", "x = 1; x = 1"):
        with pytest.raises(LookupError, match="places in somewhere, expected 1"):
            mutant.applied(text)


def test_text_that_is_nowhere_or_in_several_files_is_an_error():
    for old, found in (("x = no such line", 0), ("import annotations", r"\d")):
        mutant = Mutant("lost", "src/carrousel/kernels/reference/*.py", old, "")
        with pytest.raises(LookupError, match=rf"text in {found} files of src/.*, expected 1"):
            mutant.source()


def red_for_each(kind: str) -> None:
    command = [sys.executable, "-m", "mutants", kind]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_some_mutants_of_the_reference_turn_the_suite_red():
    red_for_each("sample")  # all of them, and those of the extension: make mutants
