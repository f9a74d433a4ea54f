"""The command `carrousel inspect`: finds what is named, inspects it, and shows the report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import typer

from carrousel.cli.codes import FELL_SHORT, WRONG_CALL
from carrousel.cli.flags.option import flag_setting, flag_speller, with_options
from carrousel.cli.inspect.config import InspectConfig
from carrousel.cli.inspect.inspected import Inspected
from carrousel.cli.inspect.modules import inspect_estimator, inspect_layer
from carrousel.cli.inspect.rows import inspect_trial
from carrousel.cli.inspect.streams import inspect_model
from carrousel.cli.inspect.target import call_of, is_target, users_code
from carrousel.cli.screen import put_json, say
from carrousel.errors import CarrouselError, CheckpointError, MissingExtraError, SettingError
from carrousel.files import header_key

EXAMPLES = """Examples:

\b
A row of the paper: train a trial, show where its error flows:
  carrousel inspect 4-1 --html adding.html

\b
A net of your own; build() returns (model, inputs, loss):
  carrousel inspect net.py:build --lag 100 --strict

\b
A saved layer, a fitted estimator, or the model of a stream, on data:
  carrousel inspect lstm.safetensors steps.csv --id person --target activity
  carrousel inspect model.safetensors steps.csv
  carrousel inspect load.ckpt load.jsonl --lag 24
"""

FILES: dict[str, Callable[[InspectConfig], Inspected]] = {
    "carrousel.nn": inspect_layer,
    "carrousel.estimators": inspect_estimator,
    "carrousel.online": inspect_model,
}
"""Key of the header of a file -> the function that inspects it."""


@with_options(InspectConfig)
def inspect(config: InspectConfig) -> None:
    """Show how far back a net can learn and remembers, and its faults.

    Exit code 0; 1 with --strict if there is a fault, or if the training of a row was stopped; 2 if
    the call is wrong.
    """
    try:
        config.check()
        found = _inspected(config)
        _show(config, found)
    except CarrouselError as error:
        say(error.text(argument=flag_speller(InspectConfig), setting=flag_setting))
        raise typer.Exit(WRONG_CALL) from error
    if found.stopped or (config.strict and found.report.faults):
        raise typer.Exit(FELL_SHORT)


def _inspected(config: InspectConfig) -> Inspected:
    """Inspect what is named: a function, a file or a row."""
    path = Path(config.what)
    if is_target(config.what):
        return _target(config)
    if path.is_file() and not _is_row(config.what):
        return FILES[_kind_of(path)](config)
    if path.is_dir() and not _is_row(config.what):
        fix = f"inspect a row whose weights are kept in it: carrousel inspect ROW {path}"
        raise SettingError(f"{path} is a folder", fix=fix)
    if path.suffix in (*_FOREIGN, ".safetensors", ".ckpt"):
        raise SettingError(f"there is no file {path}")
    return inspect_trial(config)


def _is_row(what: str) -> bool:
    from carrousel.experiments import EXPERIMENTS

    return what in EXPERIMENTS


def _target(config: InspectConfig) -> Inspected:
    """Inspect the model that a function of the user's returns."""
    config.refuse(
        "a function in Python",
        *(
            "data",
            "target",
            "predict_next",
            "id",
            "key",
            "stream",
            "time",
            "channels",
            "series",
            "steps",
        ),
        *("recipe", "trial", "sequences", "gradient"),
    )
    if find_spec("torch") is None:
        raise MissingExtraError(
            "the inspection of a function's model needs torch, which is not installed",
            fix="pip install 'carrousel[torch]'",
        )
    call = call_of(config.what)
    with users_code():
        return call.inspected(config.said)


_FOREIGN = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".onnx", ".h5", ".keras")


def _kind_of(path: Path) -> str:
    """Return the key of the header of a file.

    Raises:
        CheckpointError: it is no file of carrousel.
    """
    key = header_key(path, FILES)
    if key is None:
        if path.suffix == ".py":
            fix = f"name a function that returns model, inputs and loss: {path}:FUNCTION"
        else:
            fix = "load it in a function of a Python file, and name that: FILE.py:FUNCTION"
        raise CheckpointError(
            f"{path} was written by none of carrousel.nn.save, OnlineLSTM.save, carrousel stream "
            "and carrousel fit",
            fix=fix,
        )
    return key


def _show(config: InspectConfig, found: Inspected) -> None:
    from carrousel.cli.inspect.display import as_json, put_inspected
    from carrousel.cli.inspect.pictures import write_pictures

    if found.stopped:
        say(f"{found.stopped} The weights until then are inspected.")
    if config.as_json:
        put_json(as_json(found))
    else:
        put_inspected(found)
    write_pictures(config, found)
    if not config.as_json and config.html is None:
        words = ["carrousel", *sys.argv[1:], "--html", "report.html"]
        say("Write a page with all pictures:", command=shlex.join(words))
