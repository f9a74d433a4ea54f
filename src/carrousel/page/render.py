"""Rendering of a page from templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from carrousel.errors import MissingExtraError

SHARED = Path(__file__).parent / "templates"


def render(folder: Path, *, plots: bool = True, **values: Any) -> str:
    """Return the page made from ``report.html``, ``report.css`` and ``report.js`` of a folder.

    The template extends ``page.html``, the frame of every page. Values are escaped, except those
    that a template marks as safe. The page contains all that it needs, so that it loads nothing.

    Args:
        folder: contains the three files.
        plots: whether the page contains plotly.js, which is large, and draws with it.
        values: variables of the template.

    Raises:
        MissingExtraError: jinja2, or plotly if it is needed, is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        plotly = ""
        if plots:
            from plotly.offline import get_plotlyjs

            plotly = get_plotlyjs()
    except ImportError as error:
        raise MissingExtraError(
            f"the HTML report needs {error.name}",
            fix="install it with: pip install 'carrousel[report]'",
        ) from error
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (
        "\n".join(
            file.read_text("utf-8") for file in (SHARED / f"page.{end}", folder / f"report.{end}")
        )
        for end in ("css", "js")
    )
    return environment.get_template("report.html").render(
        plotly=plotly, style=style, script=script, **values
    )


def json_for_script(value: object) -> str:
    r"""Return JSON that cannot end the script element that contains it.

    >>> json_for_script({"name": "</script>"})
    '{"name":"\\u003c/script>"}'
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
