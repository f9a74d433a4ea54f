"""Shares of a gradient by lag, the number of steps between the use of a weight and the error.

The gradient of the error of the last step is a sum over all earlier steps. The share of lag ``q``
is an outer product: the error at the net inputs of hidden units ``q`` steps before the last, times
their sources at that step. The second factor is the same for all gradient algorithms. The first,
``[U]``, differs between them, and is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.contracts import Gradient, Network
from carrousel.errors import DataError, SettingError
from carrousel.inspection.networks.flow import depth_of, followed, state_errors
from carrousel.kernels.reference.layers import HiddenStep, Weights, forward, logistic
from carrousel.kernels.reference.paths import rank_one, reachable
from carrousel.kernels.signs import Signs
from carrousel.sequences import Sequences
from carrousel.shapes import Floats


@dataclass(frozen=True)
class _Run:
    """Forward pass of one sequence: its steps, the recurrent weights, and the error at its end."""

    network: Network
    steps: list[HiddenStep]
    recurrent: np.ndarray  # [U, U]
    error: np.ndarray  # [state] by the full state of the last step


def errors_by_lag(
    network: Network,
    weights: Annotated[Floats, "W"],
    data: Sequences,
    gradient: Gradient | str,
    lags: Sequence[int],
    *,
    initial_activation: float = 0.0,
    rng: np.random.Generator | Signs | None = None,
) -> Annotated[Floats, "lags U"]:
    """Return the error of the last step at the net inputs of hidden units, ``lag`` steps earlier.

    Args:
        network: memory cells or simple units.
        weights: its weights ``[W]``.
        data: one sequence with a target at its last step.
        gradient: the gradient algorithm, or its name.
        lags: numbers of steps before the last one, each below the sequence's length.
        initial_activation: activation of hidden units before the first step.
        rng: source of random signs for ``"uoro"``; None: a fixed one.

    Returns:
        float64 ``[lags, U]``.

    Raises:
        DataError: ``data`` are not one sequence with a target at its end.
        SettingError: a lag is negative or not below the sequence's length.

    Source: Hochreiter & Schmidhuber 1997, section 3 (equations 1 and 2) and appendix A.2 (41).

    >>> from carrousel.contracts import Simple
    >>> net = Network(1, 1, Simple(1))  # weights: from the input, from itself, to the output
    >>> one = Sequences.from_lists([[0.0] * 4], [[1.0]])
    >>> found = errors_by_lag(net, np.array([1.0, 2.0, 1.0]), one, "bptt", [0, 1])
    >>> bool(0 < found[1, 0] / found[0, 0] <= 0.25 * 2.0)  # f' is at most 1/4
    True
    """
    gradient = Gradient.named(gradient) if isinstance(gradient, str) else gradient
    run = _forward(network, weights, data, initial_activation)
    for lag in lags:
        if not 0 <= lag < len(run.steps):
            raise SettingError(argument="lag", got=lag, expected=f"0 to {len(run.steps) - 1}")
    if gradient.kind == "uoro":
        shares = _rank_one_errors(run, rng or np.random.default_rng(0))
    elif gradient.kind == "snap":
        shares = _masked_errors(run, reachable(network, gradient.depth or 1), lags)
    else:
        shares = _backward_errors(run, gradient)
    return np.array([shares[lag] for lag in lags])


def cosines_by_lag(
    network: Network,
    weights: Annotated[Floats, "W"],
    data: Sequences,
    gradient: Gradient | str,
    lags: Sequence[int],
    **options: float | np.random.Generator | Signs | None,
) -> Annotated[Floats, "lags"]:
    """Return the cosine between an algorithm's error and the exact one, for each lag.

    It is 1 if they have the same direction, 0 if the algorithm's error is zero, and NaN if the
    exact error is zero (by underflow). Arguments and exceptions are those of
    :func:`errors_by_lag`.

    >>> from carrousel.contracts import Simple
    >>> net = Network(1, 1, Simple(1))
    >>> one = Sequences.from_lists([[0.0] * 4], [[1.0]])
    >>> cosines_by_lag(net, np.array([1.0, 2.0, 1.0]), one, "bptt:2", [0, 1, 2]).tolist()
    [1.0, 1.0, 0.0]
    """
    ours = errors_by_lag(network, weights, data, gradient, lags, **options)  # type: ignore[arg-type]
    options.pop("rng", None)
    exact = errors_by_lag(network, weights, data, "bptt", lags, **options)  # type: ignore[arg-type]
    return np.array([_cosine(a, b) for a, b in zip(ours, exact, strict=True)])


def _cosine(ours: np.ndarray, exact: np.ndarray) -> float:
    if not np.any(exact):
        return float("nan")
    if not np.any(ours):
        return 0.0
    ours, exact = ours / np.abs(ours).max(), exact / np.abs(exact).max()  # no underflow
    return float(ours @ exact / (np.linalg.norm(ours) * np.linalg.norm(exact)))


def _forward(
    network: Network, weights: np.ndarray, data: Sequences, initial_activation: float
) -> _Run:
    if len(data) != 1 or len(data.inputs) - 1 not in data.target_steps:
        raise DataError(
            f"expected one sequence with a target at its end, got {len(data)}", argument="data"
        )
    flat = np.asarray(weights, np.float64)
    w, cell = Weights.unpack(network, flat), network.cell
    y, s = np.full(cell.n_units, initial_activation), np.zeros(cell.n_states)
    steps = []
    for x in data.dense_inputs().astype(np.float64):
        steps.append(forward(network, w, y, s, x))
        y, s = steps[-1].y, steps[-1].s
    read, goal = np.array(cell.read_units), data.dense_targets()[-1].astype(np.float64)
    error = np.zeros(cell.n_units + cell.n_states)
    if network.united:
        error[cell.n_units - network.n_outputs : cell.n_units] = goal - y[-network.n_outputs :]
    else:
        direct = data.dense_inputs()[-1] if network.direct else np.zeros(0)
        out = logistic(w.output @ np.concatenate([direct, y[read], [1.0]]))
        error[read] = w.read(network).T @ ((goal - out) * out * (1 - out))
    return _Run(network, steps, w.recurrent(network), error)


def _backward_errors(run: _Run, gradient: Gradient) -> dict[int, np.ndarray]:
    """Errors of BPTT, of RTRL (the same), and of gradients with fewer paths or steps."""
    paths = followed(run.network, run.recurrent, gradient)
    errors = state_errors(run.steps, paths, run.error, depth_of(gradient))[1:]
    pairs = zip(reversed(run.steps), reversed(errors), strict=True)
    return {lag: step.by_net.T @ e for lag, (step, e) in enumerate(pairs)}


def _masked_errors(run: _Run, mask: np.ndarray, lags: Sequence[int]) -> dict[int, np.ndarray]:
    """Errors of SnAp: the share of a step in ``P``, carried forward and masked at each step."""
    shares = {}
    for lag in lags:
        carried = run.steps[-1 - lag].by_net * mask
        for step in run.steps[len(run.steps) - lag :]:
            carried = (step.jacobian(run.recurrent) @ carried) * mask
        shares[lag] = run.error @ carried
    return shares


def _rank_one_errors(run: _Run, rng: np.random.Generator | Signs) -> dict[int, np.ndarray]:
    """Errors of UORO: the estimate is a sum over steps, each scaled at all later steps."""
    if isinstance(rng, Signs):
        rng.begin()
    q, whole, added = np.zeros_like(run.error), None, list[np.ndarray]()
    for step in run.steps:
        signs = rng.choice(np.array([-1.0, 1.0]), len(q))
        jacobian = step.jacobian(run.recurrent)
        q, whole, kept, share = rank_one(step, jacobian, q, whole, signs)
        added = [before / kept for before in added] + [share]
    return {lag: (run.error @ q) * share for lag, share in enumerate(reversed(added))}
