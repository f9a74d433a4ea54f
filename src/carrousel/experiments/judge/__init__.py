"""Statistics of trials, and verdicts on whether a row of the paper was reproduced."""

from __future__ import annotations
