"""Further figures of ``OnlineLSTM``: intervals, regret, leads and many keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from benchmarks.common.results import update
from benchmarks.streams.real import leads
from benchmarks.streams.real.intervals import TASKS as WITH_INTERVALS
from benchmarks.streams.real.intervals import intervals
from benchmarks.streams.real.loaders.catalogue import STREAMS
from benchmarks.streams.real.many_keys import KEYS, many_keys
from benchmarks.streams.real.regret import TASKS as WITH_REGRET
from benchmarks.streams.real.regret import regret
from benchmarks.streams.real.stream import Stream

Unit = tuple[str, Callable[[], Any]]
"""The name of a line, and the function that computes its figures."""


def _of_streams(
    measure: Callable[[Stream], Any], wanted: Callable[[Stream], bool]
) -> Callable[[Collection[str]], Iterator[Unit]]:
    def units(only: Collection[str]) -> Iterator[Unit]:
        for name, read in STREAMS.items():
            if only and name not in only:
                continue
            stream = read()
            if wanted(stream):
                yield name, lambda stream=stream: {"title": stream.title} | measure(stream)

    return units


def _of_keys(only: Collection[str]) -> Iterator[Unit]:
    for n in KEYS:
        for label, experts in (("with experts", "auto"), ("without", None)):
            yield f"{n}, {label}", lambda n=n, experts=experts: many_keys(n, experts)


PARTS: dict[str, Callable[[Collection[str]], Iterator[Unit]]] = {
    "intervals": _of_streams(intervals, lambda stream: stream.task in WITH_INTERVALS),
    "regret": _of_streams(regret, lambda stream: stream.task in WITH_REGRET),
    "leads": _of_streams(leads.leads, lambda stream: stream.name in leads.STREAMS),
    "many_keys": _of_keys,
}


def run(part: str, only: Collection[str], path: Path) -> None:
    """Compute a part for the streams ``only``, or for all, and save each line of it.

    Lines of a part are in the order in which they are computed first.
    """
    for name, work in PARTS[part](only):
        figures = work()
        print(f"{part}: {name}", flush=True)
        update(path, lambda saved: saved.setdefault(part, {}).update({name: figures}))  # noqa: B023
