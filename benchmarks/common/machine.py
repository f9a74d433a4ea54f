"""The machine: its description, pinning of a process to a core, and the peak rate of a core."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from carrousel.kernels import instruction_sets

PACKAGES = ("carrousel", "numpy", "jax", "torch")
SIDE = 1024
"""Side of the square matrices whose product defines the peak."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def describe() -> dict[str, object]:
    """Describe processor, cores, instruction sets and versions."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "instruction_sets": instruction_sets(),
        "versions": {"python": platform.python_version()} | versions(PACKAGES),
    }


def processor() -> str:
    """Return the processor's name, with family and model, since virtual machines hide the name."""
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
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread_each() -> None:
    """Limit libraries to one thread, in processes that are started after this call."""
    os.environ.update(dict.fromkeys(THREADS, "1"))


def pin(place: int) -> None:
    """Pin this process and its future threads to one core.

    Call this before JAX or PyTorch are imported: they start one thread for each core they see.

    Args:
        place: index of the core, counted from the last one.
    """
    if hasattr(os, "sched_setaffinity"):
        mine = sorted(os.sched_getaffinity(0), reverse=True)
        os.sched_setaffinity(0, {mine[place % len(mine)]})


def matrix_product() -> Callable[[], float]:
    """Return a function that multiplies two float32 matrices and returns its operation count.

    NumPy's matrix product reaches most of the theoretical rate of the multiply-add units. It serves
    as the peak, since no program reaches the theoretical rate.
    """
    rng = np.random.default_rng(0)
    a, b = (rng.random((SIDE, SIDE), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)

    def multiply() -> float:
        np.matmul(a, b, out=out)
        return 2.0 * SIDE**3

    return multiply


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
