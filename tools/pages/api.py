"""The page of the public interface, from the docstrings of what ``carrousel`` exports."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import carrousel

GROUPS = {
    "Streams": ("OnlineLSTM", "online"),
    "torch modules": ("nn",),
    "Data and networks": ("Sequences", "Network", "Cell", "Simple", "Training", "Gradient"),
    "Learning and research": ("learners", "tasks", "experiments", "inspection"),
    "Version": ("__version__",),
}


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring as Markdown."""
    text = (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")
    text = re.sub(r":\w+:`~?(?:carrousel\.)?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def signature(thing: Any) -> str:
    """Return the call that makes an object, or nothing where there is none."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    names = [
        f"{'*' * (each.kind.value // 2)}{name}" if each.kind.value in (2, 4) else name
        for name, each in found.parameters.items()
        if name not in ("self", "cls")
    ]
    return f"({', '.join(names)})"


def exceptions() -> list[str]:
    """Public exceptions, the base first."""
    found = [
        name
        for name in carrousel.__all__
        if isinstance(value := getattr(carrousel, name), type) and issubclass(value, Exception)
    ]
    return sorted(found, key=lambda name: (name != "CarrouselError", name))


def entry(name: str) -> str:
    """One public name: heading, call and summary; of a package, its own public names too."""
    thing = getattr(carrousel, name)
    if isinstance(thing, str):
        return f"### `carrousel.{name}`\n\nVersion of the installed package."
    lines = [f"### `carrousel.{name}`", ""]
    if inspect.ismodule(thing):
        lines += [summary(thing), ""]
        package = importlib.import_module(f"carrousel.{name}")
        for inner in package.__all__:
            value = getattr(package, inner)
            told = summary(value) if callable(value) or inspect.ismodule(value) else ""
            lines.append(f"- `{inner}`" + (f": {told}" if told else ""))
        return "\n".join(lines)
    return "\n".join([*lines, f"`{name}{signature(thing)}`", "", summary(thing)])


def api_page() -> str:
    """The whole page."""
    groups = GROUPS | {"Exceptions": tuple(exceptions())}
    parts = [
        "# Public interface",
        "",
        "Everything that `carrousel` exports, by first line; `help(carrousel.NAME)` shows arguments, "
        "errors and\nexamples. Names below a package are imported from it: "
        "`from carrousel.online import evaluate`.",
    ]
    for title, names in groups.items():
        parts += ["", f"## {title}"]
        for name in names:
            parts += ["", entry(name)]
    return "\n".join(parts) + "\n"
