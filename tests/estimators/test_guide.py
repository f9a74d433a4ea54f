"""The examples of docs/estimators.md run, in Python and on the command line."""

from __future__ import annotations

import doctest
import itertools
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "estimators.md"
QUICK = ("--members", 1, "--hidden-size", 4, "--max-steps", 3)


def test_examples_run():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 80
    assert found.failed == 0


@pytest.fixture
def files(tmp_path) -> None:
    """Write the files that the commands of the page read."""
    rng = np.random.default_rng(0)
    rows = [
        (n, t, f"{rng.normal():.3f}", "slow" if n % 2 else "fast")
        for n in range(24)
        for t in range(int(rng.integers(5, 9)))
    ]
    write(tmp_path / "recordings.csv", "id,t,level,pace", rows)
    write(tmp_path / "new.csv", "id,t,level", [row[:3] for row in rows])
    waves = [
        (n, t, f"{np.sin(t * np.pi / 6) + rng.normal(0.0, 0.1):.3f}")
        for n in range(3)
        for t in range(48)
    ]
    write(tmp_path / "load.csv", "meter,at,load", waves)


def write(path: Path, names: str, rows: Sequence[tuple[object, ...]]) -> None:
    lines = [names, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.usefixtures("files")
def test_commands_run(call):
    """In their order, since later ones read what earlier ones wrote; fits are short."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 8
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "carrousel", command
        found = call(*words, *(QUICK if words[0] == "fit" else ()))
        assert found.code == 0, f"{command}: {found.err}"
        for flag, file in itertools.pairwise(words):
            if flag in ("--out", "--report"):
                assert Path(file).stat().st_size > 0, command
