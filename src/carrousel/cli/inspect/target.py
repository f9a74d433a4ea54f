"""Functions of the user's that return a model, its inputs and its loss."""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from inspect import signature
from pathlib import Path
from typing import Any

import typer

from carrousel.checks import suggestion
from carrousel.cli.codes import WRONG_CALL
from carrousel.cli.inspect.inspected import Call
from carrousel.cli.screen import say
from carrousel.errors import CarrouselError, SettingError, UnknownNameError

WANTED = ("model", "inputs", "loss")
RETURNS = (
    "a tuple (model, inputs, loss), or a mapping with these names and further arguments of "
    "carrousel.inspection.inspect, such as lag"
)


def is_target(what: str) -> bool:
    """Return whether a text names a function in Python.

    >>> [is_target(w) for w in ("net.py:build", "a.b:build", "4-1", "net.safetensors", "C:/x.ckpt")]
    [True, True, False, False, False]
    """
    module, colon, function = what.rpartition(":")
    return bool(colon and module) and function.isidentifier() and not Path(what).exists()


def call_of(what: str) -> Call:
    """Import a function and call it.

    Raises:
        SettingError: there is no such file or function, or it returns something else.
        typer.Exit: the user's code raised an exception, which has been shown.
    """
    module, _, name = what.rpartition(":")
    with users_code():
        found = _function(module, name)()
    arguments = _arguments(what, found)
    model = arguments.pop("model")
    described = f"{type(model).__name__} of {what}"
    inputs, loss = arguments.pop("inputs"), arguments.pop("loss")
    named = getattr(loss, "__name__", type(loss).__name__)
    text = f"that of {what}" if named == "<lambda>" else f"{named} of {what}"
    return Call(model, inputs, loss, described, text, arguments)


@contextmanager
def users_code() -> Iterator[None]:
    """Show an exception of the user's code by its own last line, and end the command.

    What the code prints goes to standard error, so that standard output holds the result alone.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except typer.Exit:
        raise
    except (Exception, SystemExit) as error:
        line = _users_line(error)
        if line is None:
            raise
        say(line)
        ours = isinstance(error, CarrouselError)
        say(str(error) if ours else "".join(traceback.format_exception_only(error)).strip())
        raise typer.Exit(WRONG_CALL) from error


def _users_line(error: BaseException) -> str | None:
    """Return the last line of the traceback that lies in no installed package; None: none does."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename)}, line {error.lineno}: {(error.text or '').strip()}"
    own = str(Path(__file__).parents[2])
    others = [os.path.dirname(os.__file__), "<frozen", own]
    others += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(tuple(others)):
            text = (linecache.getline(frame.filename, frame.lineno or 0) or "").strip()
            found = f"{_shown(frame.filename)}, line {frame.lineno}, in {frame.name}: {text}"
    return found


def _shown(filename: str) -> str:
    try:
        return str(Path(filename).relative_to(Path.cwd()))
    except ValueError:
        return filename


def _function(module: str, name: str) -> Callable[[], Any]:
    loaded = _from_file(Path(module)) if module.endswith(".py") else _from_module(module)
    found = getattr(loaded, name, None)
    if found is None:
        functions = [n for n, v in vars(loaded).items() if callable(v) and not n.startswith("_")]
        raise UnknownNameError(
            f"{module} has no function {name!r}", got=name, fix=suggestion(name, functions)
        )
    if not callable(found):
        raise SettingError(
            f"{module}:{name} is a {type(found).__name__}, expected a function without arguments "
            f"that returns {RETURNS}"
        )
    try:
        needed = [
            one.name
            for one in signature(found).parameters.values()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        ]
    except (TypeError, ValueError):  # some functions written in C have none
        needed = []
    if needed:
        raise SettingError(
            f"{module}:{name} needs the argument {needed[0]!r}, expected a function without "
            f"arguments that returns {RETURNS}",
            fix="give its arguments default values, or write a function that calls it",
        )
    return found


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise SettingError(f"there is no file {path}", fix="write FILE.py:FUNCTION")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # imports of its neighbours
    name = f"inspected file {path.stem}"  # no name that an import could mean
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _from_module(name: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise SettingError(
                f"there is no module {error.name!r} on the path of Python",
                fix="call carrousel in its folder, or write FILE.py:FUNCTION",
            ) from error
        raise


def _arguments(what: str, found: Any) -> dict[str, Any]:
    """Return the arguments in what a function returned."""
    from carrousel.inspection import inspect

    if isinstance(found, tuple) and len(found) == len(WANTED):
        return dict(zip(WANTED, found, strict=True))
    if not isinstance(found, Mapping):
        shown = f"a tuple of {len(found)}" if isinstance(found, tuple) else type(found).__name__
        raise SettingError(f"{what} returned {shown}, expected {RETURNS}")
    if "module" in found and "model" not in found:  # as the argument of inspect is called
        found = {"model": found["module"], **{n: v for n, v in found.items() if n != "module"}}
    missing = [name for name in WANTED if name not in found]
    if missing:
        raise SettingError(f"{what} returned no {missing[0]!r}, expected {RETURNS}")
    further = list(signature(inspect).parameters)[len(WANTED) :]
    for name in found:
        if name not in (*WANTED, *further):
            raise UnknownNameError(
                f"{what} returned {name!r}, which is no argument",
                got=name,
                fix=suggestion(str(name), (*WANTED, *further)),
            )
    return dict(found)
