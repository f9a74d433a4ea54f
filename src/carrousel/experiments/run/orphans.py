"""Worker processes that end when the process that started them has ended."""

from __future__ import annotations

import os
import threading
import time
from functools import cache

SECONDS = 1.0
"""Time between two looks at the parent process."""


@cache
def end_with_parent() -> None:
    """Start a thread that ends this process soon after its parent; once for each process.

    A killed parent cannot stop its workers. Otherwise they would compute to the end of their work,
    although its results are not stored.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
