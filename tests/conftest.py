"""How hypothesis draws: the same examples in every run, or new ones when told to explore."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings

settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)
settings.register_profile("mutants", derandomize=True, deadline=None, phases=[Phase.generate])
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mutants: breaks kernels on purpose; takes minutes")
    if config.getoption("jaxtyping_packages"):  # beartype looks at items of a list at random
        category = "hypothesis.errors.HypothesisDeprecationWarning"
        config.addinivalue_line("filterwarnings", f"ignore:.*the .random. module:{category}")
