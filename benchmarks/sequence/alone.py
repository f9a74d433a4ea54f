"""Measurements that need a fresh process: ``torch.compile`` and peak memory."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from benchmarks.sequence.cases import (
    COMPILED_SIZE,
    FAR,
    PLAIN,
    QUICK_SIZE,
    VARIANTS,
    Size,
    torch_twin,
)
from benchmarks.sequence.loops import LOOPS, Looped
from benchmarks.sequence.parity import Contender, Reference
from benchmarks.sequence.timing import Plan, alternate, ratios, summary

Row = dict[str, Any]
COMPILE_SECONDS = 300.0
WRITTEN = {one.name: one for one in (PLAIN, *VARIANTS) if one.loop}
TRAINED: Mapping[str, dict[str, Any]] = {
    "recompute auto": {"recompute": "auto"},
    "no recompute": {},
    "torch.nn.LSTM": {},
}


def compiled(name: str, plan: Plan, threads: int, quick: bool) -> Row:
    """Time a written loop under ``torch.compile`` and ours; give up after five minutes."""
    size = QUICK_SIZE if quick else COMPILED_SIZE
    row: Row = {"size": list(size), "variant": name}
    # Compile in the process itself, which is killed after the time limit.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    found = alone(_compiled, (name, size, plan, threads), COMPILE_SECONDS + 60)
    return row | (found or {"skipped": f"not compiled within {COMPILE_SECONDS:.0f} s"})


def memory(name: str, threads: int, quick: bool) -> Row:
    """Measure the peak resident memory of one training call of a long sequence."""
    size = QUICK_SIZE._replace(T=1000) if quick else FAR
    found = alone(_memory, (name, size, threads), 600)
    return {"size": list(size), "contender": name} | (found or {"skipped": "took over 600 s"})


def alone(measure: Callable[..., Row], arguments: tuple[Any, ...], seconds: float) -> Row | None:
    """Call ``measure`` in a fresh process; None after the time limit."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(there, measure, arguments), daemon=True)
    process.start()
    there.close()
    try:
        return here.recv() if here.poll(seconds) else None
    except EOFError:
        return {"skipped": "the process ended without a result"}
    finally:
        process.kill()
        process.join()
        here.close()


def _send(there: Any, measure: Callable[..., Row], arguments: tuple[Any, ...]) -> None:
    there.send(measure(*arguments))


def _compiled(name: str, size: Size, plan: Plan, threads: int) -> Row:
    torch.set_num_threads(threads)
    variant = WRITTEN[name]
    layer, loop = variant.make(size), LOOPS[variant.loop]
    ours, written = Contender(layer, size), Contender(Looped(layer, loop), size)
    reference = Reference(written)
    written.layer = Looped(layer, torch.compile(loop, fullgraph=True, dynamic=False))
    begun = time.perf_counter()
    try:
        written.train()
    except Exception as error:  # the compiler raises many types; only the message matters
        return {"skipped": f"torch.compile: {type(error).__name__}: {str(error)[:200]}"}
    row: Row = {"compile_seconds": time.perf_counter() - begun}
    # Verified only in float32: compiling for float64 would double the time.
    found = reference.check(written, narrow_alone=True)
    row["parity"] = found.row()
    if found.holds and reference.check(ours).holds:
        made = alternate({"ours": ours.train, "compiled": written.train}, plan)
        times = {who: summary(stretches) for who, stretches in made.items()}
        row |= times | ratios(times["compiled"], times["ours"])
    return row


def _memory(name: str, size: Size, threads: int) -> Row:
    torch.set_num_threads(threads)
    _train_once(name, size._replace(T=2))  # load code and libraries first
    _forget_peak()
    before = _status("VmRSS")
    begun = time.perf_counter()
    planned = _train_once(name, size)
    seconds = time.perf_counter() - begun
    peak = _status("VmHWM")
    row = {"before": before, "peak": peak, "grown": peak - before, "seconds": seconds}
    return row | {"planned": planned}


def _train_once(name: str, size: Size) -> int | None:
    """Run forward and backward; returns the planned bytes, None for torch."""
    layer: Any = PLAIN.make(size)
    if name == "torch.nn.LSTM":
        layer = torch_twin(layer, "LSTM", size)
    else:
        layer.recompute = TRAINED[name].get("recompute", 0)
    torch.manual_seed(2)
    output = layer(torch.randn(size.T, size.B, size.I))[0]
    output.sum().backward()
    return None if name == "torch.nn.LSTM" else layer.memory_plan(size.T, size.B).peak_training


def _forget_peak() -> None:
    """Reset the recorded peak memory, if the system supports it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _status(field: str) -> int:
    """Read a size from ``/proc/self/status`` in bytes; only this peak is reset with a process."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def names(section: str, quick: bool) -> Iterator[str]:
    """List the contenders of a section."""
    every = list(WRITTEN if section == "compiled" else TRAINED)
    if section == "memory" and sys.platform != "linux":
        return
    yield from every[: 1 if quick else None]
