"""Options of ``fit``, ``predict`` and ``score``, each written once."""

# ruff: noqa: RUF009  (`option` returns the field of a dataclass)
from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from carrousel.cli.flags.option import listed, option, options_of
from carrousel.cli.options import SEED
from carrousel.errors import SettingError
from carrousel.files import check_distinct

DATA, TASK, MODEL, OUTPUT = "Data", "Task", "Model", "Output"

FILE_HELP = (
    "File of series: CSV, Parquet, Arrow, JSON lines, npz or .ts. A row is a step (with --id) or a "
    "whole series."
)


@dataclass(frozen=True)
class Columns:
    """Names of the columns that a model was trained with; they are saved with it.

    Args:
        id, time, groups: a column each, or None.
        target: columns to predict.
        channels: columns that are measured; empty: all others.
    """

    id: str | None = None
    time: str | None = None
    groups: str | None = None
    target: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


class CheckedOptions:
    """Checks that configurations share."""

    def check(self) -> None:
        """Raise SettingError or UnknownNameError if an option is out of range or contradicts."""
        for name, each in options_of(type(self)).items():  # type: ignore[arg-type]
            each.check(getattr(self, name))
        paths = [
            (each.flag, getattr(self, name))
            for name, each in options_of(type(self)).items()  # type: ignore[arg-type]
            if isinstance(getattr(self, name), Path)
        ]
        check_distinct(paths)
        for flag, path in paths:
            if not flag.startswith("--"):
                continue
            if not path.absolute().parent.is_dir():
                raise SettingError(f"{flag} {path}: folder {path.parent} does not exist")
            if path.is_dir():  # found before a training, not after it
                raise SettingError(f"{flag} {path} is a folder", fix="name a file")


@dataclass(frozen=True, kw_only=True)
class FitConfig(CheckedOptions):
    """Configuration of ``carrousel fit``."""

    data: Path = option(MISSING, "", FILE_HELP, "DATA", flag="DATA")
    target: list[str] | None = option(
        None,
        DATA,
        "Column to predict; constant within a series, or one label for each step. Several columns "
        "of numbers: A,B or the option again. With --task forecast: columns to forecast, default "
        "all. A .ts file holds its target.",
        "COLUMN",
    )
    id: str | None = option(None, DATA, "Column that names the series of a row.", "COLUMN")
    time: str | None = option(
        None, DATA, "Column of times, by which steps are sorted; intervals may differ.", "COLUMN"
    )
    groups: str | None = option(
        None,
        DATA,
        "Column of groups, such as persons; a group is learned or held out as a whole.",
        "COLUMN",
    )
    channels: list[str] | None = option(
        None, DATA, "Columns that are measured, as A,B; default: all others.", "COLUMNS"
    )
    read: str = option(
        "auto",
        DATA,
        "memory: read DATA at once. disk: copy its values to a temporary file and read them batch "
        "by batch, for Parquet or Arrow files larger than memory, or a folder of them; rows of a "
        "series must be adjacent and in order. auto: disk for a folder, or above 500 MB.",
        choices=("auto", "memory", "disk"),
    )
    task: str | None = option(
        None,
        TASK,
        "class (of a series), value (numbers for a series), tags (a label for each step) or "
        "forecast (next values). Default: by the target column.",
        choices=("class", "value", "tags", "forecast"),
    )
    horizon: int | None = option(None, TASK, "Forecasts: steps ahead.", "N", least=1)
    season: int | None = option(
        None, TASK, "Forecasts: steps after which a pattern repeats, e.g. 24.", "N", least=2
    )
    known: list[str] | None = option(
        None, TASK, "Forecasts: columns whose future is known, as A,B.", "COLUMNS"
    )
    early: float | None = option(
        None,
        TASK,
        "Classes of series: cost of waiting for a step, when a wrong label costs 1. The rule for "
        "predict --at early is chosen by it.",
        "COST",
        above=0.0,
    )
    members: int | None = option(None, MODEL, "Number of nets.", "N", least=1)
    hidden_size: int | None = option(None, MODEL, "Memory cells of a layer.", "N", least=1)
    num_layers: int | None = option(None, MODEL, "Layers of LSTM.", "N", flag="--layers", least=1)
    max_steps: int | None = option(None, MODEL, "Updates of a net at most.", "N", least=1)
    max_seconds: float | None = option(None, MODEL, "Seconds of training at most.", "S", above=0.0)
    n_jobs: int | None = option(
        None, MODEL, "Number of nets trained at a time.", "N", flag="--jobs", least=1
    )
    random_state: int = option(SEED, MODEL, "Seed of the fit.", "S", flag="--seed", least=0)
    out: Path = option(MISSING, OUTPUT, "File for the trained model.", "MODEL")
    report: Path | None = option(None, OUTPUT, "Write an HTML report.", "FILE")
    as_json: bool = option(False, OUTPUT, "Write JSON to standard output.", flag="--json")

    @property
    def columns(self) -> Columns:
        """The columns that were named."""
        target, channels = tuple(listed(self.target)), tuple(listed(self.channels))
        return Columns(self.id, self.time, self.groups, target, channels)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of an estimator that were given; it has defaults for the others."""
        found = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if options_of(type(self))[field.name].group == MODEL
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class _Applied(CheckedOptions):
    """What ``predict`` and ``score`` share."""

    model: Path = option(
        MISSING, "", "File of a model that carrousel fit wrote.", "MODEL", flag="MODEL"
    )
    data: Path = option(MISSING, "", FILE_HELP, "DATA", flag="DATA")
    id: str | None = option(None, DATA, "Column of names of series, if not as in fit.", "COLUMN")
    time: str | None = option(None, DATA, "Column of times, if not as in fit.", "COLUMN")


@dataclass(frozen=True, kw_only=True)
class PredictConfig(_Applied):
    """Configuration of ``carrousel predict``."""

    at: str = option(
        "end",
        OUTPUT,
        "When to answer: at the end of a series, at every step, or early: by the model's rule (fit "
        "--early), or at the first step where it is sure.",
        choices=("end", "every", "early"),
    )
    confidence: float | None = option(
        None,
        OUTPUT,
        "With --at early: stop at this probability; default: by the model's rule, else 0.9.",
        "P",
        above=0.0,
    )
    out: Path | None = option(
        None, OUTPUT, "Write CSV, .jsonl or .arrow; default: CSV to standard output.", "FILE"
    )
    as_json: bool = option(False, OUTPUT, "Write JSON to standard output.", flag="--json")

    def check(self) -> None:
        """Raise SettingError or UnknownNameError if an option is out of range or contradicts."""
        super().check()
        if self.confidence is not None and self.at != "early":
            raise SettingError("--confidence needs --at early")
        if self.as_json and self.out is not None:
            raise SettingError(
                "--json writes predictions to standard output and --out to a file; drop one"
            )


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(_Applied):
    """Configuration of ``carrousel score``."""

    target: list[str] | None = option(None, DATA, "Target columns, if not as in fit.", "COLUMN")
    report: Path | None = option(None, OUTPUT, "Write an HTML report.", "FILE")
    as_json: bool = option(False, OUTPUT, "Write JSON to standard output.", flag="--json")
