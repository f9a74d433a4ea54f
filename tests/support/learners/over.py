"""Run one test item over several values."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from support.case import case


def over(**values: Iterable[object]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call a test once for each combination of ``values``, in one item.

    A failure carries the values as a note.

    >>> @over(a=[1, 2], b="x")
    ... def test(a, b):
    ...     print(a, b)
    >>> test()
    1 x
    2 x
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def looped(*given: Any, **others: Any) -> None:
            for each in itertools.product(*map(tuple, values.values())):
                chosen = dict(zip(values, each, strict=True))
                with case(chosen):
                    test(*given, **others, **chosen)

        signature = inspect.signature(test)
        left = [part for name, part in signature.parameters.items() if name not in values]
        looped.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return looped

    return decorate
