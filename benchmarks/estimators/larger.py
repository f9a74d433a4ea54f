"""Peak memory of reading a data set larger than memory, by its number of series.

    python -m benchmarks.estimators.larger [--series 100000 1000000] [--batches 2000]

Writes Parquet files of random series, then opens each as a ``TableDataset`` in a fresh process and
draws batches of series of like length, as training does. Prints the peak resident memory of that
process, before the file is opened, after the pass over it, and after the batches.
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


def measure(path: Path, batches: int) -> dict[str, float]:
    """Open the file, draw batches, and return peaks of memory and seconds of this process."""
    import pyarrow.dataset  # noqa: F401  (its memory is not ours)

    from carrousel.estimators.data.larger import TableDataset
    from carrousel.estimators.net.batches import orders

    found = {"before_mb": peak()}
    start = time.process_time()
    with TableDataset(path, id="id", time="t", target="label") as data:
        found |= {"opened_mb": peak(), "open_s": time.process_time() - start}
        rng = np.random.default_rng(0)
        start, drawn = time.process_time(), 0
        for indices in orders(data.lengths, 32, rng)[:batches]:
            drawn += len(data.take(indices)) + 0 * len(data.targets(indices))
        found |= {"drawn_mb": peak(), "us_per_series": 1e6 * (time.process_time() - start) / drawn}
    return found


def main() -> None:
    """Write and measure data sets of several sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.batches)))
        return
    for count in arguments.series:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "series.parquet")
            rows = write(path, count)
            command = [sys.executable, "-m", "benchmarks.estimators.larger"]
            command += ["--measure", str(path), "--batches", str(arguments.batches)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            size = path.stat().st_size / 1e6
        found = json.loads(done.stdout)
        print(
            f"{count:>9,} series, {rows:>11,} rows, {size:6.0f} MB on disk: "
            f"peak {found['before_mb']:.0f} MB before, {found['opened_mb']:.0f} MB opened "
            f"({found['open_s']:.1f} s), {found['drawn_mb']:.0f} MB after batches "
            f"({found['us_per_series']:.1f} us a series)"
        )


if __name__ == "__main__":
    main()
