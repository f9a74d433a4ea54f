"""Result of an inspection."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carrousel.errors import DataError
from carrousel.files import write_whole
from carrousel.inspection.pictures.drawing import drawn
from carrousel.inspection.pictures.every import Name, names_of
from carrousel.inspection.pictures.findings import verdict
from carrousel.inspection.pictures.notebook import fragment
from carrousel.inspection.pictures.page import page
from carrousel.inspection.pictures.saved import FORMAT, from_plain, text_of, to_plain
from carrousel.inspection.pictures.text import text
from carrousel.inspection.results.dynamics import Dynamics
from carrousel.inspection.results.gradients import Gradients
from carrousel.inspection.results.memory import UnitMemory, UsedMemory
from carrousel.inspection.results.reach import Reach
from carrousel.inspection.results.units import Units
from carrousel.inspection.trace import Trace as Trace
from carrousel.inspection.verdicts.fault import Fault
from carrousel.inspection.verdicts.sentence import sentence


@dataclass(frozen=True, eq=False)
class Report:
    """Where the error flows, how long the net remembers, and what is wrong.

    Args:
        loss: loss of the call.
        lag: time lag that the task asks for, in steps; None: unknown.
        reach: trainable reach, the error by lag; one for each part, in the order of the call.
        used: used memory, the loss with foreign history by lag; None: there is one sequence alone.
        unit_memory: half-life of each unit's state, by twins.
        units: use of gates and cells.
        dynamics: growth of disturbances.
        gradients: norms by parameter, clipping.
        traces: first sequence of the batch in each part.
        faults: verdicts; empty for a sound net.
    """

    loss: float
    lag: int | None
    reach: tuple[Reach, ...]
    used: UsedMemory | None
    unit_memory: tuple[UnitMemory, ...]
    units: tuple[Units, ...]
    dynamics: tuple[Dynamics, ...]
    gradients: Gradients
    traces: tuple[Trace, ...]
    faults: tuple[Fault, ...]

    def read_reach(self) -> Reach:
        """Return the reach of the part that the loss reads, forwards if there are two."""
        return next(one for one in self.reach if one.is_read)

    def __str__(self) -> str:
        return text(self)

    def sentence(self) -> str:
        """Return the verdict in one sentence.

        >>> import torch
        >>> from carrousel.inspection import inspect
        >>> net, x = torch.nn.LSTM(2, 4, batch_first=True), torch.zeros(3, 1, 2)
        >>> inspect(net, x, lambda output: output[0][:, -1].sum()).sentence()[:37]
        '1 fault, one_step: The part processes'
        """
        return sentence(self.faults, self.read_reach(), self.used, self.lag)

    def __repr__(self) -> str:
        return f"<Report: {verdict(self)}>"

    def _repr_html_(self) -> str:
        return fragment(self)

    def save_html(self, path: str | os.PathLike[str], title: str = "") -> None:
        """Write a page with verdicts, pictures and tables.

        It is one file that loads nothing, light or dark as the reader prefers.

        Args:
            path: the file, which is replaced if it exists.
            title: what was inspected, above the verdict; empty: nothing.

        Raises:
            MissingExtraError: jinja2 is not installed.
            UnwritableError: the file cannot be written.

        >>> report.save_html("net.html")  # doctest: +SKIP
        """
        write_whole(Path(path), page([("", self)], "one", title).encode())

    def save_png(self, path: str | os.PathLike[str], picture: Name | None = None) -> None:
        """Write pictures as an image, for slides and papers.

        Args:
            path: the file, which is replaced if it exists.
            picture: ``"curves"`` by lag, ``"errors"`` of each unit by time, ``"cells"`` by
                half-life, or ``"traces"`` of one sequence; None: all of them.

        Raises:
            MissingExtraError: matplotlib is not installed.
            UnknownNameError: there is no such picture.
            UnwritableError: the file cannot be written.

        >>> report.save_png("net.png")  # doctest: +SKIP
        """
        write_whole(Path(path), drawn([("", self)], names_of(picture)))

    def save_svg(self, path: str | os.PathLike[str], picture: Name | None = None) -> None:
        """Write the image of :meth:`save_png` as a drawing that can be enlarged.

        Raises:
            MissingExtraError: matplotlib is not installed.
            UnknownNameError: there is no such picture.
            UnwritableError: the file cannot be written.
        """
        write_whole(Path(path), drawn([("", self)], names_of(picture), "svg"))

    def to_dict(self, *, traces: bool = True) -> dict[str, Any]:
        """Return all fields as what JSON can hold, with the verdict as a sentence.

        Arrays are lists of numbers with seven significant digits. NaN is None, and infinities are
        the strings ``"inf"`` and ``"-inf"``.

        Args:
            traces: whether states and gates of the first sequence are included. They are the
                largest part by far.

        >>> import torch
        >>> from carrousel.inspection import inspect
        >>> report = inspect(torch.nn.GRU(1, 2), torch.ones(5, 3, 1), lambda out: out[0][-1].sum())
        >>> data = report.to_dict()
        >>> data["format"], len(data["reach"][0]["h"])
        (1, 5)
        >>> Report.from_dict(data).to_dict() == data
        True
        """
        kept = self if traces else replace(self, traces=())
        return {"format": FORMAT, "verdict": verdict(self), **to_plain(kept)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Return the report that :meth:`to_dict` has made plain.

        Args:
            data: also what ``json.load`` returns for a file of :meth:`save_json`.

        Raises:
            DataError: it is none, or was written by a later version.
        """
        found = data.get("format") if isinstance(data, Mapping) else None
        if found != FORMAT:
            raise DataError(
                f"the data have format {found!r}, expected {FORMAT}",
                argument="data",
                fix="give what to_dict returned, or update carrousel if a later version wrote it",
            )
        return from_plain(cls, dict(data))

    def save_json(self, path: str | os.PathLike[str], *, traces: bool = True) -> None:
        """Write :meth:`to_dict` to a file.

        Args:
            path: the file, which is replaced if it exists.
            traces: as there.

        Raises:
            UnwritableError: the file cannot be written.

        >>> report.save_json("net.json")  # doctest: +SKIP
        """
        write_whole(Path(path), text_of(self.to_dict(traces=traces)).encode())
