"""`carrousel report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carrousel.cli.screen import put_report, say, write_text
from carrousel.files import check_distinct


def report(
    folder: Annotated[
        Path, typer.Argument(help="Folder with the trials of reproduce or study.", metavar="DIR")
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write an HTML page with learning curves.", metavar="FILE")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the tables as Markdown.", metavar="FILE")
    ] = None,
) -> None:
    """Show stored trials as tables and learning curves."""
    from carrousel.experiments.recipes.catalogue import EVERYTHING
    from carrousel.experiments.report.collect import collect
    from carrousel.experiments.report.table import markdown as markdown_page
    from carrousel.experiments.store.store import Store

    with Store(folder, read_only=True) as store:
        check_distinct([("DIR", store.path), ("--html", html), ("--markdown", markdown)])
        found = collect(store, EVERYTHING)
    if html is not None:
        from carrousel.experiments.report.html import html as page

        write_text(html, page(found))
    if markdown is not None:
        write_text(markdown, markdown_page(found))
    put_report(found)
    for path in (html, markdown):
        if path is not None:
            say(f"written: {path}")
