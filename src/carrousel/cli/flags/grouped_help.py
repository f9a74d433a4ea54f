"""Help of a command with many options: grouped under headings, with examples at the end."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class GroupedCommand(TyperCommand):
    """A command whose help lists options under their panels, as plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each panel, in the order of their first options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None)
                argument = parameter.param_type_name == "argument"
                if argument:  # without its type
                    record = (str(parameter.metavar), record[1])  # type: ignore[attr-defined]
                heading = panel or ("Arguments" if argument else "Other options")
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
