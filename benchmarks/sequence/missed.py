"""The aims of ``benchmarks/sequence``, and the rows that miss them or are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.lanes.tables import ratio as times
from benchmarks.sequence.cases import (
    COMPILED_SIZE,
    GRID,
    LOOP_SIZES,
    PLAIN,
    VARIANT_SIZES,
    VARIANTS,
    Size,
)

VARIANT_AT_MOST = 1.3
LOOP_AT_LEAST = 20.0
MEMORY_AT_MOST = 400e6


def missed(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Write a line for every aim that some rows miss, and for rows with wrong results."""
    rows = {name: section["rows"] for name, section in results.items()}
    yield from _aim(
        "Slower than `torch.nn.LSTM`",
        [
            f"{words} at {Size(*row['size'])} ({row[what]['ratio']:.2f} times as fast)"
            for row in rows.get("plain", ())
            for what, words in (("train", "training"), ("infer", "inference"))
            if what in row and row[what]["ratio"] < 1
        ],
    )
    yield from _aim(
        f"More than {VARIANT_AT_MOST} times the plain cell",
        [
            f"{row['variant']} at {Size(*row['size'])} ({row['ratio']:.2f})"
            for row in rows.get("variants", ())
            if "ratio" in row and row["ratio"] > VARIANT_AT_MOST and not row["apart"]
        ],
    )
    yield from _aim(
        "Slower than torch's own layer",
        [
            f"{row['variant']} at {Size(*row['size'])} ({row['torch']['ratio']:.2f} times as fast)"
            for row in rows.get("variants", ())
            if "torch" in row and row["torch"]["ratio"] < 1
        ],
    )
    yield from _aim(
        "int8 slower than float32 from 128 units on",
        [
            f"{Size(*row['size'])} ({row['ratio']:.2f} times as fast)"
            for row in rows.get("stored", ())
            if row["contender"] == "carrousel int8" and row["size"][3] >= 128
            if row.get("ratio", 0) < 1
        ],
    )
    yield from _aim(
        f"Less than {LOOP_AT_LEAST:.0f} times as fast as a loop",
        [
            f"{row['variant']}, {kind}, at {Size(*row['size'])} ({times(one['ratio'])})"
            for row in rows.get("loops", ())
            for kind, one in row.get("loops", {}).items()
            if one["ratio"] < LOOP_AT_LEAST
        ],
    )
    yield from _aim(
        f"More than {MEMORY_AT_MOST / 1e6:.0f} MB resident with recompute",
        [
            f"{row['peak'] / 1e6:.0f} MB in all, {row['grown'] / 1e6:.0f} MB added by the call"
            for row in rows.get("memory", ())
            if row["contender"] == "recompute auto" and row.get("peak", 0) > MEMORY_AT_MOST
        ],
    )
    yield from _aim(
        "Not timed because of wrong results",
        [
            f"{row.get('variant', 'LSTM')} at {Size(*row['size'])} in {name}"
            for name, found in rows.items()
            for row in found
            for check in ("parity", "torch_parity")
            if check in row and not row[check]["holds"]
        ],
    )


def absent(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Write a line for every section and size with missing rows."""
    every = [one.name for one in VARIANTS]
    looped = [PLAIN.name, *(one.name for one in VARIANTS if not one.apart)]
    written = [one.name for one in (PLAIN, *VARIANTS) if one.loop]
    expected = {
        "plain": {size: [PLAIN.name] for size in GRID},
        "variants": dict.fromkeys(VARIANT_SIZES, every),
        "loops": dict.fromkeys(LOOP_SIZES, looped),
        "compiled": {COMPILED_SIZE: written},
    }
    for section, sizes in expected.items():
        rows = results.get(section, {"rows": []})["rows"]
        have = {(Size(*row["size"]), row.get("variant", PLAIN.name)) for row in rows}
        for size, names in sizes.items():
            lacking = [name for name in names if (size, name) not in have]
            if lacking:
                what = "all" if len(lacking) == len(names) else "; ".join(lacking)
                yield f"{section} at {size}" + (f": {what}" if section != "plain" else "")


def _aim(words: str, found: list[str]) -> Iterator[str]:
    if found:
        yield f"{words}: {'; '.join(found)}."
