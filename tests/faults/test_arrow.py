"""Damaged Arrow data end with an error of this package; they do not crash the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carrousel.errors import DataError
from carrousel.online import open_rows
from support.paths import TESTS

pa = pytest.importorskip("pyarrow")
SEEDS, VARIANTS = range(2), 60

READ = """
import sys
from random import Random
import numpy as np
import pyarrow as pa
from carrousel.errors import CarrouselError
from carrousel.online import open_rows
from support.damage import damaged

rng = Random(int(sys.argv[1]))
keys = pa.array(["a", "b", None] * 50)
batch = pa.record_batch({
    "key": keys,
    "kind": keys.dictionary_encode(),
    "when": pa.array(np.arange(150) * 10**9, pa.timestamp("ns")),
    "level": pa.array(np.arange(150.0)),
    "deep": pa.array([[1, 2], [], None] * 50),
})
for new in (pa.ipc.new_stream, pa.ipc.new_file):
    with new("good.arrow", batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch)
    good = open("good.arrow", "rb").read()
    for n in range(int(sys.argv[2])):
        with open("bad.arrow", "wb") as file:
            file.write(damaged(good, rng))
        print(n, flush=True)
        try:
            with open_rows("bad.arrow") as rows:
                for each in rows:
                    pass
        except CarrouselError:
            pass
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_files_are_refused_or_read(seed, tmp_path):
    """A crash ends the process with a signal, any other exception with a traceback."""
    found = subprocess.run(
        [sys.executable, "-c", READ, str(seed), str(VARIANTS)],
        **{"cwd": tmp_path, "capture_output": True, "text": True},
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(TESTS)])},
    )
    assert found.returncode == 0, found.stdout[-20:] + found.stderr
    assert found.stdout.count("\n") == 2 * VARIANTS


def test_an_offset_beyond_the_text_is_refused(tmp_path):
    """Reading it would return foreign memory."""
    path = Path(tmp_path, "bad.arrow")
    batch = pa.record_batch({"key": pa.array(["a", "b", "c"] * 50)})
    with pa.ipc.new_stream(str(path), batch.schema) as writer:
        writer.write_batch(batch)
    data = bytearray(path.read_bytes())
    at = data.index(b"".join(n.to_bytes(4, "little") for n in range(8)))
    data[at + 12 : at + 16] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DataError, match="broken"), open_rows(path) as rows:
        next(iter(rows))
