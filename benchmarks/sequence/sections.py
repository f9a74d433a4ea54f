"""The timed sections: each yields rows, whose contenders are verified first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from benchmarks.sequence.cases import (
    GRID,
    LIKE_TORCH,
    LOOP_SIZES,
    PLAIN,
    QUICK_SIZE,
    VARIANT_SIZES,
    VARIANTS,
    Size,
    Variant,
    operations,
    torch_twin,
)
from benchmarks.sequence.loops import LOOPS, Looped, Plain
from benchmarks.sequence.parity import Contender, Parity, Reference, shortened
from benchmarks.sequence.stored import STORED_SIZES, stored
from benchmarks.sequence.timing import Plan, alternate, ratios, summary

from carrousel.errors import MissingExtraError

Row = dict[str, Any]
Entries = dict[str, Callable[[], Any]]
QUICK_VARIANTS = ("lstm97", "peephole", "GRU", "zoneout 0.1")
MM_SIDE = 2048
"""Side of the square float32 matrices whose product by torch counts as the peak."""


def sizes_of(section: str, quick: bool) -> Sequence[Size]:
    """List the sizes of a section."""
    grids = {
        "plain": GRID,
        "variants": VARIANT_SIZES,
        "stored": STORED_SIZES,
        "loops": LOOP_SIZES,
    }
    return (QUICK_SIZE,) if quick else grids[section]


def plain(size: Size, plan: Plan, quick: bool) -> Iterator[Row]:
    """Time the plain cell and torch's LSTM: training and inference."""
    module = PLAIN.make(size)
    ours = Contender(module, size)
    theirs = Contender(torch_twin(module, "LSTM", size), size)
    parity = Reference(theirs).check(ours)
    row: Row = {"size": list(size), "parity": parity.row()}
    if parity.holds:
        product = _matrix_product(256 if quick else MM_SIDE)
        for what in ("train", "infer"):
            entries = {"ours": getattr(ours, what), "torch": getattr(theirs, what), "mm": product}
            times = _times(entries, plan)
            work = operations(module, size) * (3 if what == "train" else 1)
            peak = 2.0 * (256 if quick else MM_SIDE) ** 3 / times["mm"]["median"] / 1e6
            gflops = work / times["ours"]["median"] / 1e6
            row[what] = {
                **times,
                **ratios(times["torch"], times["ours"]),
                "gflops": gflops,
                "torch_gflops": work / times["torch"]["median"] / 1e6,
                "mm_gflops": peak,
                "share": gflops / peak,
            }
    yield row


def variants(size: Size, plan: Plan, quick: bool) -> Iterator[Row]:
    """Time every variant and the plain cell, forward and backward, in the same rounds."""
    base = Contender(PLAIN.make(size), size)
    entries: Entries = {"plain": base.train}
    rows: list[Row] = []
    for variant in _chosen(quick):
        row: Row = {"size": list(size), "variant": variant.name, "apart": variant.apart}
        rows.append(row)
        ours = _ours(variant, size, row)
        if ours is None:
            continue
        row["parity"] = _check(variant, size)
        if row["parity"]["holds"]:
            entries[variant.name] = ours.train
        if variant.family in LIKE_TORCH[1:]:
            theirs = Contender(torch_twin(ours.layer, variant.family, size), size)
            against = Reference(theirs).check(ours)
            row["torch_parity"] = against.row()
            if against.holds:
                entries[f"torch {variant.name}"] = theirs.train
    times = _times(entries, plan)
    for row in rows:
        name = row["variant"]
        if name in times:
            row |= {"ours": times[name], "plain": times["plain"]}
            row |= ratios(times[name], times["plain"])
            if twin := times.get(f"torch {name}"):
                row["torch"] = {**twin, **ratios(twin, times[name])}
        yield row


def loops(size: Size, plan: Plan, quick: bool) -> Iterator[Row]:
    """Time every variant and its loop over time in Python, forward and backward."""
    for variant in (PLAIN, *_chosen(quick)):
        if variant.apart:
            continue
        row: Row = {"size": list(size), "variant": variant.name}
        ours = _ours(variant, size, row)
        if ours is not None:
            slow = {"plain path": Contender(Plain(ours.layer), size, ours.arguments)}
            if variant.loop:
                slow["written"] = Contender(Looped(ours.layer, LOOPS[variant.loop]), size)
            reference = Reference(slow["plain path"])
            found = {"ours": reference.check(ours)}
            if "written" in slow:
                found["written"] = reference.check(slow["written"])
            row["parity"] = _worst(found.values()).row()
            if row["parity"]["holds"]:
                entries: Entries = {name: one.train for name, one in slow.items()}
                times = _times({"ours": ours.train, **entries}, plan)
                row["ours"] = times["ours"]
                row["loops"] = {
                    name: {**times[name], **ratios(times[name], times["ours"])} for name in slow
                }
        yield row


TIMED: Mapping[str, Callable[[Size, Plan, bool], Iterator[Row]]] = {
    "plain": plain,
    "variants": variants,
    "stored": stored,
    "loops": loops,
}


def _chosen(quick: bool) -> list[Variant]:
    return [one for one in VARIANTS if not quick or one.name in QUICK_VARIANTS]


def _ours(variant: Variant, size: Size, row: Row) -> Contender | None:
    try:
        return Contender(variant.make(size), size, variant.arguments(size))
    except MissingExtraError as error:
        row["skipped"] = str(error)
        return None


def _check(variant: Variant, size: Size) -> Row:
    """Verify a variant against the plain path; for the largest size only the first steps."""
    short = shortened(size)
    layer, arguments = variant.make(short), variant.arguments(short)
    trusted = Contender(Plain(layer), short, arguments)
    return Reference(trusted).check(Contender(layer, short, arguments)).row()


def _worst(found: Any) -> Parity:
    return max(found, key=lambda parity: (not parity.holds, parity.excess))


def _times(entries: Entries, plan: Plan) -> dict[str, dict[str, float]]:
    return {name: summary(made) for name, made in alternate(entries, plan).items()}


def _matrix_product(side: int) -> Callable[[], Any]:
    a, b, out = torch.rand(side, side), torch.rand(side, side), torch.empty(side, side)
    return lambda: torch.mm(a, b, out=out)
