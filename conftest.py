"""Leaves out examples of modules whose extra is not installed."""

from __future__ import annotations

from importlib.util import find_spec

NEEDS = {
    "src/carrousel/kernels/autograd/dispatch.py": "torch",
    "src/carrousel/nn": "torch",
    "src/carrousel/estimators": "sklearn",
}

collect_ignore = [path for path, package in NEEDS.items() if find_spec(package) is None]
