"""Options that several commands take: what is meant, who works on it, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carrousel.cli.running import DEFAULT_FOLDER

Jobs = Annotated[
    int | None,
    typer.Option(
        help="Workers at a time; default: one for each usable core, on a cluster one for each of "
        "its cores.",
        metavar="N",
    ),
]
Backend = Annotated[
    str, typer.Option(help="Where workers run: loky (here), dask or ray.", metavar="NAME")
]
Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's, with --backend dask or ray, e.g. tcp://host:8786; default: the one at "
        "hand, or else one that is started on this machine.",
        metavar="ADDR",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the run.", metavar="S")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Recipe = Annotated[
    str,
    typer.Option(
        help="Settings of the rows: paper, robust (every trial succeeds) or modern (full gradient, "
        "Adam).",
        metavar="NAME",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help=f"Folder that keeps trials; default: {DEFAULT_FOLDER}. Those it holds are not "
        "run again.",
        metavar="DIR",
    ),
]
