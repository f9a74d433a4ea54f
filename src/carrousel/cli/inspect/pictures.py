"""Files of pictures that `carrousel inspect` writes."""

from __future__ import annotations

from carrousel.cli.inspect.config import InspectConfig
from carrousel.cli.inspect.inspected import Inspected
from carrousel.cli.screen import say


def write_pictures(config: InspectConfig, found: Inspected) -> None:
    """Write the page and the picture that are wanted, and say where.

    Raises:
        UnwritableError: a file cannot be written.
    """
    report = found.report
    if config.html is not None:
        report.save_html(config.html, found.subject)
        say(f"written: {config.html}")
    if config.png is not None:
        report.save_png(config.png)
        say(f"written: {config.png}")
