"""Derived tolerances for float32 kernels against the float64 reference.

Each kernel gets the same float32 numbers. Its error may be

    twice the error of the naive float32 reference, plus a floor.

The floor is :data:`MOVES` times the response of the exact result to a change of every weight by one
unit of rounding. The reason: a dot product over S sources in float32 equals the exact one of
weights changed by at most S units, typically by the square root of S; S is below 50 in these tests.
The response grows where a network amplifies (long sequences, large states, large rates). Above
:data:`CHAOS`, two float32 programs need not agree, and results are not compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carrousel.contracts import TRUNCATED, Gradient, Kernel, Network, Training
from carrousel.kernels import ReferenceKernel
from carrousel.sequences import Sequences

UNIT = float(np.finfo(np.float32).eps) / 2
"""Relative error of one rounding to float32."""

MOVES = 14.0
"""Units by which the roundings of one step change every weight: twice the square root of 50."""

CHAOS = 1e-4
"""Largest response, as a share of the result's size, at which results are compared."""

Result = dict[str, np.ndarray]


def result_of(
    kernel: Kernel,
    network: Network,
    training: Training,
    weights: np.ndarray,
    rates: np.ndarray,
    cells_from: np.ndarray,
    data: Sequence[Sequences | None],
    gradient: Gradient = TRUNCATED,
) -> list[Result | None]:
    """Return outputs, errors and new weights of each lane by a kernel, as float64."""
    weights = weights.astype(kernel.dtype)
    outputs = kernel.predict(network, training, weights, cells_from, data)
    rates = rates.astype(kernel.dtype)
    errors = kernel.learn(network, training, weights, rates, cells_from, data, gradient)
    results: list[Result | None] = []
    for lane, (out, error) in enumerate(zip(outputs, errors, strict=True)):
        if out is None or error is None:
            results.append(None)
            continue
        named = {"outputs": out, "weights": weights[lane], **error._asdict()}
        results.append({name: np.asarray(array, np.float64) for name, array in named.items()})
    return results


def measured(
    network: Network,
    training: Training,
    weights: np.ndarray,
    rates: np.ndarray,
    cells_from: np.ndarray,
    data: Sequence[Sequences | None],
    rng: np.random.Generator,
    gradient: Gradient = TRUNCATED,
) -> tuple[list[Result | None], list[dict[str, float] | None]]:
    """Return exact results of each lane, and the tolerances of a float32 kernel.

    Tolerances are None for lanes that cannot be compared.
    """
    rest = (rates, cells_from, data, gradient)
    exact = result_of(ReferenceKernel(), network, training, weights, *rest)
    naive = result_of(ReferenceKernel(np.float32), network, training, weights, *rest)
    signs = rng.choice([-1.0, 1.0], (3, *weights.shape))
    moved = [
        result_of(ReferenceKernel(), network, training, weights * (1 + UNIT * sign), *rest)
        for sign in signs
    ]
    allowed = [
        None if lane is None else _allowed(lane, *rivals)
        for lane, *rivals in zip(exact, naive, *moved, strict=True)
    ]
    return exact, allowed


def _allowed(exact: Result, naive: Result, *moved: Result) -> dict[str, float] | None:
    """Return tolerances by result; errors relative to its size are pooled over all results."""
    sizes = {name: np.abs(array).max() for name, array in exact.items() if array.any()}
    response = UNIT + max(_share(each, exact, sizes) for each in moved)
    if response > CHAOS:
        return None
    share = 2 * _share(naive, exact, sizes) + MOVES * response
    found = {name: float(share * size) for name, size in sizes.items()}
    for name in found:
        if name.startswith("sum"):  # one rounding of a positive sum for each value added
            found[name] += UNIT * float(np.max(exact["n_values"] * exact[name]))
    return found


def _share(other: Result, exact: Result, sizes: dict[str, float]) -> float:
    """Return the largest difference as a share of a result's size."""
    return max((np.abs(other[k] - exact[k]).max() / size for k, size in sizes.items()), default=0.0)


def assert_within(result: Result, exact: Result, allowed: dict[str, float], what: str) -> None:
    """Compare one lane; counts must be equal."""
    np.testing.assert_array_equal(result["n_values"], exact["n_values"])
    for name, most in allowed.items():
        np.testing.assert_allclose(
            result[name], exact[name], rtol=0, atol=most, err_msg=f"{what}: {name}"
        )


def assert_near(
    kernels: Sequence[Kernel],
    network: Network,
    training: Training,
    weights: np.ndarray,
    rates: np.ndarray,
    cells_from: np.ndarray,
    data: Sequence[Sequences | None],
    rng: np.random.Generator,
    gradient: Gradient = TRUNCATED,
) -> int:
    """Compare all lanes of several kernels; return the number of lanes that could be compared."""
    args = (network, training, weights, rates, cells_from, data)
    exact, allowed = measured(*args, rng, gradient)
    for number, kernel in enumerate(kernels):
        for lane, ours in enumerate(result_of(kernel, *args, gradient)):
            truth, off = exact[lane], allowed[lane]
            assert (ours is None) == (truth is None)
            if ours is not None and truth is not None and off is not None:
                assert_within(ours, truth, off, f"kernel {number}, lane {lane}")
    return sum(off is not None for off in allowed)
