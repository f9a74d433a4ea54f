"""Results of ``benchmarks/sequence`` as a page of Markdown, and as text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from benchmarks.lanes.tables import number
from benchmarks.lanes.tables import ratio as times
from benchmarks.sequence.cases import Size
from benchmarks.sequence.missed import absent, missed

Row = Mapping[str, Any]
Section = Mapping[str, Any]
MEGA = 1e6

HEAD = """\
# Sequences

Layers of `carrousel.nn` on whole batches in float32: beside torch's, beside the plain cell, and
beside loops over time in Python. Sizes are T, B, I, H: steps, sequences of the batch, inputs,
units.
"""
ABSENT = """\
No figure is shown for these: they were not run, or too few of their stretches were undisturbed.
They may miss aims that the rows above reach."""
TEXTS = {
    "plain": """\
## The plain LSTM beside `torch.nn.LSTM`

Same weights, same data, one layer. Training is forward and backward: gradients of all weights
and of the input. "Times as fast": torch's median time by ours; "least": the same of the least
times. GFLOP/s count the products of the weights alone (a multiply-add is two operations), three
times for training; the peak is a float32 `torch.mm` of 2048 x 2048 in the same rounds.
""",
    "variants": """\
## Variants and options

Training, as a multiple of the plain cell's time in the same rounds: ratio of medians, and in
brackets of least times. The last lines say how many times as long as ours torch's own layer
takes.
""",
    "loops": """\
## The same as a loop over time

Training; how many times as long as ours the loop takes. "Written": one step after another as
people write it, two linear layers, `chunk` and gates, on the same parameters. "Plain path": the
loop in torch operations that the package itself falls back to; it makes products with all
inputs at once.
""",
    "compiled": """\
## The written loops under `torch.compile`

Training, each loop compiled whole in a process of its own; "compiles in" is its first call.
""",
    "memory": """\
## Memory of long sequences

One training call, forward and backward, in a fresh process. "Peak" is the most that the whole
process ever had resident, Python and torch included; "grown by" is how much of it came with the
call, its module and data; "planned" is what `memory_plan` says beforehand. 1 MB is a million
bytes.
""",
}


def markdown(results: Mapping[str, Section]) -> str:
    """Return the page."""
    parts = [HEAD]
    for name, text in TEXTS.items():
        if name in results:
            parts += [text, "\n".join(SHOWN[name](results[name])) + "\n"]
    short = [f"- {line}" for line in missed(results)]
    parts.append("## Not reached\n\n" + "\n".join(short or ["Everything aimed at was reached."]))
    if lacking := [f"- {line}" for line in absent(results)]:
        parts.append(f"\n## Not measured yet\n\n{ABSENT}\n\n" + "\n".join(lacking))
    parts.append("\n## How it was measured\n\n" + "\n".join(f"- {x}" for x in _about(results)))
    return "\n".join(parts) + "\n"


def report(results: Mapping[str, Section]) -> str:
    """Tables for the terminal."""
    lines: list[str] = []
    for name, section in results.items():
        lines += [f"{name}:", *SHOWN[name](section), ""]
    return "\n".join([*lines, *missed(results)])


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
    yield from table(heads, cells)
    for words, chosen in (
        ("All sizes", timed),
        ("B > 1", [row for row in timed if row["size"][1] > 1]),
        ("B = 1", [row for row in timed if row["size"][1] == 1]),
    ):
        if chosen:
            found = [f"{words}:"]
            for what, name in (("train", "training"), ("infer", "inference")):
                rates = [row[what]["ratio"] for row in chosen]
                mean = math.exp(sum(map(math.log, rates)) / len(rates))
                found.append(
                    f"{name} {times(mean)} as fast (geometric mean), {times(min(rates))} at least;"
                )
            yield "\n" + " ".join(found)[:-1] + "."


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
    yield from table(heads, cells)
    yield from _skipped(rows)
    yield "\nRecompute computes everything forward twice; the aim of 1.3 is not meant for it."


def _variant(row: Row | None) -> str:
    if row is None or "skipped" in row:
        return "-"
    if "ratio" not in row:
        return "wrong"
    return f"{row['ratio']:.2f} ({row['ratio_least']:.2f})"


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
    yield from table(heads, cells, text_columns=2)
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
    yield from table(heads, cells, text_columns=2)
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
    yield from table(heads, cells, text_columns=2)
    yield from _skipped(section["rows"])


SHOWN: Mapping[str, Callable[[Section], Iterator[str]]] = {
    "plain": _plain,
    "variants": _variants,
    "loops": _loops,
    "compiled": _compiled,
    "memory": _memory,
}


def table(heads: list[str], rows: Iterable[list[str]], text_columns: int = 1) -> Iterator[str]:
    """Lines of a Markdown table whose columns stand below each other as text too."""
    rows = [[*row, *["-"] * (len(heads) - len(row))] for row in (heads, *rows)]
    wide = [max(3, *(len(row[n]) for row in rows)) for n in range(len(heads))]
    for place, row in enumerate(rows):
        cells = (
            cell.ljust(width) if n < text_columns else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, wide, strict=True))
        )
        yield "| " + " | ".join(cells) + " |"
        if not place:
            yield (
                "|"
                + "|".join(
                    "-" * (width + 2) if n < text_columns else "-" * (width + 1) + ":"
                    for n, width in enumerate(wide)
                )
                + "|"
            )


def _sizes(section: Section) -> list[Size]:
    return list(dict.fromkeys(Size(*row["size"]) for row in section["rows"]))


def _size(row: Row) -> str:
    return str(Size(*row["size"]))


def _skipped(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if "skipped" in row:
            yield f"\n{row.get('variant', row.get('contender'))} is left out: {row['skipped']}"


def _about(results: Mapping[str, Section]) -> Iterator[str]:
    machines: dict[str, list[str]] = {}
    for name, section in results.items():
        here = section["machine"]
        versions = ", ".join(f"{key} {value}" for key, value in here["versions"].items())
        line = f"{here['processor']}, {here['cores']} cores, {here['instruction_sets'][0]}"
        machines.setdefault(f"{line}; {versions}; {here['threads']} threads", []).append(name)
    for line, names in machines.items():
        yield f"{line}." if len(machines) == 1 else f"{line}: {', '.join(names)}."
    yield (
        "Verified first: output and gradients of all weights and of the input, in float64 within "
        "1e-10 of the largest number of each tensor, of torch's layer or of the plain path (with "
        "the same random masks); in float32 at most four times as far from float64 as the naive "
        "way in float32, or eight units in the last place, or for gradients of parameters, sums of "
        "T B terms, the root of T B roundings. What fails is not timed. Compiled loops are "
        "verified in float32 alone."
    )
    plans = {tuple(section["plan"].values())[:3] for section in results.values()}
    for repeats, seconds, patience in sorted(plans):
        yield (
            f"Contenders take turns in one process, {repeats} undisturbed stretches each of "
            f"{1e3 * seconds:.0f} ms or one call, after one call that does not count; median, "
            "quartiles in brackets. A stretch is disturbed if threads waited for a core more than "
            f"2 % of it; rounds go on for up to {patience} times as many. Where fewer than three "
            "stretches were undisturbed, all count."
        )
    shares = [found["calm"] for section in results.values() for found in _timed(section["rows"])]
    if shares:
        few = sum(share == 0 for share in shares)
        yield (
            f"Of all stretches {sum(shares) / len(shares):.0%} were undisturbed; {few} of "
            f"{len(shares)} times have none that was."
        )
    yield (
        "`make bench BENCH=sequence ARGS='--json docs/sequence.json --markdown docs/sequence.md'` "
        "makes this page; `--sections` measures a part of it anew."
    )


def _timed(found: Any) -> Iterator[Row]:
    """Every time in some results."""
    if isinstance(found, Mapping):
        if "calm" in found:
            yield found
        for value in found.values():
            yield from _timed(value)
    elif isinstance(found, list):
        for value in found:
            yield from _timed(value)
