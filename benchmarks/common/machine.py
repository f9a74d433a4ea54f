"""The machine: its name, how one process is kept on one core, and what a core can do at most."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from carrousel.kernels import instruction_sets

PACKAGES = ("carrousel", "numpy", "jax", "torch")
SIDE = 1024  # of the square matrices whose product stands for the peak

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def describe() -> dict[str, object]:
    """Processor, cores, instruction sets and versions."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "instruction_sets": instruction_sets(),
        "versions": {"python": platform.python_version()} | _versions(),
    }


def processor() -> str:
    """Name of the processor, with family and model where a virtual machine hides the name."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in pairs}
    name = fields.get("model name", platform.machine())
    if "cpu family" not in fields:
        return name
    return f"{name} (family {fields['cpu family']}, model {fields['model']})"


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread_each() -> None:
    """Let no library of a process that is started from now on use more than one thread."""
    os.environ.update(dict.fromkeys(THREADS, "1"))


def pin(place: int) -> None:
    """Keep this process, and every thread it will start, on one core; cores are counted from last.

    Must come before JAX or PyTorch are imported: they make as many threads as they see cores.
    """
    if hasattr(os, "sched_setaffinity"):
        mine = sorted(os.sched_getaffinity(0), reverse=True)
        os.sched_setaffinity(0, {mine[place % len(mine)]})


def matrix_product() -> Callable[[], float]:
    """Return what multiplies two float32 matrices and says how many operations that took.

    NumPy's matrix product reaches most of what the multiply-add units can do. It stands for the
    peak, which no program can be shown to reach.
    """
    rng = np.random.default_rng(0)
    a, b = (rng.random((SIDE, SIDE), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)

    def multiply() -> float:
        np.matmul(a, b, out=out)
        return 2.0 * SIDE**3

    return multiply


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
