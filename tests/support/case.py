"""Loops inside a test that name the values of a failing pass."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


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


def each(names: str, values: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call a test once per value, within one item; a failure names the value.

    It takes the arguments of ``pytest.mark.parametrize``, which is for ideas that deserve an item
    each, while this is for the values of one idea. Several of them call the test with all
    combinations.

    >>> seen = []
    >>> @each("a, b", [(1, 2), (3, 4)])
    ... def test(a, b):
    ...     seen.append(a + b)
    >>> test()
    >>> seen
    [3, 7]
    """
    arguments, rows = [name.strip() for name in names.split(",")], list(values)
    assert rows, f"no values of {names}"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def call(*args: Any, **more: Any) -> None:
            for value in rows:
                row = value if len(arguments) > 1 else (value,)
                named = dict(zip(arguments, row, strict=True))
                with case(named):
                    test(*args, **more, **named)

        signature = inspect.signature(test)
        others = [p for name, p in signature.parameters.items() if name not in arguments]
        assert len(others) == len(signature.parameters) - len(arguments), (
            f"{names} are no arguments"
        )
        call.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return call

    return decorate
