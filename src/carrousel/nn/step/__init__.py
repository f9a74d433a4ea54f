"""One time step per call, for deployment."""

from __future__ import annotations
