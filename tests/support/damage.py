"""Damaged copies of a file's bytes."""

from __future__ import annotations

from random import Random

NUMBERS = (b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00")
"""Largest and least 32-bit numbers, -1 and 0: offsets, lengths and counts of a format."""


def damaged(good: bytes, rng: Random) -> bytes:
    """Return a copy with one to eight changes: a byte, a number, bytes removed or added, an end."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, kind = rng.randrange(max(1, len(data))), rng.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind <= 2:
            at -= at % 4  # numbers of these formats are aligned
            data[at : at + 4] = rng.choice(NUMBERS)
        elif kind == 3:
            del data[at : at + rng.randrange(1, 64)]
        elif kind == 4:
            data[at:at] = bytes(rng.randrange(1, 64))
        else:
            del data[at:]
    return bytes(data)
