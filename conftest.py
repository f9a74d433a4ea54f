"""What cannot run here: examples whose extra is missing, wrong types where hints are enforced."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

NEEDS = {
    "src/carrousel/kernels/autograd/dispatch.py": "torch",
    "src/carrousel/nn.py": "torch",
    "src/carrousel/estimators.py": "sklearn",
}

collect_ignore = [path for path, package in NEEDS.items() if find_spec(package) is None]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("jaxtyping_packages"):
        skip = pytest.mark.skip(reason="hands over wrong types on purpose")
        for item in items:
            if item.get_closest_marker("wrong_types"):
                item.add_marker(skip)
