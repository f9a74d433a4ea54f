"""Name the values of one pass through a loop, so that a failure says which they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(*values: object) -> Iterator[None]:
    """Add ``values`` as a note to any failure inside the block.

    >>> for number in (1, 2):
    ...     with case(number):
    ...         assert number
    """
    try:
        yield
    except BaseException as failure:
        failure.add_note("case: " + ", ".join(f"{value!r:.300}" for value in values))
        raise
