"""Which place of a kernel the stream of a key has: the least recently used makes room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from carrousel.errors import DataError
from carrousel.online.model.values import absent, plain


class Keys:
    """Places of a kernel, ``0 .. n - 1``, and the keys that live in them.

    Time is counted in rows of all keys together. A key that was away for ``evict_after`` rows or
    more has lost its place, whether or not another has taken it since.

    Args:
        n: places.
        evict_after: as above; None: a key stays until its place is needed.

    >>> keys = Keys(2, None)
    >>> [keys.take(key, now) for now, key in enumerate("abcb")]
    [(0, False), (1, False), (0, True), (1, False)]
    >>> keys.live(4)
    ('c', 'b')
    """

    def __init__(self, n: int, evict_after: int | None) -> None:
        self.n, self.evict_after = n, evict_after
        self._place: OrderedDict[Any, int] = OrderedDict()  # least recently used first
        self.seen: dict[int, int] = {}  # place -> time of its last row; also places ever used
        self.free = list(range(n - 1, -1, -1))

    def find(self, key: Any, now: int) -> int | None:
        """The place of a live key; None: it would begin anew."""
        try:
            place = self._place.get(key)
        except TypeError as error:
            raise DataError(
                f"key is a {type(key).__name__}, expected something hashable: a text, a number, "
                "None, or a tuple of these"
            ) from error
        if place is None and key is not None and absent(key):
            raise DataError(
                f"key is {key!r}, which does not equal itself; expected a text, a number, None, or "
                "a tuple of these"
            )
        if place is None or self._away_too_long(place, now):
            return None
        return place

    def find_all(self, keys: Sequence[Any], start: int, now: int) -> list[int]:
        """Places of keys of a sequence from ``start`` on, up to one that would begin anew."""
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
        """Use a key's place, or give it one; and whether what is there has to be cleared first."""
        place = self.find(key, now)
        if place is None:
            place = self._place.pop(key, None)
            if place is None:
                place = self.free.pop() if self.free else self._place.popitem(last=False)[1]
            self._place[plain(key)] = place
            dirty = place in self.seen
        else:
            self._place.move_to_end(key)
            dirty = False
        self.seen[place] = now
        return place, dirty

    def used(self, key: Any, place: int, now: int) -> None:
        """Count a row of a live key."""
        self.seen[place] = now
        self._place.move_to_end(key)

    def touch(self, keys: Iterable[Any], now: int) -> None:
        """Count rows of live keys."""
        for time, key in enumerate(keys, now):
            self.seen[self._place[key]] = time
            self._place.move_to_end(key)

    def forget(self, key: Any) -> int | None:
        """Take a key's place from it; the place, or None if it had none."""
        place = self._place.pop(key, None)
        if place is not None:
            self.free.append(place)
        return place

    def live(self, now: int) -> tuple[Hashable, ...]:
        """Keys that have not been away for too long, least recently used first."""
        return tuple(k for k, place in self._place.items() if not self._away_too_long(place, now))

    def _away_too_long(self, place: int, now: int) -> bool:
        return self.evict_after is not None and now - self.seen[place] > self.evict_after

    def places(self) -> list[tuple[Any, int]]:
        """Keys and their places, least recently used first, whether too long away or not."""
        return list(self._place.items())

    def restore(
        self, places: Sequence[tuple[Any, int]], seen: dict[int, int], free: list[int]
    ) -> None:
        """Take over what another's :meth:`places`, :attr:`seen` and :attr:`free` were."""
        taken = sorted([*free, *(place for _, place in places)])
        if taken != list(range(self.n)) or len({key for key, _ in places}) != len(places):
            raise DataError(f"places {taken} are taken or free, expected each of {self.n} once")
        if not {place for _, place in places} <= seen.keys() <= set(range(self.n)):
            raise DataError("a key has a place where no row was ever seen")
        self._place, self.seen, self.free = OrderedDict(places), dict(seen), list(free)
