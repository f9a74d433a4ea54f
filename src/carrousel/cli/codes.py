"""Exit codes of every command."""

from __future__ import annotations

DONE = 0
"""The command did what was asked."""
FELL_SHORT = 1
"""The command ran, but not everything that was asked for is complete."""
WRONG_CALL = 2
"""The call is wrong, or its input cannot be used."""
