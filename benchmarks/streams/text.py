"""Prediction of the next character of a text: the net, n-grams that learn online, compressors."""

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
ORDERS = 6
"""The longest context of the n-grams, in characters."""
CURVE = 100
"""Points of a learning curve."""
LAST = 0.1
"""Share of the text that counts as its end."""
CHUNK = 20_000
"""Characters in one call."""


def baselines(text: Text) -> dict[str, Any]:
    """Compute bits a character of everything that needs no seed."""
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
    """Run ``carrousel.OnlineLSTM`` once over the text, with defaults except for ``settings``."""
    from carrousel import OnlineLSTM

    symbols, alphabet = text.symbols, text.alphabet
    model = OnlineLSTM("next", symbols=len(alphabet), random_state=seed, **settings)
    bits, right = np.full(len(symbols), np.log2(len(alphabet))), 0
    began = time.process_time()
    before = None  # the prediction for the first character of this chunk
    for start in range(0, len(symbols), CHUNK):
        part = symbols[start : start + CHUNK]
        shares = np.asarray(model.run(part, proba=True))
        if before is None:  # nothing predicts the first character of the text
            predicted, actual, first = shares[:-1], part[1:], start + 1
        else:
            predicted, actual, first = np.concatenate([before[None], shares[:-1]]), part, start
        bits[first : start + len(part)] = -np.log2(predicted[np.arange(len(actual)), actual])
        right += int((predicted.argmax(axis=1) == actual).sum())
        before = shares[-1]
    return {
        **summary(bits),
        "right": right / len(symbols),
        "us_per_step": 1e6 * (time.process_time() - began) / len(symbols),
    }


def summary(bits: np.ndarray) -> dict[str, Any]:
    """Compute the mean bits a character over all, over the end, and over each stretch."""
    end = int(len(bits) * (1 - LAST))
    curve = [float(part.mean()) for part in np.array_split(bits, min(CURVE, len(bits)))]
    return {"whole": float(bits.mean()), "end": float(bits[end:].mean()), "curve": curve}


def ngrams(symbols: np.ndarray, n_symbols: int, most: int) -> Iterator[tuple[int, np.ndarray]]:
    """Compute the bits of each character under n-grams of order 0 to ``most``.

    Counts are interpolated (Witten & Bell 1991, method C). With a context seen ``n`` times,
    followed by ``t`` different characters, ``p = (count + t p_shorter) / (n + t)``. Below order 0,
    all characters are equally likely. Only the text before a character counts. Sorting finds these
    counts for the whole text at once.
    """
    base = n_symbols + 1  # one more digit for positions before the text
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
    """Count earlier occurrences of each pair and context, and the symbols after that context."""
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
    """Count the earlier occurrences of each key."""
    order = np.argsort(keys, kind="stable")
    found = np.empty(len(keys), np.int64)
    found[order] = np.arange(len(keys)) - _begins(keys[order])
    return found


def _begins(ordered: np.ndarray) -> np.ndarray:
    """Find the start of each position's run of equal keys."""
    fresh = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return np.maximum.accumulate(np.where(fresh, np.arange(len(ordered)), 0))


def majority_wrong(symbols: np.ndarray, n_symbols: int) -> float:
    """Compute the share of characters that differ from the most frequent earlier one."""
    counts, best, wrong = [0] * n_symbols, 0, 0
    for symbol in symbols.tolist():
        wrong += symbol != best
        counts[symbol] += 1
        if counts[symbol] > counts[best]:
            best = symbol
    return wrong / len(symbols)
