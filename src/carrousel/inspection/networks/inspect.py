"""Function ``inspect_network``: a report on a net of memory cells or simple units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, get_args

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import Gradient, Head, Network
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.inspection.networks.passes import Case, Net
from carrousel.inspection.networks.report import examine
from carrousel.inspection.report import Report
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

PATHS = ("truncated", "immediate", "bptt", "rtrl", "sparse")
"""Gradients whose errors flow back along paths between states."""


def inspect_network(
    network: Network,
    weights: Annotated[Floats, "*lanes W"],
    data: Sequences,
    *,
    gradient: Gradient | str = "bptt",
    lag: int | None = None,
    head: Head = "logistic97",
    initial_activation: float = 0.0,
    clip: float | None = None,
    lane: int = 0,
) -> Report:
    """Report where the error flows in a net, how long it remembers, and what is wrong with it.

    The loss of a sequence is that of its last target: half the squared error, or the
    cross-entropy. Each sequence ends there; later steps are left out. The report has one part,
    ``"hidden"``. In its reach, ``h`` are all hidden units, gates too. A trace shows as ``h`` the
    units that feed the outputs, and a block's gates once for each of its cells.

    Args:
        network: memory cells or simple units, in any wiring but ``"sparse"``.
        weights: its weights ``[W]``, or those of several lanes ``[lanes, W]``.
        data: sequences with at least one target each. Measures of memory need two or more.
        gradient: the algorithm along whose paths errors are followed, or its name: ``"bptt"`` and
            ``"rtrl"`` follow all, ``"truncated"`` only those inside cells.
        lag: time lag that the task asks for, in steps; None: unknown.
        head: outputs and their error function, see :class:`carrousel.contracts.Streaming`;
            ``"logistic97"`` is that of the paper.
        initial_activation: activation of hidden units before the first step.
        clip: largest norm of a gradient in training; None: no clipping.
        lane: which lane is inspected.

    Raises:
        DataError: a sequence has no target, the sequences have more than 200,000 steps, or
            weights or data are not finite.
        SettingError: the wiring is sparse, the gradient has no paths (``"snap:n"``, ``"uoro"``), or
            a number is out of range.
        ShapeError: weights or data do not fit the network.

    Source: Hochreiter & Schmidhuber 1997, sections 3 and 4.

    >>> from carrousel.contracts import Cell
    >>> network = Network(1, 1, Cell(1, 1), bias="all")
    >>> weights = np.random.default_rng(1).normal(size=network.n_weights)
    >>> data = Sequences.from_lists([[0.5] * 20, [-0.5] * 20], [[1.0], [0.0]])
    >>> report = inspect_network(network, weights, data, gradient="truncated")
    >>> inside = report.read_reach().carrousel
    >>> bool(np.ptp(inside[1:], axis=0).max() < 1e-15)  # the constant error carrousel
    True
    """
    check_choice("head", head, get_args(Head))
    net = Net(network, _weights(network, weights, lane), head, checked_gradient(gradient))
    if network.wiring == "sparse":
        raise SettingError(
            argument="network.wiring", got="sparse", expected="another wiring",
            fix="only weight guessing uses it, which follows no errors",
        )  # fmt: skip
    if lag is not None:
        lag = check_int("lag", lag, minimum=0)
    if clip is not None:
        clip = check_number("clip", clip, above=0.0)
    y = np.full(network.cell.n_units, check_number("initial_activation", initial_activation))
    return examine(net, list(_cases(network, data, y)), lag=lag, clip=clip)


def _weights(network: Network, weights: Floats, lane: int) -> Annotated[Floats, "W"]:
    """Return the weights of a lane in float64."""
    flat = np.asarray(weights, np.float64)
    if flat.ndim == 2:
        flat = flat[check_int("lane", lane, minimum=0, maximum=len(flat) - 1)]
    if flat.shape != (network.n_weights,):
        raise ShapeError(
            f"weights have shape {np.shape(weights)}, expected ({network.n_weights},)",
            argument="weights",
            got=np.shape(weights),
            expected=f"({network.n_weights},) or (lanes, {network.n_weights})",
        )
    if not np.isfinite(flat).all():
        raise DataError("weights are not finite; expected finite numbers", argument="weights")
    return flat


def checked_gradient(gradient: Gradient | str) -> Gradient:
    """Return a gradient whose errors flow back along paths, or raise :class:`SettingError`."""
    found = Gradient.named(gradient) if isinstance(gradient, str) else gradient
    if found.kind not in PATHS:
        raise SettingError(
            f"gradient {found.name!r} is an estimate without paths between states",
            argument="gradient",
            got=found.name,
            expected="'truncated', 'immediate', 'bptt', 'bptt:h', 'rtrl' or 'sparse:k'",
            fix="use 'bptt', which it approximates",
        )
    return found


def _cases(network: Network, data: Sequences, y: Annotated[Floats, "U"]) -> Iterator[Case]:
    """Return the sequences up to their last targets."""
    data.check_contents()
    for name in ("n_inputs", "n_outputs"):
        got, expected = getattr(data, name), getattr(network, name)
        if got != expected:
            raise ShapeError(
                f"data has {name} = {got}, expected {expected} as the network",
                argument="data",
                got=got,
                expected=f"{name} = {expected}",
            )
    s = np.zeros(network.cell.n_states)
    for n, one in enumerate(data):
        if not len(one.target_steps):
            raise DataError(
                f"sequence {n} has no target",
                argument="data",
                expected="at least one target for each sequence",
            )
        x = one.dense_inputs()[: int(one.target_steps[-1]) + 1].astype(np.float64)
        yield Case(x, one.dense_targets()[-1].astype(np.float64), y, s)
