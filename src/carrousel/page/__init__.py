"""Self-contained HTML pages: frame, styles and scripts that all reports share."""

from __future__ import annotations
