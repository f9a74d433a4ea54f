"""Options of `carrousel inspect`, each written once."""

# ruff: noqa: RUF009  (`option` returns the field of a dataclass)
from __future__ import annotations

from dataclasses import MISSING, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from carrousel.cli.estimators.config import CheckedOptions, Columns
from carrousel.cli.flags.option import listed, option
from carrousel.cli.options import SEED
from carrousel.cli.selection import PAPER
from carrousel.errors import MissingExtraError, SettingError
from carrousel.files import same_file

TRAINING, DATA, ROW, OUTPUT = "Task and training", "Data", "Rows of the paper", "Output"
SERIES = 32
"""Default number of series that are inspected."""


@dataclass(frozen=True, kw_only=True)
class InspectConfig(CheckedOptions):
    """Configuration of ``carrousel inspect``."""

    what: str = option(
        MISSING,
        "",
        "A row of the paper (4-1); a file of carrousel.nn.save, of carrousel stream --checkpoint, "
        "of OnlineLSTM.save or of carrousel fit; or a function in Python: package.module:function "
        "or file.py:function.",
        "WHAT",
        flag="WHAT",
    )
    data: Path | None = option(
        None,
        "",
        "For a file: its data, as for carrousel fit (CSV, Parquet, Arrow, JSON lines, npz), an "
        "array .npy [N, T, I], or the rows of a stream. For a row: the folder of carrousel "
        "reproduce --keep-weights, to train no trial.",
        "DATA",
        flag="DATA",
    )
    lag: int | None = option(
        None, TRAINING, "Steps over which the task must remember.", "N", least=0
    )
    clip: float | None = option(
        None, TRAINING, "Largest norm of a gradient in the training.", "X", above=0.0
    )
    truncation: int | None = option(
        None, TRAINING, "Steps of truncated backpropagation in the training.", "K", least=1
    )
    target: list[str] | None = option(
        None,
        DATA,
        "Column of targets, or of labels; several as A,B. Default: as in fit or stream; for a file "
        "of carrousel.nn.save none, and the loss is the squared norm of the last output.",
        "COLUMN",
    )
    predict_next: list[str] | None = option(
        None, DATA, "Streams: column whose next value is predicted.", "COLUMN"
    )
    id: str | None = option(None, DATA, "Column that names the series of a row.", "COLUMN")
    key: str | None = option(
        None, DATA, "Streams: column that names the stream of a row.", "COLUMN"
    )
    stream: str | None = option(
        None, DATA, "Streams: value of the key; default: that with most rows.", "VALUE"
    )
    time: str | None = option(None, DATA, "Column of times.", "COLUMN")
    channels: list[str] | None = option(
        None, DATA, "Columns that are measured, as A,B; default: all others.", "COLUMNS"
    )
    series: int = option(
        SERIES, DATA, "Number of series at most, chosen at random by --seed.", "N", least=1
    )
    steps: int | None = option(
        None, DATA, "Streams: rows of a window; default: by --lag, or 100.", "N", least=2
    )
    recipe: str = option(PAPER, ROW, "Settings of the row (carrousel list --recipes).", "NAME")
    trial: int = option(0, ROW, "Number of the trial, from 0.", "N", least=0)
    sequences: int | None = option(None, ROW, "Stop the training after N sequences.", "N", least=1)
    gradient: str | None = option(
        None,
        ROW,
        "Rows and streams: the gradient whose error is shown, such as truncated, bptt or rtrl; "
        "default: that of the training.",
        "NAME",
    )
    seed: int = option(SEED, ROW, "Seed of the run, and of the choice of series.", "S", least=0)
    html: Path | None = option(None, OUTPUT, "Write a page with all pictures.", "FILE")
    png: Path | None = option(None, OUTPUT, "Write one picture.", "FILE")
    as_json: bool = option(False, OUTPUT, "Write JSON to standard output.", flag="--json")
    strict: bool = option(False, OUTPUT, "End with exit code 1 if there is a fault.")

    @property
    def columns(self) -> Columns:
        """The columns of series that were named."""
        target, channels = tuple(listed(self.target)), tuple(listed(self.channels))
        return Columns(self.id, self.time, None, target, channels)

    @property
    def said(self) -> dict[str, Any]:
        """What was said of the task and its training, by the names of Python's arguments."""
        given = {"lag": self.lag, "clip": self.clip, "truncation": self.truncation}
        return {name: value for name, value in given.items() if value is not None}

    def check(self) -> None:
        """Raise SettingError, UnknownNameError or MissingExtraError before anything runs."""
        super().check()
        for flag, path in (("--html", self.html), ("--png", self.png)):
            if path is not None and same_file(
                path, Path(self.what.rpartition(":")[0] or self.what)
            ):
                raise SettingError(f"WHAT and {flag} are the same file {path}")
        for flag, path, package, extra in (
            ("--html", self.html, "jinja2", "report"),
            ("--png", self.png, "matplotlib", "plot"),
        ):
            if path is not None and find_spec(package) is None:
                raise MissingExtraError(
                    f"{flag} needs {package}, which is not installed",
                    fix=f"pip install 'carrousel[{extra}]'",
                )

    def refuse(self, what: str, *names: str) -> None:
        """Raise SettingError for an option that has no meaning for a kind of ``WHAT``."""
        from carrousel.cli.flags.option import options_of

        plain = type(self)(what=self.what)
        for name in names:
            if getattr(self, name) != getattr(plain, name):
                flag = options_of(type(self))[name].flag
                raise SettingError(f"{flag} has no meaning for {what}", fix=f"leave {flag} out")
