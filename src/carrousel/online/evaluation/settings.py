"""TODO"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from carrousel.checks import check_choice, check_int, check_number
from carrousel.errors import SettingError

TASKS = ("auto", "regression", "binary", "multiclass", "next")


STREAMS = 1000
"""Streams at a time where there are keys."""


MAY_CHANGE = frozenset(
    ("follow", "idle", "on_error", "rate", "as_json", "checkpoint", "checkpoint_every", "resume")
)
"""What may differ from the call that a checkpoint was made by."""


@dataclass(frozen=True)
class Wish:
    """What a call asks for, as given; see the help of ``carrousel stream``."""

    source: str
    target: str | None
    predict_next: str | None
    task: str
    format: str | None
    fields: str | None
    delimiter: str | None
    follow: bool
    idle: float | None
    key: str | None
    streams: int | None
    evict_after: int | None
    time: str | None
    ignore: str | None
    categories: str | None
    on_error: str
    missing: str
    unseen: str
    cells: int
    gradient: str
    optimizer: str
    rate: float
    decay: float
    no_forget_gate: bool
    no_standardise: bool
    horizon: float | None
    seed: int
    out: str | None
    out_format: str | None
    quiet: bool
    anomaly: bool
    window: int
    as_json: bool
    checkpoint: Path | None
    checkpoint_every: float
    resume: bool

    def check(self) -> None:
        """Raise SettingError where the call contradicts itself, before anything is opened."""
        if (self.target is None) == (self.predict_next is None):
            raise SettingError(
                "say what to predict: --target COLUMN, from the others of its row, or "
                "--predict-next COLUMN, from all columns" + (", not both" if self.target else "")
            )
        check_choice("--task", self.task, TASKS)
        check_choice("--on-error", self.on_error, ("fail", "skip", "hold"))
        check_choice("--missing", self.missing, ("error", "mean"))
        check_choice("--unseen", self.unseen, ("grow", "error"))
        check_int("--cells", self.cells, minimum=1)
        check_int("--seed", self.seed, minimum=0)
        check_int("--window", self.window, minimum=1)
        check_number("--rate", self.rate, least=0.0)
        check_number("--decay", self.decay, least=0.0)
        check_number("--checkpoint-every", self.checkpoint_every, above=0.0)
        if self.horizon is not None:
            check_number("--horizon", self.horizon, least=1.0)
        self._check_pairs()
        self._check_columns()
        self._check_files()

    def _check_pairs(self) -> None:
        """Options that mean something only beside another."""
        for option, value, other, there in (
            ("--idle", self.idle, "--follow", self.follow),
            ("--streams", self.streams, "--key COLUMN", self.key),
            ("--evict-after", self.evict_after, "--key COLUMN", self.key),
            ("--resume", self.resume or None, "--checkpoint FILE", self.checkpoint),
        ):
            if value is not None and not there:
                raise SettingError(f"{option} needs {other} beside it")
        if self.task == "next" and self.predict_next is None:
            raise SettingError("--task next needs --predict-next COLUMN instead of --target")
        if self.quiet and self.out is not None:
            raise SettingError(f"--quiet and --out {self.out} contradict each other; drop one")
        if self.as_json and self.writes_to_output:
            raise SettingError(
                "with --json standard output is JSON alone; send rows elsewhere by --out FILE, or "
                "write none by --quiet"
            )
        for option, value in (("--streams", self.streams), ("--evict-after", self.evict_after)):
            if value is not None:
                check_int(option, value, minimum=1)

    def _check_columns(self) -> None:
        """No column can be two things."""
        roles = {"--target": self.target, "--predict-next": self.predict_next}
        roles |= {"--key": self.key, "--time": self.time}
        met: dict[str, str] = {}
        for option, column in roles.items():
            if column is not None and column in met:
                raise SettingError(
                    f"column {column!r} cannot be both {met[column]} and {option}; name another"
                )
            if column is not None:
                met[column] = option
        for column in self.ignored:
            if column in met:
                raise SettingError(f"--ignore leaves out {column!r}, which is {met[column]}")

    def _check_files(self) -> None:
        self._check_delimiter()
        if _same_file(self.out, self.source):
            raise SettingError(f"--out {self.out} is the file that is read; name another")
        kept = self.checkpoint
        if kept is None:
            return
        if not kept.absolute().parent.is_dir():
            raise SettingError(f"--checkpoint {kept}: there is no folder {kept.parent}")
        for option, other in (("--out", self.out), ("SOURCE", self.source)):
            if other is not None and Path(other).absolute() == kept.absolute():
                raise SettingError(f"--checkpoint and {option} are the same file {other}")
        if kept.exists() and not self.resume:
            raise SettingError(
                f"--checkpoint {kept} exists: go on from it by --resume, or begin anew by removing "
                "it or naming another"
            )

    def _check_delimiter(self) -> None:
        if self.between is None:
            return
        if len(self.between) != 1 or self.between in '"\r\n':
            raise SettingError(
                f"--delimiter is {self.delimiter!r}, expected one character, no quote, no line end"
            )
        if self.format not in (None, "csv") or self.source.startswith("kafka://"):
            raise SettingError("--delimiter is for CSV in files and pipes; drop it")

    @property
    def between(self) -> str | None:
        """What stands between values of a CSV; a tab may be written as a shell shows it."""
        return "\t" if self.delimiter == r"\t" else self.delimiter

    @property
    def writes_to_output(self) -> bool:
        """Whether rows go to standard output."""
        return not self.quiet and self.out in (None, "-")

    @property
    def ignored(self) -> tuple[str, ...]:
        """Columns that are left out."""
        return names(self.ignore)

    @property
    def column(self) -> str:
        """The column that is predicted."""
        return self.target or self.predict_next or ""

    @property
    def n_streams(self) -> int:
        """Streams at a time."""
        return 1 if self.key is None else self.streams or STREAMS

    @property
    def what(self) -> str:
        """What is predicted, in words."""
        return self.column if self.predict_next is None else f"the next {self.column}"

    def kept(self) -> dict[str, Any]:
        """What must not change from one call to the next, as JSON can hold it."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name not in MAY_CHANGE
        }

    def check_same(self, made_with: Mapping[str, Any]) -> None:
        """Raise SettingError where a checkpoint was made with other settings."""
        differ = [
            f"{_option(name)} {_shown(made_with.get(name))}, not {_shown(value)}"
            for name, value in self.kept().items()
            if made_with.get(name) != value
        ]
        if differ:
            raise SettingError(
                f"{self.checkpoint} was made with {'; '.join(differ)}; go on with what it was made "
                "with, or begin anew with another --checkpoint"
            )


def names(listed: str | None) -> tuple[str, ...]:
    """Names of an option such as ``a,b,c``.

    >>> names("a, b"), names(None)
    (('a', 'b'), ())
    """
    return tuple(name.strip() for name in listed.split(",")) if listed else ()


def _same_file(one: str | None, other: str) -> bool:
    paths = [Path(each) for each in (one, other) if each is not None]
    return len(paths) == 2 and all(map(Path.exists, paths)) and paths[0].samefile(paths[1])


def _option(name: str) -> str:
    return "SOURCE" if name == "source" else f"--{name.replace('_', '-')}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None else str(value)
