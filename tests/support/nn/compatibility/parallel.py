"""Rows of the compatibility matrix: training by two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from support.nn.compatibility.cases import MODES, Case


def replicated(case: Case) -> None:
    _check("ddp", case)


def sharded(case: Case) -> None:
    _check("fully_shard", case)


def flattened(case: Case) -> None:
    _check("fsdp", case)


def _check(way: str, case: Case) -> None:
    """One pair of processes runs all ways and modes; see ``processes.py``."""
    name = next(name for name, mode in MODES.items() if mode is case.mode)
    outcome = _outcomes_of_two_processes(case.library)[f"{way} {name}"]
    assert outcome == "works", outcome


@lru_cache
def _outcomes_of_two_processes(library: str) -> dict[str, str]:
    module, tests = "support.nn.compatibility.processes", str(Path(__file__).parents[3])
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        calls = [
            [sys.executable, "-m", module, str(rank), f"{folder}/store", library] for rank in (0, 1)
        ]
        pair = [
            subprocess.Popen(
                call,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
            )
            for call in calls
        ]
        ends = [process.communicate(timeout=120) for process in pair]
    for process, (_, errors) in zip(pair, ends, strict=True):
        if process.returncode:
            raise RuntimeError(errors)
    first, second = (json.loads(out) for out, _ in ends)
    assert first == second
    return first
