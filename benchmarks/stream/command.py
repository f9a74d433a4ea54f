"""Time of `carrousel stream` as a process, on rows of ten numbers and a target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

INPUTS = 10
COMMAND = (sys.executable, "-c", "from carrousel.cli import main; main()")
WAYS = {
    "predictions to a file": ("--out", "predictions.csv"),
    "errors alone": ("--quiet",),
    "errors alone, checkpoints": ("--quiet", "--checkpoint", "kept.ckpt"),
}


def through_command(rows: int) -> dict[str, Any]:
    """Measure wall-clock seconds, CPU seconds and peak MiB of each way to run the command."""
    found: dict[str, Any] = {"rows": rows, "inputs": INPUTS, "ways": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.csv", rows)
        found["mib_of_rows"] = (folder / "rows.csv").stat().st_size / 2**20
        for way, options in WAYS.items():
            found["ways"][way] = _timed(folder, options)
            for left in folder.iterdir():
                if left.name != "rows.csv":
                    left.unlink()
    return found


def write_rows(path: Path, rows: int) -> None:
    """Write a CSV with columns ``x0`` to ``x9`` and ``y``; ``y`` depends on two rows."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="ascii") as file:
        file.write(",".join([*(f"x{i}" for i in range(INPUTS)), "y"]) + "\n")
        before = np.zeros(INPUTS)
        for start in range(0, rows, 10_000):
            x = rng.normal(size=(min(10_000, rows - start), INPUTS))
            last = np.concatenate([before[None], x[:-1]])
            y = np.tanh(x[:, 0] + last[:, 1]) + 0.1 * rng.normal(size=len(x))
            before = x[-1]
            np.savetxt(file, np.column_stack([x, y]), fmt="%.5g", delimiter=",")


def _timed(folder: Path, options: tuple[str, ...]) -> dict[str, Any]:
    call = [*COMMAND, "stream", "rows.csv", "--target", "y", "--json", *options]
    began = time.perf_counter()
    with subprocess.Popen(
        call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode} of: {' '.join(call)}")
    return {
        "options": " ".join(options),
        "exit": process.returncode,
        "seconds": time.perf_counter() - began,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
        "told": {name: json.loads(output)[name] for name in ("rows", "errors")},
    }
