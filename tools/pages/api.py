"""The page of the public interface, from the docstrings of what ``carrousel`` exports."""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

from tools.pages.render import render

import carrousel

GROUPS = {
    "Estimators": ("LSTMClassifier", "LSTMRegressor", "LSTMTagger", "LSTMForecaster", "estimators"),
    "Streams": ("OnlineLSTM", "online"),
    "PyTorch modules": ("nn",),
    "Data and networks": ("Sequences", "Network", "Cell", "Simple", "Training", "Gradient"),
    "Learning and research": ("learners", "tasks", "experiments", "inspection"),
    "Version": ("__version__",),
}
"""Public names that are no exceptions, in the order of the page."""


class Entry(NamedTuple):
    """A public name; of a package, ``names`` are its own public names."""

    name: str
    summary: str
    call: str = ""
    names: tuple[Entry, ...] = ()


def summary_of(thing: Any) -> str:
    """Return the first paragraph of a docstring as Markdown."""
    text = (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")
    text = re.sub(r":\w+:`~?(?:carrousel\.)?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def call_of(name: str, thing: Any) -> str:
    """Return the call that creates an object: its name and the names of its arguments."""
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    arguments = [
        marks.get(each.kind, "") + argument
        for argument, each in inspect.signature(thing).parameters.items()
    ]
    return f"{name}({', '.join(arguments)})"


def entry(name: str) -> Entry:
    """Describe one public name of ``carrousel``."""
    thing = getattr(carrousel, name)
    if isinstance(thing, str):
        return Entry(name, "Version of the installed package.")
    if not inspect.ismodule(thing):
        return Entry(name, summary_of(thing), call_of(name, thing))
    inner = [(each, getattr(thing, each)) for each in thing.__all__]
    documented = (type, type(entry), type(inspect))  # constants show the docstring of their type
    names = [
        Entry(each, summary_of(value) if isinstance(value, documented) else "")
        for each, value in inner
    ]
    return Entry(name, summary_of(thing), "", tuple(names))


def exceptions() -> list[str]:
    """Names of the public exceptions, their base class first."""
    found = [
        name
        for name in carrousel.__all__
        if isinstance(value := getattr(carrousel, name), type) and issubclass(value, Exception)
    ]
    return sorted(found, key=lambda name: (name != "CarrouselError", name))


def api_page() -> str:
    """Write the page."""
    groups = GROUPS | {"Exceptions": tuple(exceptions())}
    shown = [
        {"title": title, "entries": [entry(name) for name in names]}
        for title, names in groups.items()
    ]
    return render("api.md", groups=shown)
