"""Long short-term memory as published in 1997, its rivals and its experiments."""

from __future__ import annotations

from importlib.metadata import version as _version

__version__ = _version("carrousel")

__all__ = ["__version__"]
