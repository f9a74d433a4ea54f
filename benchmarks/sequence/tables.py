"""Results of ``benchmarks/sequence`` as Markdown tables, for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from benchmarks.lanes.tables import number
from benchmarks.lanes.tables import ratio as times
from benchmarks.sequence.cases import Size
from benchmarks.sequence.missed import missed

from carrousel.experiments.report.markdown import table

Row = Mapping[str, Any]
Section = Mapping[str, Any]
MEGA = 1e6


def report(results: Mapping[str, Section]) -> str:
    """Tables of all sections for the terminal, and the aims that were missed."""
    parts = [f"{name}:\n{section_text(name, section)}\n" for name, section in results.items()]
    return "\n".join([*parts, *missed(results)])


def section_text(name: str, section: Section) -> str:
    """Table of one section, and sentences about it."""
    return "\n\n".join(SECTIONS[name](section))


def _plain(section: Section) -> Iterator[str]:
    heads = ["T, B, I, H"]
    for what in ("training", "inference"):
        heads += [f"{what}, ms", "torch, ms", "times as fast", "least"]
    heads += ["GFLOP/s", "torch", "of peak"]
    cells, timed = [], []
    for row in section["rows"]:
        cell = [_size(row)]
        for what in ("train", "infer"):
            cell += _pair(row.get(what))
        if "train" in row:
            timed.append(row)
            train = row["train"]
            cell += [f"{train['gflops']:.0f}", f"{train['torch_gflops']:.0f}"]
            cell += [f"{train['share']:.0%}"]
        cells.append(cell)
    yield _filled(heads, cells)
    for words, chosen in (
        ("All sizes", timed),
        ("B > 1", [row for row in timed if row["size"][1] > 1]),
        ("B = 1", [row for row in timed if row["size"][1] == 1]),
    ):
        if chosen:
            found = []
            for what, name in (("train", "training"), ("infer", "inference")):
                rates = [row[what]["ratio"] for row in chosen]
                mean = math.exp(sum(map(math.log, rates)) / len(rates))
                found.append(
                    f"{name} {times(mean)} as fast (geometric mean), {times(min(rates))} at least"
                )
            yield f"{words}: {'; '.join(found)}."


def _pair(found: Row | None) -> list[str]:
    if found is None:
        return ["wrong", "-", "-", "-"]
    ours, theirs = found["ours"], found["torch"]
    bold = f"**{times(found['ratio'])}**"
    return [_spread(ours), _spread(theirs), bold, times(found["ratio_least"])]


def _spread(time: Row) -> str:
    return f"{number(time['median'])} ({number(time['low'])}-{number(time['high'])})"


def _variants(section: Section) -> Iterator[str]:
    rows, sizes = section["rows"], _sizes(section)
    names = list(dict.fromkeys(row["variant"] for row in rows))
    found = {(row["variant"], tuple(row["size"])): row for row in rows}
    heads = ["", *map(str, sizes)]
    base = next((row["plain"] for row in rows if "plain" in row), None)
    plain = {tuple(row["size"]): row["plain"] for row in rows if "plain" in row}
    cells = []
    if base:
        ms = [f"{number(plain[size]['median'])} ms" if size in plain else "-" for size in sizes]
        cells.append(["plain cell", *ms])
    for name in names:
        cells.append([name, *(_variant(found.get((name, size))) for size in sizes)])
    for name in names:
        mine = [found[name, size] for size in sizes if "torch" in found.get((name, size), {})]
        if mine:
            ratios = (times(row["torch"]["ratio"]) for row in mine)
            cells.append([f"*torch.nn.{name} by ours*", *ratios])
    yield _filled(heads, cells)
    yield from _skipped(rows)


def _variant(row: Row | None) -> str:
    if row is None or "skipped" in row:
        return "-"
    if "ratio" not in row:
        return "wrong"
    return f"{row['ratio']:.2f} ({row['ratio_least']:.2f})"


def _stored(section: Section) -> Iterator[str]:
    heads = ["T, B, I, H", "", "error", "inference, ms", "times as fast", "least"]
    cells = []
    for row in section["rows"]:
        cell = [_size(row), row["contender"], f"{row['parity']['error']:.0e}"]
        if "time" in row:
            cell += [_spread(row["time"]), f"**{times(row['ratio'])}**", times(row["ratio_least"])]
        elif not row["parity"]["holds"]:
            cell.append("wrong")
        cells.append(cell)
    yield _filled(heads, cells, "llr")


def _loops(section: Section) -> Iterator[str]:
    heads = ["T, B, I, H", "", "ours, ms", "written, ms", "by ours", "plain path, ms", "by ours"]
    cells = []
    for row in section["rows"]:
        cell = [_size(row), row["variant"]]
        if "ours" in row:
            cell.append(number(row["ours"]["median"]))
            for name in ("written", "plain path"):
                one = row["loops"].get(name)
                cell += [number(one["median"]), f"**{times(one['ratio'])}**"] if one else ["", ""]
        else:
            cell += ["-" if "skipped" in row else "wrong", "", "", "", ""]
        cells.append(cell)
    yield _filled(heads, cells, "llr")
    yield from _skipped(section["rows"])


def _compiled(section: Section) -> Iterator[str]:
    heads = ["T, B, I, H", "", "compiles in, s", "ours, ms", "compiled, ms", "by ours"]
    cells = []
    for row in section["rows"]:
        cell = [_size(row), row["variant"]]
        if "compile_seconds" in row:
            cell.append(f"{row['compile_seconds']:.0f}")
        if "ours" in row:
            cell += [number(row[who]["median"]) for who in ("ours", "compiled")]
            cell.append(f"**{times(row['ratio'])}**")
        cells.append(cell)
    yield _filled(heads, cells, "llr")
    yield from _skipped(section["rows"])


def _memory(section: Section) -> Iterator[str]:
    heads = ["T, B, I, H", "", "peak, MB", "grown by, MB", "planned, MB", "took, s"]
    cells = []
    for row in section["rows"]:
        cell = [_size(row), row["contender"]]
        if "peak" in row:
            cell += [f"{row[name] / MEGA:.0f}" for name in ("peak", "grown")]
            cell.append(f"{row['planned'] / MEGA:.0f}" if row["planned"] else "")
            cell.append(f"{row['seconds']:.1f}")
        cells.append([*cell, *["-"] * (len(heads) - len(cell))])
    yield _filled(heads, cells, "llr")
    yield from _skipped(section["rows"])


SECTIONS: Mapping[str, Callable[[Section], Iterator[str]]] = {
    "plain": _plain,
    "variants": _variants,
    "stored": _stored,
    "loops": _loops,
    "compiled": _compiled,
    "memory": _memory,
}


def _filled(heads: list[str], rows: Iterable[list[str]], align: str = "lr") -> str:
    """Table whose short rows are filled with dashes."""
    full = ([*row, *["-"] * (len(heads) - len(row))] for row in rows)
    return table(heads, full, align, padded=True)


def _sizes(section: Section) -> list[Size]:
    return list(dict.fromkeys(Size(*row["size"]) for row in section["rows"]))


def _size(row: Row) -> str:
    return str(Size(*row["size"]))


def _skipped(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if "skipped" in row:
            yield f"{row.get('variant', row.get('contender'))} was skipped: {row['skipped']}"
