"""The contenders, and the work of one process: verify them, then time them in alternation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from threading import BrokenBarrierError
from typing import Any

from benchmarks.common import machine, timing
from benchmarks.contenders import Contender
from benchmarks.contenders.native import Native
from benchmarks.lanes.arithmetic import count
from benchmarks.lanes.cases import Case, find_case
from benchmarks.lanes.parity import Parity, check

from carrousel.kernels import instruction_sets

DATA = ("ready", "drawn")
"""Data are prepared in advance, or drawing and packing them is timed as well."""

PEAK = "matrix product"


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Args:
        repeats: stretches of each contender.
        seconds: duration of one stretch.
        widths: numbers of nets to try with JAX.
        torch_widths: numbers of nets of the PyTorch loop; all are shown.
        slow_steps: time steps in one call of a PyTorch contender with one net.
    """

    repeats: int = 11
    seconds: float = 0.2
    widths: tuple[int, ...] = (1, 16, 64, 256, 1024)
    torch_widths: tuple[int, ...] = (1, 256)
    slow_steps: int = 500


QUICK = Plan(repeats=3, seconds=0.03, widths=(64,), torch_widths=(1,), slow_steps=100)


@dataclass
class Report:
    """Measurements of one process; can be pickled."""

    flop_per_step: float = 0.0
    names: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # name, detail, nets
    parity: dict[str, Parity] = field(default_factory=dict)
    samples: dict[str, dict[str, list[timing.Sample]]] = field(default_factory=dict)
    peak: list[timing.Sample] = field(default_factory=list)
    tuning: Any = None  # of JAX; see benchmarks.contenders.jax.tuning.tune
    missing: list[str] = field(default_factory=list)


def work(name: str, plan: Plan, place: int, tuning: Any, barrier: Any) -> Report:
    """Measure one case on one core; ``barrier`` synchronises the processes."""
    machine.pin(place)  # before JAX and PyTorch count cores
    try:
        return _measure(find_case(name), plan, tuning, barrier.wait)
    except BaseException as error:
        barrier.abort()  # the other processes must not wait for this one
        if isinstance(error, BrokenBarrierError):
            raise RuntimeError("another process failed") from None
        raise


def _measure(case: Case, plan: Plan, tuning: Any, meet: Callable[[], object]) -> Report:
    sample = case.task.sample(case.rng(2), 256)
    report = Report(count(case.network, case.training, sample).per_step(sample), tuning=tuning)
    entries: dict[str, timing.Entry] = {PEAK: _matrix_product()}
    for contender in contenders(case, plan, report):
        key = f"{contender.name}, {contender.detail}"
        report.names[key] = contender.name, contender.detail, contender.n_lanes
        if contender.exact:
            report.parity[key] = check(case, contender)
            if not report.parity[key].holds:
                continue
        for data in DATA:
            entries[f"{data}: {key}"] = _entry(case, contender, data)
    samples = timing.alternate(entries, repeats=plan.repeats, seconds=plan.seconds, meet=meet)
    report.peak = samples.pop(PEAK)
    for data in DATA:
        report.samples[data] = {
            key: samples[f"{data}: {key}"] for key in report.names if f"{data}: {key}" in samples
        }
    return report


def contenders(case: Case, plan: Plan, report: Report) -> Iterator[Contender]:
    """Make our kernel for each instruction set, and all other contenders that are installed."""
    for instruction_set in instruction_sets():
        yield Native(case, instruction_set)
    if find_spec("jax"):
        from benchmarks.contenders.jax.tuning import tune

        report.tuning = report.tuning or tune(case, plan.widths)
        yield next(iter(report.tuning)).make(case)
    else:
        report.missing.append("jax")
    if find_spec("torch"):
        import torch
        from benchmarks.contenders.torch_cell import TorchCell
        from benchmarks.contenders.torch_lstm import TorchLstm

        torch.set_num_threads(1)
        some = max(1, int(plan.slow_steps / case.task.mean_length))
        for width in plan.torch_widths:
            yield TorchCell(case, width, sequences=some if width == 1 else 1)
        yield TorchLstm(case, sequences=5 * some)
    else:
        report.missing.append("torch")


def _entry(case: Case, contender: Contender, data: str) -> timing.Entry:
    weights, rng = case.weights(contender.n_lanes), case.rng()
    for _ in range(5):  # a compiled program should have seen the longest sequence
        contender.pack(contender.draw(rng))
    parts = contender.draw(rng)
    packed, steps = contender.pack(parts), sum(part.n_steps for part in parts)

    def ready() -> float:
        contender.learn(packed)
        return steps

    def drawn() -> float:
        fresh = contender.draw(rng)
        contender.learn(contender.pack(fresh))
        return sum(part.n_steps for part in fresh)

    return timing.Entry(lambda: contender.start(weights), ready if data == "ready" else drawn)


def _matrix_product() -> timing.Entry:
    return timing.Entry(lambda: None, machine.matrix_product())
