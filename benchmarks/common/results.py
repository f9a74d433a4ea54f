"""The folder of saved results, and how they are written."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from carrousel.files import write_whole

RESULTS = Path(__file__).parents[1] / "results"
"""``python -m tools.pages`` makes the pages of the documentation from the files in this folder."""


def load(path: Path) -> dict[str, Any]:
    """Read saved results; empty if there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(path: str | Path, results: Any) -> None:
    """Write results as JSON; the file is replaced atomically."""
    write_whole(Path(path), (json.dumps(results, indent=1) + "\n").encode())


def update(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change saved results; several processes may do so at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        saved = load(path)
        change(saved)
        save(path, saved)
