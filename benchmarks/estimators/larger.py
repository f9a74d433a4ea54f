"""Peak memory of a fit from a data set larger than memory, by its number of series.

    python -m benchmarks.estimators.larger [--series 100000 1000000] [--updates 200] [--save FILE]

Writes Parquet files of random series, then opens each as a ``TableDataset`` in a fresh process,
fits an ``LSTMClassifier`` and predicts. Prints the peak resident memory of that process: before the
file is opened (after a fit of few series in memory, which loads all libraries), after the pass over
it, after the fit, and after the prediction of all series.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHANNELS = 3
LENGTHS = (5, 36)
BLOCK = 10_000


def write(path: Path, count: int) -> int:
    """Write ``count`` random series to a Parquet file; return the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    kinds = [("id", pa.int64()), ("t", pa.float64()), ("label", pa.string())]
    schema = pa.schema([*kinds, *((f"x{k}", pa.float32()) for k in range(CHANNELS))])
    rows = 0
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, count, BLOCK):
            lengths = rng.integers(*LENGTHS, min(BLOCK, count - first))
            ids = np.repeat(np.arange(first, first + len(lengths)), lengths)
            steps = len(ids)
            labels = np.array(["no", "yes"])[ids % 2]
            times = np.cumsum(rng.exponential(size=steps))
            values = rng.standard_normal((CHANNELS, steps), np.float32)
            writer.write_table(pa.table([ids, times, labels, *values], schema=schema))
            rows += steps
    return rows


def peak() -> float:
    """Return the peak resident memory of this process in MB.

    Linux resets ``VmHWM`` in a new process, unlike ``ru_maxrss``, which begins with the parent's.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e3


def measure(path: Path, updates: int) -> dict[str, float]:
    """Open the file, fit, predict, and return peaks of memory and seconds of this process."""
    from carrousel import LSTMClassifier
    from carrousel.estimators.data.larger import TableDataset

    model = LSTMClassifier(hidden_size=16, members=2, max_steps=updates, random_state=0)
    names = {"id": "id", "time": "t", "target": "label"}
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder, "few.parquet")
        write(few, 500)
        with TableDataset(few, **names) as data:
            series, labels = data.take(np.arange(500)), data.targets()
    model.fit(series, labels)
    model.predict_proba(series)
    found = {"before_mb": peak()}
    start = time.process_time()
    with TableDataset(path, **names) as data:
        found |= {"opened_mb": peak(), "open_s": time.process_time() - start}
        start = time.process_time()
        model.fit(data)
        found |= {"fitted_mb": peak(), "fit_s": time.process_time() - start}
        start = time.process_time()
        model.predict_proba(data)
        found |= {"predicted_mb": peak(), "predict_s": time.process_time() - start}
    return found


def main() -> None:
    """Write and measure data sets of several sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--updates", type=int, default=200, help="of each of two nets")
    parser.add_argument("--save", type=Path, help="JSON file for the figures")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.updates)))
        return
    rows = []
    for count in arguments.series:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "series.parquet")
            steps = write(path, count)
            command = [sys.executable, "-m", "benchmarks.estimators.larger"]
            command += ["--measure", str(path), "--updates", str(arguments.updates)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            size = path.stat().st_size / 1e6
        found = {"series": count, "steps": steps, "file_mb": size} | json.loads(done.stdout)
        rows.append({name: round(value, 1) for name, value in found.items()})
        print(
            f"{count:>9,} series, {steps:>11,} steps, {size:6.0f} MB on disk: "
            f"peak {found['before_mb']:.0f} MB before, {found['opened_mb']:.0f} MB opened "
            f"({found['open_s']:.1f} s), {found['fitted_mb']:.0f} MB fitted "
            f"({found['fit_s']:.1f} s), {found['predicted_mb']:.0f} MB predicted "
            f"({found['predict_s']:.1f} s)",
            flush=True,
        )
        if arguments.save:
            arguments.save.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
