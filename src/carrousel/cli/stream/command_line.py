"""What a call of ``stream`` asks for: checked, compared with a checkpoint's, and as a command."""

from __future__ import annotations

import shlex
import sys


def again(change: str = "") -> str:
    """The command of this call, going on from its checkpoint, with some options changed."""
    words = ["carrousel", *sys.argv[1:]]
    words += [] if "--resume" in words else ["--resume"]
    return shlex.join([*words, *change.split()])
