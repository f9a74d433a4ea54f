"""Records every state of the recurrent parts of a model while it runs, and their errors."""

from __future__ import annotations
