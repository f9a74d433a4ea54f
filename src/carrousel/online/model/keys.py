"""Assignment of keys to places of a kernel, with eviction of the least recently used key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from carrousel.errors import DataError
from carrousel.online.model.encoding.values import is_missing, to_python

_HASHABLE = "a hashable value: a text, a number, None, or a tuple of these"


class Keys:
    """Places of a kernel, ``0 .. n - 1``, and the keys that occupy them.

    A place holds the state of one stream. Time is counted in rows of all keys together.

    Args:
        n: number of places.
        evict_after: a key without a row for this many rows loses its state, even if no other key
            has taken its place; None: a key keeps its place until another needs it.

    >>> keys = Keys(2, None)
    >>> [keys.take(key, now) for now, key in enumerate("abcb")]
    [(0, False), (1, False), (0, True), (1, False)]
    >>> keys.live(4), keys.evicted
    (('c', 'b'), 1)
    """

    def __init__(self, n: int, evict_after: int | None) -> None:
        self.n, self.evict_after = n, evict_after
        self._place: OrderedDict[Any, int] = OrderedDict()  # least recently used first
        self.seen: dict[int, int] = {}  # place -> time of its last row, for all places ever used
        self.free = list(range(n - 1, -1, -1))
        self.evicted = 0  # keys that have lost their state to another key, or by evict_after

    def find(self, key: Any, now: int) -> int | None:
        """Return the place of a live key, or None if its stream would start from scratch.

        Raises:
            DataError: the key is not hashable, or does not equal itself.
        """
        try:
            place = self._place.get(key)
        except TypeError as error:
            problem = f"key is a {type(key).__name__}, expected {_HASHABLE}"
            raise DataError(problem, argument="key", got=key, expected=_HASHABLE) from error
        if place is None and key is not None and is_missing(key):
            problem = f"key is {key!r}, which does not equal itself, expected {_HASHABLE}"
            raise DataError(problem, argument="key", got=key, expected=_HASHABLE)
        if place is None or self._expired(place, now):
            return None
        return place

    def find_all(self, keys: Sequence[Any], start: int, now: int) -> list[int]:
        """Return places of ``keys[start:]``, up to the first key whose stream would start."""
        places: list[int] = []
        last: dict[int, int] = {}
        for time, n in enumerate(range(start, len(keys)), now):
            place = self._place.get(keys[n])
            if place is None:
                break
            if self.evict_after is not None:
                if time - last.get(place, self.seen[place]) > self.evict_after:
                    break
                last[place] = time
            places.append(place)
        return places

    def take(self, key: Any, now: int) -> tuple[int, bool]:
        """Record a row of a key, and assign it a place if it has none.

        Returns:
            The place, and whether it holds another state that the caller must reset.
        """
        place = self.find(key, now)
        if place is None:
            place = self._place.pop(key, None)
            self.evicted += place is not None or not self.free
            if place is None:
                place = self.free.pop() if self.free else self._place.popitem(last=False)[1]
            self._place[to_python(key)] = place
            stale = place in self.seen
        else:
            self._place.move_to_end(key)
            stale = False
        self.seen[place] = now
        return place, stale

    def used(self, key: Any, place: int, now: int) -> None:
        """Record a row of a live key."""
        self.seen[place] = now
        self._place.move_to_end(key)

    def touch(self, keys: Iterable[Any], now: int) -> None:
        """Record rows of live keys."""
        for time, key in enumerate(keys, now):
            self.seen[self._place[key]] = time
            self._place.move_to_end(key)

    def forget(self, key: Any) -> int | None:
        """Free the place of a key, and return it, or None if the key had none."""
        place = self._place.pop(key, None)
        if place is not None:
            self.free.append(place)
        return place

    def live(self, now: int) -> tuple[Hashable, ...]:
        """Return the keys that keep their state, least recently used first."""
        return tuple(k for k, place in self._place.items() if not self._expired(place, now))

    def count(self, now: int) -> int:
        """Return the number of live keys."""
        if self.evict_after is None:
            return len(self._place)
        return sum(not self._expired(place, now) for place in self._place.values())

    def _expired(self, place: int, now: int) -> bool:
        return self.evict_after is not None and now - self.seen[place] > self.evict_after

    def widen(self, n: int) -> None:
        """Add places, so that there are ``n``."""
        self.free[:0] = range(n - 1, self.n - 1, -1)
        self.n = n

    def places(self) -> list[tuple[Any, int]]:
        """Return keys and their places, expired ones too, least recently used first."""
        return list(self._place.items())

    def restore(
        self,
        places: Sequence[tuple[Any, int]],
        seen: dict[int, int],
        free: list[int],
        evicted: int = 0,
    ) -> None:
        """Restore :meth:`places` and the attributes of another object.

        Raises:
            DataError: they contradict each other.
        """
        taken = sorted([*free, *(place for _, place in places)])
        if taken != list(range(self.n)) or len({key for key, _ in places}) != len(places):
            raise DataError(f"places {taken} are occupied or free, expected each of {self.n} once")
        if not {place for _, place in places} <= seen.keys() <= set(range(self.n)):
            raise DataError("a key has a place that was never used")
        self._place, self.seen, self.free = OrderedDict(places), dict(seen), list(free)
        self.evicted = evicted


def listed_keys(keys: Any) -> list[Any] | None:
    """Return keys as a list, or None.

    Raises:
        DataError: a key is not hashable, or does not equal itself.
    """
    if keys is None:
        return None
    expected = "texts, numbers, None or tuples"
    if not isinstance(keys, Iterable):
        raise DataError(argument="keys", got=keys, expected=f"one key for each row: {expected}")
    names = keys.tolist() if isinstance(keys, np.ndarray) else list(keys)
    try:
        distinct = set(names)
    except TypeError as error:
        raise DataError(
            f"keys hold a value that is not hashable, expected {expected}",
            argument="keys",
            expected=expected,
        ) from error
    unequal = [name for name in distinct if name is not None and is_missing(name)]
    if unequal:
        raise DataError(
            f"keys hold {unequal[0]!r}, which does not equal itself, expected {expected}",
            argument="keys",
            got=unequal[0],
            expected=expected,
        )
    return names
