"""Images in the PNG format, for pages."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Annotated

import numpy as np

from carrousel.shapes import Floats


def png(colours: Annotated[Floats, "rows columns 4"]) -> bytes:
    """Return an image with one pixel for each colour, red, green, blue and opacity of 0 to 1.

    Images of up to 256 colours have a palette, which makes them small.

    Source: PNG specification, W3C 2003; colour types 3 and 6, 8 bits, no filter.

    >>> png(np.zeros((1, 1, 4)))[:4]
    b'\\x89PNG'
    """
    values = np.round(np.clip(colours, 0.0, 1.0) * 255).astype(np.uint8)
    rows, columns = values.shape[:2]
    packed = np.ascontiguousarray(values).view(np.uint32).reshape(rows, columns)
    palette, index = np.unique(packed, return_inverse=True)
    has_palette = len(palette) <= 256
    body = index.astype(np.uint8) if has_palette else values
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), body.reshape(rows, -1)], axis=1)
    kind = 3 if has_palette else 6
    chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0))]
    if has_palette:
        table = palette.view(np.uint8).reshape(-1, 4)
        chunks.append(_chunk(b"PLTE", table[:, :3].tobytes()))
        chunks.append(_chunk(b"tRNS", table[:, 3].tobytes()))
    chunks.append(_chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)))
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, _chunk(b"IEND", b"")])


def address(colours: Annotated[Floats, "rows columns 4"]) -> str:
    """Return the image as an address that contains it."""
    return "data:image/png;base64," + base64.b64encode(png(colours)).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
