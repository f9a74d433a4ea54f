"""The report on a net, from its passes over several sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from carrousel.errors import DataError
from carrousel.inspection.networks import measures
from carrousel.inspection.networks.faults import find_faults
from carrousel.inspection.networks.passes import Case, Net, Pass
from carrousel.inspection.report import Report
from carrousel.inspection.trace import Trace

MOST_STEPS = 200_000
"""Largest number of time steps of all sequences; a step keeps its derivatives in memory."""


def examine(
    net: Net, cases: Sequence[Case], *, lag: int | None = None, clip: float | None = None
) -> Report:
    """Run a net over sequences and report on it.

    Args:
        net: the net.
        cases: sequences, each up to the step that the loss reads.
        lag: time lag that the task asks for, in steps; None: unknown.
        clip: largest norm of a gradient in training; None: no clipping.

    Raises:
        DataError: there is no sequence, they have more than 200,000 steps, or outputs are not
            finite.
    """
    steps = sum(len(case.x) for case in cases)
    if not 0 < steps <= MOST_STEPS:
        raise DataError(
            f"the sequences have {steps:,} steps up to the last target",
            argument="data",
            got=steps,
            expected=f"1 to {MOST_STEPS:,} steps",
            fix="give fewer or shorter sequences",
        )
    passes = [net.run(case) for case in cases]
    if not all(np.isfinite(one.outputs[-1]).all() for one in passes):
        raise DataError("outputs of the network are not finite", argument="weights")
    used, memory = measures.memories(passes, lag)
    report = Report(
        loss=float(np.mean([one.loss for one in passes])),
        lag=lag,
        reach=(measures.reach(passes),),
        used=used,
        unit_memory=tuple(memory),
        units=(measures.units(passes),),
        dynamics=(measures.dynamics(passes),),
        gradients=measures.gradients(passes, clip),
        traces=(_trace(passes[0]),),
        faults=(),
    )
    return replace(report, faults=find_faults(passes, report))


def _trace(one: Pass) -> Trace:
    """Return the first sequence for pictures; its ``h`` are the units that feed the outputs.

    Gates are repeated for each cell of their block.
    """
    net, units = one.net, one.net.network.cell.n_units
    size = getattr(net.network.cell, "block_size", 1)
    gates = {
        measures.GATES[group]: np.repeat(one.y[:, list(places)], size, axis=1)
        for group, places in net.network.cell.groups.items()
        if group in measures.GATES
    }
    errors = one.errors[1:]
    return Trace(
        part=measures.PART,
        read=len(one) - 1,
        x=one.case.x,
        h=one.y[:, net.read],
        s=one.s,
        gates=gates,
        error_h=errors[:, net.read],
        error_s=errors[:, units:],
        outputs=one.outputs,
        target=one.case.target,
    )
