"""All real streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.streams.real.loaders import labelled, series
from benchmarks.streams.real.stream import Stream

STREAMS: Mapping[str, Callable[[], Stream]] = {
    read.__name__: read
    for read in (
        *(series.electricity, series.solar, series.traffic, series.wind, series.beijing),
        *(series.sunspots, series.melbourne, series.marks, series.airports),
        *(labelled.arrival, labelled.late, labelled.phishing, labelled.bananas),
        *(labelled.segments, labelled.chicks, labelled.trump, labelled.anomalies),
        *(labelled.direction, labelled.python),
    )
}
"""Functions that read the streams, by name, in the order of the page."""
