"""Table of saved figures: errors divided by those of ``OnlineLSTM`` by its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from benchmarks.streams.real.lineup import OURS


def table(results: Mapping[str, Any], prefix: str = "") -> str:
    """Return a line for each contender whose name starts with ``prefix``.

    A line has the geometric mean of the ratios, the number of streams, and the ratio on each
    stream. Below 1, the contender is better than the defaults.
    """
    streams = {
        name: {row: float(np.mean([s["error"] for s in seeds.values()])) for row, seeds in rows}
        for name, rows in ((n, f["rows"].items()) for n, f in results.get("streams", {}).items())
        if OURS in dict(rows)
    }
    names = list(dict.fromkeys(name for errors in streams.values() for name in errors))
    lines = ["mean    n  " + " ".join(f"{name[:9]:>9}" for name in streams)]
    for name in names:
        if not name.startswith(prefix):
            continue
        ratios = {s: errors[name] / errors[OURS] for s, errors in streams.items() if name in errors}
        mean = np.exp(np.mean(np.log(np.maximum([*ratios.values()], 1e-12))))
        cells = [f"{ratios[s]:9.3g}" if s in ratios else " " * 9 for s in streams]
        lines.append(f"{mean:<7.4g} {len(ratios):<2} {' '.join(cells)}  {name}")
    return "\n".join(lines)
