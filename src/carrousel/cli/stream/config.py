"""Options of `carrousel stream`, each written once, and the configuration that they form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrousel.cli.options import SEED
from carrousel.cli.stream.option import option, options_of

if TYPE_CHECKING:
    from carrousel.online import OnlineLSTM

PREDICTION, INPUT, MODEL = "Prediction", "Input", "Model"
OUTPUT, CHECKPOINTS = "Output", "Checkpoints"
STREAMS = 1000
"""Default number of streams kept at a time."""


@dataclass(frozen=True)
class StreamConfig:
    """Configuration of `carrousel stream`, one field for each option; the metadata describe it."""

    source: str = option(
        "-",
        "",
        "Where rows are read from: a file, - for standard input, or kafka://HOST:PORT/TOPIC.",
        "SOURCE",
        flag="SOURCE",
    )
    target: str | None = option(
        None, PREDICTION, "Predict this column from the other columns of the same row.", "COLUMN"
    )
    predict_next: str | None = option(
        None, PREDICTION, "Predict the next value of this column from all columns.", "COLUMN"
    )
    task: str = option(
        "auto",
        PREDICTION,
        "regression, binary, multiclass, next (reads symbols from the --predict-next column) or "
        "auto. auto is regression if the first value is a number, else multiclass, or next if the "
        "column is the only input.",
        "NAME",
        choices=("auto", "regression", "binary", "multiclass", "next"),
    )
    format: str | None = option(
        None, INPUT, "csv, jsonl or arrow. Default: from the file name, else csv.", "NAME"
    )
    fields: str | None = option(
        None, INPUT, "Column names of a CSV file without a header line.", "A,B,C"
    )
    delimiter: str | None = option(
        None,
        INPUT,
        "Character between the values of a CSV file; \\t is a tab. Default: a comma, or a tab for "
        ".tsv files.",
        "CHAR",
    )
    follow: bool = option(False, INPUT, "Wait for new rows at the end of the file.", resumable=True)
    idle: float | None = option(
        None,
        INPUT,
        "With --follow: end after this time without a new row.",
        "SECONDS",
        resumable=True,
    )
    key: str | None = option(
        None, INPUT, "Treat the rows of each value of this column as a separate stream.", "COLUMN"
    )
    streams: int | None = option(
        None,
        INPUT,
        f"With --key: number of streams kept at a time. A further key replaces the least recently "
        f"used one. Default: {STREAMS}.",
        "N",
        least=1,
    )
    evict_after: int | None = option(
        None,
        INPUT,
        "With --key: reset a stream after N rows of other streams.",
        "N",
        least=1,
    )
    time: str | None = option(
        None, INPUT, "Column of times, which must not decrease. It is not an input.", "COLUMN"
    )
    ignore: str | None = option(None, INPUT, "Columns to leave out.", "A,B,C")
    categories: str | None = option(
        None, INPUT, "Columns of numbers to read as categories, such as codes.", "A,B,C"
    )
    on_error: str = option(
        "fail",
        INPUT,
        "At a bad row: fail (stop before it), skip (leave it out) or hold (repeat the last good "
        "value of the column).",
        choices=("fail", "skip", "hold"),
        resumable=True,
    )
    missing: str = option(
        "error",
        INPUT,
        "If an input is missing: error (a bad row) or mean (use the running mean).",
        choices=("error", "mean"),
    )
    unseen: str = option(
        "grow",
        INPUT,
        "At a new category or class: grow (add an input or output) or error (a bad row).",
        choices=("grow", "error"),
    )
    cells: int = option(32, MODEL, "Number of memory cells.", "N", least=1)
    gradient: str = option(
        "truncated",
        MODEL,
        "truncated (1997), immediate, rtrl (exact but slow), sparse:4, snap:1 or uoro.",
        "NAME",
    )
    optimizer: str = option("rmsprop", MODEL, "rmsprop, adam or sgd.", "NAME")
    rate: float = option(
        0.003,
        MODEL,
        "Initial learning rate.",
        "X",
        argument="learning_rate",
        resumable=True,
        least=0.0,
    )
    decay: float = option(
        10_000.0,
        MODEL,
        "Divide the rate by sqrt(1 + n / N) after n learned rows, to at least a tenth of it. 0 "
        "keeps it constant.",
        "N",
        least=0.0,
    )
    no_forget_gate: bool = option(
        False, MODEL, "Use the cells of 1997, without forget gates.", argument="forget_gate"
    )
    no_standardise: bool = option(
        False, MODEL, "Do not standardise numbers.", argument="standardise"
    )
    horizon: float | None = option(
        None,
        MODEL,
        "Compute running means over about the last N rows. Default: over all rows.",
        "N",
        least=1.0,
    )
    seed: int = option(
        SEED, MODEL, "Seed of the initial weights.", "S", argument="random_state", least=0
    )
    out: str | None = option(
        None,
        OUTPUT,
        "Write predictions to this file or kafka:// topic. Default: standard output.",
        "FILE",
        argument="sink",
    )
    out_format: str | None = option(
        None, OUTPUT, "csv, jsonl or arrow. Default: from the file name, else csv.", "NAME"
    )
    quiet: bool = option(False, OUTPUT, "Write no predictions, only the errors at the end.")
    anomaly: bool = option(
        False,
        OUTPUT,
        "Add a column from 0 to 1: the rank of the row's error among the last --window rows. On a "
        "stationary stream, 1 row in 100 exceeds 0.99.",
    )
    window: int = option(
        1000, OUTPUT, "Number of last rows, for recent errors and --anomaly.", "N", least=1
    )
    as_json: bool = option(
        False,
        OUTPUT,
        "Write the errors as JSON to standard output.",
        flag="--json",
        resumable=True,
    )
    checkpoint: Path | None = option(  # noqa: RUF009
        None,
        CHECKPOINTS,
        "Save all that is needed to resume in this file, at intervals and at the end.",
        "FILE",
        resumable=True,
    )
    checkpoint_every: float = option(
        30.0, CHECKPOINTS, "Time between two checkpoints.", "SECONDS", resumable=True, above=0.0
    )
    resume: bool = option(
        False, CHECKPOINTS, "Resume from the checkpoint, if it exists.", resumable=True
    )

    @property
    def separator(self) -> str | None:
        """The character between values of a CSV file; a tab may be written as ``\\t``."""
        return "\t" if self.delimiter == r"\t" else self.delimiter

    @property
    def writes_to_stdout(self) -> bool:
        """Whether predictions are written to standard output."""
        return not self.quiet and self.out in (None, "-")

    @property
    def subject(self) -> str:
        """Name of what is predicted."""
        return self.target or f"the next {self.predict_next}"

    def settings(self) -> dict[str, Any]:
        """Return the options that must not change when a stream is resumed, for JSON."""
        return {
            name: getattr(self, name)
            for name, each in options_of(type(self)).items()
            if not each.resumable
        }

    def columns(self) -> dict[str, Any]:
        """Return the arguments of :func:`carrousel.online.evaluate` that are options too."""
        names = (
            *("target", "predict_next", "task", "key", "time", "ignore", "categories"),
            *("on_error", "anomaly", "window", "checkpoint", "checkpoint_every"),
        )
        found = {name: getattr(self, name) for name in names}
        return found | {name: found[name] or () for name in ("ignore", "categories")}

    def create_model(self, task: str) -> OnlineLSTM:
        """Create the model for a task."""
        from carrousel.online import OnlineLSTM

        create: Any = OnlineLSTM  # the values were checked when the options were parsed
        return create(
            task,
            cells=self.cells,
            forget_gate=not self.no_forget_gate,
            gradient=self.gradient,
            optimizer=self.optimizer,
            learning_rate=self.rate,
            decay=self.decay or None,
            standardise=not self.no_standardise,
            horizon=self.horizon,
            missing=self.missing,
            unseen=self.unseen,
            streams=1 if self.key is None else self.streams or STREAMS,
            evict_after=self.evict_after,
            random_state=self.seed,
        )


OPTIONS: Mapping[str, Any] = options_of(StreamConfig)
"""Name of a field of :class:`StreamConfig` -> its :class:`Option`."""
