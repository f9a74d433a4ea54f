"""Options of a command, as fields of a dataclass.

A field made by :func:`option` describes an option completely. The command line, its help, the
checks of values and the settings in a checkpoint are derived from these fields.
"""

from __future__ import annotations

import csv
import dataclasses
import inspect
import shlex
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_type_hints

import typer

from carrousel.checks import check_choice, check_int, check_number
from carrousel.errors import SettingError

KEPT = object()
"""What checkpoints written before an option existed stand for, where their model says it."""


@dataclasses.dataclass(frozen=True)
class Option:
    """Description of an option.

    Attributes:
        group: heading in the help; empty for the argument of the command.
        help: shown to users.
        metavar: placeholder of its value; None: a flag.
        flag: ``--name`` on the command line; empty: the field's name with hyphens.
        argument: name of the Python argument that receives the value; empty: the field's name.
        resumable: whether the value may change when a stream is resumed.
        before: the value that checkpoints written before the option existed stand for, or KEPT.
        choices: allowed values; empty: any.
        least, above, below: bounds of a number.
    """

    group: str
    help: str
    metavar: str | None = None
    flag: str = ""
    argument: str = ""
    resumable: bool = False
    before: Any = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    below: float | None = None

    def check(self, value: Any) -> None:
        """Raise SettingError or UnknownNameError if a value is not allowed."""
        if value is None:
            return
        if self.choices:
            check_choice(self.flag, value, self.choices)
        elif isinstance(value, int) and self.least is not None:
            check_int(self.flag, value, minimum=int(self.least))
        elif isinstance(value, float) and not (self.least is None and self.above is None):
            check_number(self.flag, value, least=self.least, above=self.above)
            if self.below is not None and value >= self.below:
                raise SettingError(
                    argument=self.flag, got=value, expected=f"a number below {self.below:g}"
                )


def option(default: Any, group: str, help: str, metavar: str | None = None, **more: Any) -> Any:
    """Create a dataclass field with a default for an option; see :class:`Option`.

    The default ``dataclasses.MISSING`` makes the option, or the argument, required.
    """
    return dataclasses.field(
        default=default, metadata={"option": Option(group, help, metavar, **more)}
    )


def options_of(config: type) -> dict[str, Option]:
    """Return the options of a dataclass by the names of their fields."""
    found = {}
    for field in dataclasses.fields(config):
        given: Option = field.metadata["option"]
        flag = given.flag or "--" + field.name.replace("_", "-")
        found[field.name] = dataclasses.replace(
            given, flag=flag, argument=given.argument or field.name
        )
    return found


def with_options(config: type) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Decorate a command that takes a config, so that typer sees an option for each field."""
    options, hints = options_of(config), get_type_hints(config)
    required = {dataclasses.MISSING: inspect.Parameter.empty}
    defaults = {f.name: required.get(f.default, f.default) for f in dataclasses.fields(config)}
    annotations = {
        name: Annotated[hints[name], _typer_info(each)] for name, each in options.items()
    }

    def decorate(command: Callable[[Any], None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            command(config(**values))

        keyword = inspect.Parameter.KEYWORD_ONLY
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = annotations
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, keyword, default=defaults[name], annotation=each)
                for name, each in annotations.items()
            ]
        )
        return run

    return decorate


def _typer_info(each: Option) -> Any:
    if not each.group:
        return typer.Argument(help=each.help, metavar=each.metavar)
    choices = each.metavar or "|".join(each.choices) or None
    return typer.Option(each.flag, help=each.help, metavar=choices, rich_help_panel=each.group)


def flag_speller(config: type) -> Callable[[str], str]:
    """Return a function that spells the Python name of an argument as an option."""
    flags = {each.argument: each.flag for each in options_of(config).values()}
    flags |= {name: each.flag for name, each in options_of(config).items()}
    return lambda argument: flags.get(argument, argument)


def flag_setting(flag: str, value: Any) -> str:
    """Spell an option with its value.

    >>> flag_setting("--ignore", "my column")
    "--ignore 'my column'"
    """
    return f"{flag} {shlex.quote(str(value))}"


def listed(given: str | Sequence[str] | None) -> list[str]:
    """Return the names in repeated options, each of which may hold several.

    >>> listed(["a, b", '"c,d"']), listed(None)
    (['a', 'b', 'c,d'], [])
    """
    words = [given] if isinstance(given, str) else list(given or ())
    rows = [next(csv.reader([word], skipinitialspace=True), []) for word in words]
    return [name.strip() for row in rows for name in row]
