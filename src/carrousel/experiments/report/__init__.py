"""Reports on a store: terminal tables, Markdown, the HTML page, progress bars."""

from __future__ import annotations
