"""Philox 4x32-10 and whole numbers made of it, written to be read (Salmon et al. 2011)."""

from __future__ import annotations

from functools import cache

import numpy as np

BLOCKS = 32  # of a panel
STREAMS = {"steps": 0, "lengths": 1, "sequences": 2, "targets": 3, "noise": 4}


def philox(key: int, counters: np.ndarray) -> np.ndarray:
    """Words ``[n, 4]`` of counters ``[n, 4]``; the lower half of the key comes first."""
    a, b, c, d = np.asarray(counters, np.uint64).T
    lower = np.uint64(0xFFFFFFFF)
    even, odd = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p, q = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a = (q >> np.uint64(32)) ^ b ^ np.uint64(even)
        c = (p >> np.uint64(32)) ^ d ^ np.uint64(odd)
        b, d = q & lower, p & lower
        even, odd = (even + 0x9E3779B9) & 0xFFFFFFFF, (odd + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)


class Words:
    """All words of a key."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.panel = cache(self._panel)

    def _panel(self, stream: str, number: int, attempt: int = 0) -> np.ndarray:
        """The words ``[4, 32]`` of a panel: one row for each output of its blocks."""
        blocks = BLOCKS * number + np.arange(BLOCKS)
        counters = np.zeros((BLOCKS, 4), np.uint64)
        counters[:, 0], counters[:, 1] = blocks & 0xFFFFFFFF, blocks >> 32
        counters[:, 2:] = STREAMS[stream], attempt
        return philox(self.key, counters).T

    def panels(self, stream: str, n: int) -> np.ndarray:
        """The first panels, as many as ``n`` words need, ``[panels, 128]``."""
        return np.stack([self.panel(stream, k).ravel() for k in range(-(-n // 128))])

    def steps(self, n: int, stream: str = "steps") -> np.ndarray:
        """One word for each step, ``[n]``."""
        return self.panels(stream, n).ravel()[:n]

    def of(self, stream: str, sequence: int, output: int, attempt: int = 0) -> int:
        """One of the four words of a sequence."""
        return int(self.panel(stream, sequence // BLOCKS, attempt)[output, sequence % BLOCKS])

    def below(self, count: int, sequence: int, output: int, stream: str = "sequences") -> int:
        """A number of a sequence that is uniform on 0 to count - 1."""
        attempt = 0
        while (scaled := self.of(stream, sequence, output, attempt) * count) % 2**32 < (
            2**32 % count
        ):
            attempt += 1
        return scaled >> 32

    def steps_below(self, count: int, n: int, stream: str = "steps") -> np.ndarray:
        """Numbers of steps that are uniform on 0 to count - 1, ``[n]``."""
        scaled = self.steps(n, stream).astype(object) * count
        for step in np.flatnonzero([x % 2**32 < 2**32 % count for x in scaled]):
            attempt = 1
            while scaled[step] % 2**32 < 2**32 % count:
                word = self.panel(stream, int(step) // 128, attempt).ravel()[step % 128]
                scaled[step] = int(word) * count
                attempt += 1
        return np.array([x >> 32 for x in scaled], np.int64)

    def gaussians(self, n: int, stream: str = "steps") -> np.ndarray:
        """Gaussians of mean 0 and variance 1 in float64, ``[n]``."""
        return gaussians(self.panels(stream, n)).ravel()[:n]


def gaussians(panels: np.ndarray) -> np.ndarray:
    """Gaussians of panels of words ``[panels, 128]``, by the method of Box and Muller."""
    first, second = panels[:, :64], panels[:, 64:]
    radius = np.sqrt(-2.0 * np.log1p((first >> 8) * -(2.0**-24)))
    angle = 2 * np.pi * (second >> 6).astype(np.float64) * 2.0**-26 - np.pi / 4
    return np.hstack([radius * np.cos(angle), radius * np.sin(angle)])
