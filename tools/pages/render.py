"""Fills the templates that hold the prose of the generated pages."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from carrousel.errors import MissingExtraError

TEMPLATES = Path(__file__).parent / "templates"


def render(name: str, **values: Any) -> str:
    """Fill one template.

    Args:
        name: path below ``tools/pages/templates``, without ``.jinja``.
        values: variables of the template. A variable that is missing is an error.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    return _environment().get_template(f"{name}.jinja").render(**values)


@cache
def _environment() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError(
            f"the pages need {error.name}; install it with: pip install 'carrousel[report]'"
        ) from error
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # the pages are Markdown, not HTML
    )
