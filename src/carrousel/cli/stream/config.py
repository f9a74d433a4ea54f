"""Options of `carrousel stream`, each written once, and the configuration that they form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carrousel.cli.flags.option import KEPT, listed, option, options_of
from carrousel.cli.options import SEED
from carrousel.cli.stream.params import (
    MOST_WAITING,
    MOST_WAITING_BY_KEY,
    STREAMS,
    StreamParams,
)

PREDICTION, INPUT, MODEL = "Prediction", "Input", "Model"
OUTPUT, CHECKPOINTS = "Output", "Checkpoints"


@dataclass(frozen=True)
class StreamConfig(StreamParams):
    """Configuration of `carrousel stream`, one field for each option; the metadata describe it."""

    source: str = option(
        "-",
        "",
        "Where rows are read from: a file, - for standard input, or kafka://HOST:PORT/TOPIC.",
        "SOURCE",
        flag="SOURCE",
    )
    target: list[str] | None = option(  # noqa: RUF009
        None,
        PREDICTION,
        "Predict this column from the other columns of the same row. Several columns of numbers: "
        "A,B or the option again. A name with a comma is put into quotes: '\"A,B\"'.",
        "COLUMN",
    )
    predict_next: list[str] | None = option(  # noqa: RUF009
        None,
        PREDICTION,
        "Predict the next value of this column, or of several, from all columns.",
        "COLUMN",
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
    ahead: int = option(
        1,
        PREDICTION,
        "Numbers: predict N values instead of one: the next N with --predict-next, else the row's "
        "own and those of the next rows. Each has an output of its own (direct, not rolled out).",
        "N",
        least=1,
        before=KEPT,
    )
    level: float | None = option(
        None,
        PREDICTION,
        "Numbers: add prediction intervals that contain the target with this probability: columns "
        "lower and upper, with --predict-next also next_lower and next_upper.",
        "P",
        above=0.0,
        below=1.0,
    )
    delay: int = option(
        0,
        PREDICTION,
        "The target of a row becomes known N rows after it. It is learned then, with the state of "
        "its own row; the last N rows wait in memory.",
        "N",
        least=0,
        before=KEPT,
    )
    label_time: str | None = option(
        None,
        PREDICTION,
        "With --target and --time: column of the time at which the target becomes known. It is "
        "learned before the first later row whose time has reached it. --delay is then the largest "
        "number of rows of a key that wait; a later target is not learned, and counted. Default: "
        f"{MOST_WAITING}, or {MOST_WAITING_BY_KEY} with --key.",
        "COLUMN",
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
        resumable=True,
    )
    evict_after: int | None = option(
        None,
        INPUT,
        "With --key: reset a stream after N rows of other streams.",
        "N",
        least=1,
        resumable=True,
    )
    time: str | None = option(
        None,
        INPUT,
        "Column of times (ISO 8601, or numbers), which must not decrease. Inputs are the cycles of "
        "day, week and year, and the time since the row before of the same key.",
        "COLUMN",
    )
    no_calendar: bool = option(
        False,
        INPUT,
        "With --time: add no inputs from the times.",
        argument="calendar",
        before=False,
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
        resumable=True,
    )
    unseen: str = option(
        "grow",
        INPUT,
        "At a new category or class: grow (add an input or output) or error (a bad row).",
        choices=("grow", "error"),
        resumable=True,
    )
    cells: int = option(32, MODEL, "Number of memory cells.", "N", least=1)
    gradient: str = option(
        "truncated",
        MODEL,
        "truncated (1997), immediate, rtrl (exact but slow), sparse:4, snap:1 or uoro.",
        "NAME",
    )
    optimizer: str = option(
        "rmsprop",
        MODEL,
        "rmsprop, adam or sgd. With --resume it may change from adam to rmsprop to sgd.",
        "NAME",
        resumable=True,
    )
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
        resumable=True,
    )
    no_forget_gate: bool = option(
        False, MODEL, "Use the cells of 1997, without forget gates.", argument="forget_gate"
    )
    no_standardise: bool = option(
        False,
        MODEL,
        "Do not standardise numbers. This turns the expert rules of numbers off.",
        argument="standardise",
    )
    scale_by_key: bool = option(
        False, MODEL, "With --key: standardise each key by scales of its own.", before=KEPT
    )
    season: str = option(
        "auto",
        MODEL,
        "Numbers: periods of the target in rows, such as 24,168; auto looks for two up to 1024 "
        "rows; none.",
        "P,Q",
        before=KEPT,
    )
    no_experts: bool = option(
        False,
        MODEL,
        "Let the net predict alone, without the expert rules. Numbers: last value, means, least "
        "squares on the last values and the inputs, values one period before. Classes: "
        "frequencies, nearest rows. Symbols: counts after the last symbols.",
        argument="experts",
        before=KEPT,
    )
    horizon: float | None = option(
        None,
        MODEL,
        "Compute running means over about the last N rows. Default: over all rows.",
        "N",
        least=1.0,
        resumable=True,
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
        "Add columns: anomaly, the rank of the row's error among the last --window rows from 0 to "
        "1 (on a stationary stream, 1 row in 100 exceeds 0.99); departed, the column furthest from "
        "its forecast; expected, the forecast; deviations, the error over its usual size.",
    )
    window: int = option(
        1000, OUTPUT, "Number of last rows, for recent errors and --anomaly.", "N", least=1
    )
    metrics: str | None = option(
        None,
        OUTPUT,
        "Write the errors so far, and of the last --window rows, to this file (-: standard output) "
        "as JSON lines.",
        "FILE",
    )
    metrics_every: int = option(
        1000, OUTPUT, "With --metrics: number of rows between lines.", "N", resumable=True, least=1
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
        False,
        CHECKPOINTS,
        "Resume from the checkpoint, if it exists. --rate, --decay, --horizon, --missing, "
        "--unseen and --evict-after may have other values than before, and --streams a larger one; "
        "each change is reported. --on-error may change too.",
        resumable=True,
    )
    start_from: Path | None = option(  # noqa: RUF009
        None,
        CHECKPOINTS,
        "Begin with the weights and scales of this checkpoint or model, which is not changed. The "
        "stream is new: no states, row 0. Options of the model that are not given are those of the "
        "file. With --resume, only if --checkpoint does not exist yet.",
        "FILE",
        resumable=True,
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
    def out_is_stdout(self) -> bool:
        """Whether something else than the errors at the end is written to standard output."""
        return self.writes_to_stdout or self.metrics == "-"

    @property
    def subject(self) -> str:
        """Name of what is predicted."""
        if self.target:
            return ", ".join(listed(self.target))
        return f"the next {', '.join(listed(self.predict_next))}"

    def settings(self) -> dict[str, Any]:
        """Return the options that must not change when a stream is resumed, for JSON."""
        found = {
            name: getattr(self, name)
            for name, each in options_of(type(self)).items()
            if not each.resumable
        }
        for name in ("target", "predict_next"):  # one name is a text, as in earlier checkpoints
            several = listed(found[name])
            found[name] = several if len(several) > 1 else several[0] if several else None
        return found


OPTIONS: Mapping[str, Any] = options_of(StreamConfig)
"""Name of a field of :class:`StreamConfig` -> its :class:`Option`."""
