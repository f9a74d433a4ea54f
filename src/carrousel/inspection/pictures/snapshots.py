"""Several reports on one net: before and after learning, or over the course of training."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from carrousel.errors import InputError
from carrousel.files import write_whole
from carrousel.inspection.pictures.drawing import drawn
from carrousel.inspection.pictures.every import Name, names_of
from carrousel.inspection.pictures.findings import Findings
from carrousel.inspection.pictures.page import page
from carrousel.inspection.pictures.text import aligned, summary
from carrousel.words import printable

MOST = 40
"""Snapshots that a page with a slider shows at most, so that it stays small."""
MOST_BESIDE = 4
"""Columns of a picture at most."""


class Snapshots:
    """Reports on one net at several times, in order.

    A page shows two side by side. It has a slider for more, all on the same axes.

    Args:
        labelled: pairs of a label and a report, such as ``("step 100", inspect(...))``.
        title: heading of the page.

    Raises:
        InputError: there is none, or an element is not a pair of a text and a report.

    >>> import torch
    >>> from carrousel.inspection import inspect
    >>> net, x = torch.nn.LSTM(1, 3), torch.ones(8, 2, 1)
    >>> reports = [(f"step {n}", inspect(net, x, lambda out: out[0][-1].sum())) for n in (0, 1, 2)]
    >>> len(Snapshots(reports))
    3
    >>> Snapshots(reports).save_html("learning.html")  # doctest: +SKIP
    """

    def __init__(self, labelled: Sequence[tuple[str, Findings]], title: str = "") -> None:
        self.labelled = [_pair(one) for one in labelled]
        if not self.labelled:
            raise InputError(argument="labelled", got=0, expected="at least one report")
        self.title = title or (
            "Over the course of training" if len(self.labelled) != 2 else "Two states of a net"
        )

    def __len__(self) -> int:
        return len(self.labelled)

    def __iter__(self) -> Iterator[tuple[str, Findings]]:
        return iter(self.labelled)

    def __str__(self) -> str:
        rows = [("", "loss", "error halves in", "error at the lag", "state halves in", "faults")]
        rows += [(printable(label), *summary(report)) for label, report in self]
        return "\n".join(aligned(rows))

    def __repr__(self) -> str:
        return f"<Snapshots: {', '.join(repr(label) for label, _ in self)}>"

    def html(self) -> str:
        """Return the page: self-contained, without any address of another file.

        Raises:
            MissingExtraError: jinja2 is not installed.
        """
        if len(self) == 2:
            return page(self.labelled, "beside", self.title)
        return page(self._spread(MOST), "slider", self.title)

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page; a slider has at most 40 reports, evenly chosen, with the first and last.

        Raises:
            MissingExtraError: jinja2 is not installed.
            UnwritableError: the file cannot be written.
        """
        write_whole(Path(path), self.html().encode())

    def save_png(self, path: str | os.PathLike[str], picture: Name | None = None) -> None:
        """Write an image with a column for each report; of more than four, four evenly chosen.

        Args:
            path: the file.
            picture: as in :meth:`Report.save_png`.

        Raises:
            MissingExtraError: matplotlib is not installed.
            UnknownNameError: there is no such picture.
            UnwritableError: the file cannot be written.
        """
        write_whole(Path(path), drawn(self._spread(MOST_BESIDE), names_of(picture)))

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.html())}" sandbox="allow-scripts" title="inspection" '
            'style="width:100%;height:56rem;border:0"></iframe>'
        )

    def _spread(self, most: int) -> list[tuple[str, Findings]]:
        chosen = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int))
        return [self.labelled[int(k)] for k in chosen]


def compare(
    before: Findings,
    after: Findings,
    labels: tuple[str, str] = ("Before learning", "After learning"),
) -> Snapshots:
    """Show two reports side by side, on the same axes.

    Args:
        before, after: reports, usually of the same net and data.
        labels: their labels.

    Raises:
        InputError: one is not a report.

    >>> import torch
    >>> from carrousel.inspection import inspect
    >>> x = torch.ones(8, 2, 1)
    >>> lstm, rnn = (inspect(net, x, lambda out: out[0][-1].sum(), lag=5)
    ...              for net in (torch.nn.LSTM(1, 3), torch.nn.RNN(1, 3)))
    >>> print(str(compare(lstm, rnn, ("LSTM", "RNN"))).splitlines()[1].split()[0])
    LSTM
    >>> compare(lstm, rnn, ("LSTM", "RNN")).save_html("both.html")  # doctest: +SKIP
    """
    return Snapshots(
        list(zip(labels, (before, after), strict=True)),
        "Before and after learning" if labels[0].startswith("Before") else " and ".join(labels),
    )


def _pair(one: object) -> tuple[str, Findings]:
    if isinstance(one, tuple | list) and len(one) == 2:
        label, report = one
        if isinstance(label, str) and hasattr(report, "reach") and hasattr(report, "traces"):
            return label, report
    raise InputError(
        argument="labelled", got=one, expected="pairs of a text and a report, (label, report)"
    )
