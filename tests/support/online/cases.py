"""Named cases in the loop of a test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def case(*names: object) -> Iterator[None]:
    """Add the names of a case to any exception, so that a failure says which case it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {', '.join(map(repr, names))}")
        raise
