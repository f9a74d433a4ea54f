"""Workers end with the process that started them."""

from __future__ import annotations

import signal
import subprocess
import sys

CHILD = """
import time
from carrousel.experiments.run.orphans import end_with_parent
end_with_parent()
print("watches", flush=True)
time.sleep(600)
"""
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {CHILD!r}])
"""


def test_a_worker_ends_after_its_parent_was_killed():
    """The pipe closes when the last process that writes to it has ended."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"watches\n"
    parent.send_signal(signal.SIGKILL)
    out, _ = parent.communicate(timeout=60)
    assert out == b""
