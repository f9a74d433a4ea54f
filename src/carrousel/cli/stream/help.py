"""Help of a command with many options: under headings, with examples at the end."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Grouped(TyperCommand):
    """A command whose options are listed under the panels they name, as plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options, one section for each panel, in the order of the first of each."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None)
                argument = parameter.param_type_name == "argument"
                heading = panel or ("Arguments" if argument else "Other options")
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
