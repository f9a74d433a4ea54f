"""The next character of a text: the net beside n-grams that learn as it does, and compressors."""

from __future__ import annotations

import bz2
import lzma
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from benchmarks.streams.data import Text, fingerprint

NETS: Mapping[str, dict[str, Any]] = {
    "as it comes": {"cells": 128},
}
ORDERS = 6  # contexts of 0 to 6 characters
CURVE = 100  # points of a learning curve
LAST = 0.1  # share of the text that counts as its end
CHUNK = 20_000


def baselines(text: Text) -> dict[str, Any]:
    """Bits a character of everything that needs no seed."""
    bits = dict(ngrams(text.symbols, len(text.alphabet), ORDERS))
    rows = {f"n-grams of order {order}": summary(cost) for order, cost in bits.items()}
    always = np.full(len(text.symbols), np.log2(len(text.alphabet)))
    rows = {"all characters equally likely": summary(always), **rows}
    packed = {
        "bz2 -9": len(bz2.compress(text.raw, 9)),
        "xz -9e": len(lzma.compress(text.raw, preset=9 | lzma.PRESET_EXTREME)),
    }
    for name, size in packed.items():
        rows[name] = {"whole": 8 * size / len(text.raw)}
    wrong = majority_wrong(text.symbols, len(text.alphabet))
    return {
        "characters": len(text.symbols),
        "alphabet": len(text.alphabet),
        "fingerprint": fingerprint(text.symbols),
        "majority_right": 1 - wrong,
        "rows": rows,
    }


def net(text: Text, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """One pass of ``carrousel.OnlineLSTM`` with its own settings but for those given."""
    from carrousel import OnlineLSTM

    symbols, alphabet = text.symbols, text.alphabet
    model = OnlineLSTM("next", symbols=len(alphabet), random_state=seed, **settings)
    bits, right = np.full(len(symbols), np.log2(len(alphabet))), 0
    began = time.process_time()
    before = None  # what was predicted for the first character of this chunk
    for start in range(0, len(symbols), CHUNK):
        part = symbols[start : start + CHUNK]
        shares = np.asarray(model.run(part, proba=True))
        said = shares if before is None else np.concatenate([before[None], shares[:-1]])
        came = part[1:] if before is None else part
        said = shares[:-1] if before is None else said
        first = start + (before is None)
        bits[first : start + len(part)] = -np.log2(said[np.arange(len(came)), came])
        right += int((said.argmax(axis=1) == came).sum())
        before = shares[-1]
    return {
        **summary(bits),
        "right": right / len(symbols),
        "us_per_step": 1e6 * (time.process_time() - began) / len(symbols),
    }


def summary(bits: np.ndarray) -> dict[str, Any]:
    """Bits a character over all and over the end, and the mean of each stretch."""
    end = int(len(bits) * (1 - LAST))
    curve = [float(part.mean()) for part in np.array_split(bits, min(CURVE, len(bits)))]
    return {"whole": float(bits.mean()), "end": float(bits[end:].mean()), "curve": curve}


def ngrams(symbols: np.ndarray, n_symbols: int, most: int) -> Iterator[tuple[int, np.ndarray]]:
    """Bits that each character costs n-grams of order 0 to ``most``, each from those before it.

    Interpolated counts (Witten & Bell 1991, method C): with a context seen ``n`` times, followed by
    ``t`` different characters, ``p = (count + t p_shorter) / (n + t)``; the shortest of all says
    that all characters are equally likely. All counts are those of the text before the character,
    found for the whole text at once by sorting.
    """
    base = n_symbols + 1  # one more digit for what would stand before the text
    assert base ** (most + 1) < 2**63
    p = np.full(len(symbols), 1 / n_symbols)
    context = np.zeros(len(symbols), np.int64)
    shifted = symbols
    for order in range(most + 1):
        if order:
            shifted = np.concatenate([[n_symbols], shifted[:-1]])
            context = context * base + shifted
        count, seen, kinds = counts_before(context, symbols, base)
        p = np.where(seen > 0, (count + kinds * p) / np.maximum(seen + kinds, 1), p)
        yield order, -np.log2(p)


def counts_before(
    context: np.ndarray, symbols: np.ndarray, base: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each place: how often its pair and its context came before, and with how many symbols."""
    pair = context * base + symbols
    count = _earlier(pair)
    order = np.argsort(context, kind="stable")
    begins = _begins(context[order])
    places = np.arange(len(order)) - begins
    new = (count[order] == 0).astype(np.int64)
    before = np.cumsum(new) - new
    seen, kinds = np.empty_like(count), np.empty_like(count)
    seen[order] = places
    kinds[order] = before - before[begins]
    return count, seen, kinds


def _earlier(keys: np.ndarray) -> np.ndarray:
    """How often each key stands before its place."""
    order = np.argsort(keys, kind="stable")
    found = np.empty(len(keys), np.int64)
    found[order] = np.arange(len(keys)) - _begins(keys[order])
    return found


def _begins(ordered: np.ndarray) -> np.ndarray:
    """Where the stretch of equal keys begins that each place is in."""
    fresh = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return np.maximum.accumulate(np.where(fresh, np.arange(len(ordered)), 0))


def majority_wrong(symbols: np.ndarray, n_symbols: int) -> float:
    """Share of characters that are not the one that came most often before them."""
    counts, best, wrong = [0] * n_symbols, 0, 0
    for symbol in symbols.tolist():
        wrong += symbol != best
        counts[symbol] += 1
        if counts[symbol] > counts[best]:
            best = symbol
    return wrong / len(symbols)
