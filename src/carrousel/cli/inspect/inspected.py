"""What one call of `carrousel inspect` has found, and a description of what was inspected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carrousel.inspection import Report


@dataclass(frozen=True, eq=False)
class Inspected:
    """A report with its subject.

    Args:
        report: the measures and faults.
        subject: what was inspected, such as ``"LSTM(2, 16) on 32 series of rows.csv"``.
        loss: what the loss is, as a noun phrase.
        stopped: why the training ended early; empty: it did not.
    """

    report: Report
    subject: str
    loss: str
    stopped: str = ""


@dataclass(frozen=True, eq=False)
class Call:
    """Arguments of :func:`carrousel.inspection.inspect`, with descriptions.

    Args:
        module, inputs, loss: see there.
        subject: what is inspected.
        described: what the loss is.
        said: further arguments by name.
    """

    module: Callable[..., Any]
    inputs: Any
    loss: Callable[..., Any]
    subject: str
    described: str
    said: dict[str, Any]

    def inspected(self, said: dict[str, Any]) -> Inspected:
        """Inspect; ``said`` has precedence over what the call itself says of the training."""
        from carrousel.inspection import inspect

        report = inspect(self.module, self.inputs, self.loss, **{**self.said, **said})
        return Inspected(report, self.subject, self.described)
