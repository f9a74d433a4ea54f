"""What `carrousel inspect` writes to standard output."""

from __future__ import annotations

import math
import sys
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from carrousel.cli.inspect.curve import text_curve
from carrousel.cli.inspect.inspected import Inspected
from carrousel.cli.screen import console_of
from carrousel.words import count, number, percent, printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from carrousel.inspection import Report
    from carrousel.inspection.results.memory import UsedMemory
    from carrousel.inspection.results.units import Gate

MOST_PARTS = 12
"""Lines of the table at most."""
INDENT = "   "


def as_json(found: Inspected) -> dict[str, Any]:
    """Return everything as a value that JSON can hold."""
    head = {"subject": found.subject, "loss_is": found.loss, "stopped": found.stopped or None}
    return {**head, **found.report.to_dict()}


def put_inspected(found: Inspected) -> None:
    """Write the verdict, a table of the parts, the error by lag, and the faults."""
    from rich.console import Group
    from rich.text import Text

    from carrousel.inspection.pictures.findings import read_part, verdict

    console = console_of(sys.stdout)
    report = found.report
    parts: list[RenderableType] = [
        Text(printable(verdict(report)), "bold"),
        Text(""),
        Text(printable(f"{found.subject}.")),
        Text(printable(f"Loss {number(report.loss)}: {found.loss}.")),
        Text(""),
        _table(report),
    ]
    parts += [Text(f"... and {count(len(report.reach) - MOST_PARTS, 'further part')}.")] * (
        len(report.reach) > MOST_PARTS
    )
    parts += [Text(line) for line in _memory(report)]
    reach = read_part(report)
    plain = not console.encoding.startswith("utf")
    if reach is not None:
        drawn = text_curve(reach.curve(), console.width, lag=report.lag, plain=plain)
        if drawn:
            title = f"Error by lag, relative to the read step of {reach.part}:"
            parts += [Text(""), Text(printable(title)), *map(Text, drawn.split("\n"))]
    parts += _faults(report, console.width)
    console.print(Group(*parts))


def _table(report: Report) -> RenderableType:
    """Return a line for each part: half-lives and gates."""
    from rich.table import Table
    from rich.text import Text

    from carrousel.inspection.pictures.findings import (
        lived,
        median_half_life,
        memory_of,
        short,
        steps,
    )

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("part\n", overflow="fold")
    table.add_column("cell\n")
    table.add_column("error\nhalves in")
    table.add_column("states\nhalve in")
    table.add_column("mean gates\n(saturated)", overflow="fold")
    gates = {units.part: units.gates for units in report.units}
    for reach in report.reach[:MOST_PARTS]:
        memory = memory_of(report, reach.part)
        table.add_row(
            Text(short(reach.part) + ("" if reach.is_read else " (not read)")),
            Text(reach.cell),
            steps(reach.half_life()),
            "–" if memory is None else lived(median_half_life(memory)),  # noqa: RUF001
            ", ".join(_gate(name, gate) for name, gate in gates.get(reach.part, {}).items()),
        )
    return table


def _gate(name: str, gate: Gate) -> str:
    """Return the mean of a gate, and the share of its values that are closed or open."""
    share = gate.saturated()
    saturated = f" ({percent(100 * share)})" if share >= 0.005 else ""
    return f"{name} {float(gate.mean.mean()):.2f}{saturated}"


def _memory(report: Report) -> list[str]:
    """Return lines on the asked lag and on used memory."""
    from carrousel.inspection.pictures.findings import at_lag, read_part
    from carrousel.inspection.verdicts.sentence import arriving

    found, reach = [], read_part(report)
    if report.lag is not None and reach is not None:
        share = at_lag(reach.curve(), report.lag)
        arrives = (
            f"the inspected sequences have {count(reach.n_lags, 'step')} only"
            if math.isnan(share)
            else f"{arriving(share)} arrives there"
        )
        found.append(f"Asked lag: {count(report.lag, 'step')}; {arrives}.")
    if report.used is None:
        found.append("Used memory: unknown, since one sequence alone was inspected.")
        return ["", *found]
    return ["", *found, f"Used memory: {_used(report.used)}."]


def _used(used: UsedMemory) -> str:
    from carrousel.inspection.verdicts.sentence import FELT, used_steps

    known = used_steps(used)
    if known is None:
        return "none; the loss does not depend on history"
    steps = count(known[0], "step")
    if known[1]:
        return f"more than the last {steps}, the longest lag that was measured"
    return (
        f"about the last {steps}; beyond them, history of another sequence changes the loss by "
        f"less than {100 * FELT:.0f} % of the most"
    )


def _faults(report: Report, width: int) -> list[Text]:
    """Return each fault with its evidence and its remedy."""
    from rich.text import Text

    if not report.faults:
        return []
    found = [Text(""), Text("Faults:", "bold")]
    for place, fault in enumerate(report.faults, 1):
        where = f" in {fault.part}" if fault.part else ""
        found.append(Text(printable(f"{place}. {fault.name}{where}"), "bold"))
        for sentence in (fault.evidence, fault.remedy):
            lines = wrap(printable(sentence), max(20, width - len(INDENT)))
            found += [Text(INDENT + line) for line in lines]
    return found
