"""The public names of `carrousel.online`, imported when they are first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from carrousel import online


def test_public_names_exist_and_are_listed():
    assert sorted(online.__all__) == online.__all__
    assert set(online.__all__) <= set(dir(online))
    for name in online.__all__:
        found = getattr(online, name)
        assert found.__name__ == name
        assert found.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        online.nothing  # noqa: B018


def test_importing_the_package_imports_no_module_of_it():
    code = "import sys, carrousel.online as o; print(*[m for m in sys.modules if 'online.' in m])"
    for more, expected in (
        ("", ""),
        ("; o.open_rows; print('carrousel.online.model' in sys.modules)", "False"),
    ):
        found = subprocess.run([sys.executable, "-c", code + more], text=True, capture_output=True)
        assert found.returncode == 0, found.stderr
        assert found.stdout.split() == expected.split()


def test_the_function_is_not_shadowed_by_a_module():
    """A package of the same name would take the place of the function once it is imported."""
    code = (
        "import carrousel.online.evaluation.session, carrousel.online as online\n"
        "assert all(callable(getattr(online, name)) for name in online.__all__)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
