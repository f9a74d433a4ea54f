"""Which examples in docstrings can run: those whose extra is installed."""

from __future__ import annotations

from importlib.util import find_spec

NEEDS = {
    "src/carrousel/kernels/autograd.py": "torch",
    "src/carrousel/nn.py": "torch",
    "src/carrousel/estimators.py": "sklearn",
}

collect_ignore = [path for path, package in NEEDS.items() if find_spec(package) is None]
