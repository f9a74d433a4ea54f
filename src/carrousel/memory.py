"""Memory that this process may use, and checks of what is about to be built."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from carrousel.errors import SettingError

_CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def usable_bytes() -> int:
    """Return the memory that this process may use: of the machine, its container and its limits.

    >>> usable_bytes() > 2**20
    True
    """
    found = [2**62]
    with suppress(AttributeError, OSError, ValueError):  # a system without these names
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in _CGROUP:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdecimal():
            found.append(int(text))
    with suppress(ImportError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            found.append(limit)
    return min(found)


def check_memory(what: str, needed: int, *, argument: str, got: object, fix: str) -> None:
    """Raise SettingError if something needs more memory than this process may use.

    Args:
        what: what is about to be built.
        needed: bytes.
        argument, got: the setting that decides, and its value.
        fix: how to need less.

    >>> check_memory("the weights", 2**62, argument="n_lanes", got=10**9, fix="take fewer lanes")
    Traceback (most recent call last):
        ...
    carrousel.errors.SettingError: n_lanes is 1000000000: the weights would need 4,294,967,296 ...
    """
    usable = usable_bytes()
    if needed > usable:
        raise SettingError(
            f"{argument} is {got}: {what} would need {_gib(needed)} GiB, but this process may use "
            f"{_gib(usable)} GiB",
            argument=argument,
            got=got,
            fix=fix,
        )


def _gib(size: int) -> str:
    """Return bytes in GiB, rounded.

    >>> _gib(3 * 2**29), _gib(2**40)
    ('1.5', '1,024')
    """
    number = size / 2**30
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"
