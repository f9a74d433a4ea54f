"""Reference of counts of the symbols that followed recent symbols.

Predictions by partial matching, PPM (Cleary & Witten 1984), with interpolated orders (Witten &
Bell 1991), update exclusion (Moffat 1990), and a learned trust in each order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from carrousel.kernels.reference.layers import logistic
from carrousel.kernels.signs import GOLDEN, mixed
from carrousel.shapes import Floats

_PAIRS, _CHAIN = 7, 12
_UNSEEN, _SHARE, _MOST_TRUST, _LEAST_RATE = 0.3, 1e-4, 9.2, 0.02
_MOST_COUNT, _MOST_SINGLES, _MOST_USED = 255, 65536, 65535
_BOUNDS = np.array([1, 2, 3, 4, 7, 11, 18, 30])
_DISTINCT = 8
_WORD = 2**64 - 1
_KINDS = NOVEL, ALL = 0, 1


@dataclass
class _Place:
    """A place of the table: ``{symbol: [novel, all]}`` in the order of its pairs."""

    check: int = 0
    used: int = 0
    symbols: list[int | None] = field(default_factory=lambda: [None] * _PAIRS)
    counts: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(_PAIRS)])


@dataclass
class _Found:
    """Counts of a context by kind, and how many symbols have one."""

    counts: Annotated[Floats, "2 O"]
    distinct: list[int]


class ReferenceContexts:
    """Counts of symbols in contexts of recent symbols; see ``native/stream/contexts.h``.

    Args:
        symbols: size of the alphabet.
        streams: number of streams, which share all counts.
        order: longest context.
        places: places of the table, a power of two.

    >>> contexts = ReferenceContexts(symbols=3, streams=1, order=2, places=64)
    >>> for symbol in [0, 1, 2] * 30:
    ...     contexts.learn(0, symbol)
    ...     contexts.keep(0, symbol)
    >>> novel, both, kind = contexts.look(0, 0)
    >>> bool(both[1] > 0.9), bool(abs(both.sum() - 1) < 1e-12)
    (True, True)
    """

    def __init__(self, symbols: int, streams: int, order: int, places: int) -> None:
        self.symbols, self.order = symbols, order
        self.history: list[list[int]] = [[] for _ in range(streams)]
        self.places = [_Place() for _ in range(places)]
        self.shares = np.full(order + 1, 1 / (order + 1))
        self.singles = np.zeros((symbols, 2))
        distinct = np.arange(1, _DISTINCT + 1)[:, None]
        initial = np.log(np.maximum(_BOUNDS / distinct, 1.0))
        self.trusts = np.zeros((2, order, _DISTINCT, len(_BOUNDS), 2))
        self.trusts[..., 0] = initial

    def look(
        self, stream: int, symbol: int
    ) -> tuple[Annotated[Floats, "O"], Annotated[Floats, "O"], int]:
        """Return probabilities after one more symbol, by ``novel`` and ``all`` counts, and a class.

        The class of the context, its order and how sure it is, selects the exponents of a mixture.
        """
        found = [self._gather(h) for h in self._hashes([symbol, *self.history[stream]])]
        novel = self._orders(found, NOVEL)[-1]
        both = self.shares @ self._orders(found, ALL)
        kind = 0
        for order, context in enumerate(found, 1):
            seen = context.counts[ALL].sum()
            if seen:
                sure = context.distinct[ALL] == 1
                kind = 4 * order + (int(seen <= 3) if sure else 2 + int(seen <= 8))
        return novel, both, kind

    def keep(self, stream: int, symbol: int) -> None:
        """Append a symbol to a stream's context."""
        self.history[stream] = [symbol, *self.history[stream]][: self.order]

    def learn(self, stream: int, target: int) -> None:
        """Count the symbol that followed a stream's context."""
        hashes = self._hashes(self.history[stream])
        found = [self._gather(h) for h in hashes]
        orders = {kind: self._orders(found, kind)[:, target] for kind in _KINDS}
        for kind in _KINDS:
            self._learn_trusts(found, kind, target, orders[kind])
        self.shares *= orders[ALL]
        self.shares = (1 - _SHARE) * self.shares / self.shares.sum() + _SHARE / (self.order + 1)
        longest = max(
            (n for n, context in enumerate(found, 1) if context.counts[ALL, target]), default=-1
        )
        self.singles[target] += longest < 2, 1
        if self.singles[target, ALL] > _MOST_SINGLES:
            self.singles /= 2
        for order, h in enumerate(hashes, 1):
            self._count(h, target, order >= longest - 1)

    def reset(self, stream: int) -> None:
        """Discard the context of a stream."""
        self.history[stream] = []

    def _orders(self, found: list[_Found], kind: int) -> Annotated[Floats, "order+1 O"]:
        """Return the probabilities of each order."""
        p = self.singles[:, kind] + _UNSEEN
        p = p / p.sum()
        orders = [p]
        for order in range(self.order):
            if order < len(found) and found[order].distinct[kind]:
                counts = found[order].counts[kind]
                trust = logistic(self._trust(order, kind, found[order])[:1])[0]
                p = trust * counts / counts.sum() + (1 - trust) * p
            orders.append(p)
        return np.array(orders)

    def _learn_trusts(
        self, found: list[_Found], kind: int, target: int, p: Annotated[Floats, "order+1"]
    ) -> None:
        """Move each logit by the gradient of ``log p_n(target)``; ``p`` are the ``p_n(target)``."""
        for order, context in enumerate(found):
            if context.distinct[kind]:
                logit, counts = self._trust(order, kind, context), context.counts[kind]
                trust = logistic(logit[:1])[0]
                own = trust * counts[target] / counts.sum()
                logit[1] += 1
                rate = max(_LEAST_RATE, 1 / np.sqrt(1 + logit[1] / 4))
                logit[0] += rate * (own / p[order + 1] - trust)
                logit[0] = np.clip(logit[0], -_MOST_TRUST, _MOST_TRUST)

    def _trust(self, order: int, kind: int, context: _Found) -> Annotated[Floats, "2"]:
        """Return a view of the logit and its number of changes."""
        distinct = min(context.distinct[kind], _DISTINCT) - 1
        size = int(np.searchsorted(_BOUNDS, context.counts[kind].sum(), side="right")) - 1
        return self.trusts[kind, order, distinct, size]

    # --- the table --------------------------------------------------------------------------

    def _hashes(self, history: list[int]) -> list[int]:
        """Return the hashes of contexts of orders 1, 2, ..."""
        h, found = 0, []
        for n, symbol in enumerate(history[: self.order], 1):
            h = mixed((h + GOLDEN * n + symbol + 1) & _WORD)
            found.append(h)
        return found

    def _candidates(self, h: int, link: int) -> tuple[int, list[_Place]]:
        """Return the check of a place of a chain, and the two places that it may be."""
        h = mixed((h + link * GOLDEN) & _WORD)
        at = h % len(self.places)
        return h >> 48 | 1, [self.places[at], self.places[at ^ 1]]

    def _find(self, h: int, link: int) -> _Place | None:
        check, places = self._candidates(h, link)
        return next((place for place in places if place.check == check), None)

    def _make(self, h: int, link: int) -> _Place:
        """Return a place of a chain; replace the less used candidate if the place is new."""
        found = self._find(h, link)
        if found is not None:
            return found
        check, (to, other) = self._candidates(h, link)
        if to.used > other.used:
            to, other = other, to
        other.used = max(other.used - 1, 0)
        vars(to).update(vars(_Place(check)))
        return to

    def _gather(self, h: int) -> _Found:
        """Return the counts of a context.

        A symbol has two pairs where a place of the chain was replaced and then filled again.
        """
        found = _Found(np.zeros((2, self.symbols)), [0, 0])
        for link in range(_CHAIN):
            place = self._find(h, link)
            if place is None:
                break
            for symbol, pair in zip(place.symbols, place.counts, strict=True):
                if symbol is not None:
                    found.counts[:, symbol] += pair
                    found.distinct = [
                        n + (c > 0) for n, c in zip(found.distinct, pair, strict=True)
                    ]
            if None in place.symbols:
                break
        return found

    def _count(self, h: int, target: int, novel: bool) -> None:
        for link in range(_CHAIN):
            place = self._make(h, link)
            place.used = min(place.used + 1, _MOST_USED)
            if target in place.symbols:
                at = place.symbols.index(target)
            elif None in place.symbols:
                at = place.symbols.index(None)
            elif link < _CHAIN - 1:
                continue
            else:
                at = int(np.argmin([pair[ALL] for pair in place.counts]))
                place.symbols[at] = None
            if place.symbols[at] is None:
                place.symbols[at], place.counts[at] = target, [0, 0]
            if place.counts[at][ALL] == _MOST_COUNT:
                place.counts = [[n // 2, a // 2] for n, a in place.counts]
                place.symbols = [
                    s if a else None for s, (_, a) in zip(place.symbols, place.counts, strict=True)
                ]
            place.counts[at] = [place.counts[at][NOVEL] + novel, place.counts[at][ALL] + 1]
            return
