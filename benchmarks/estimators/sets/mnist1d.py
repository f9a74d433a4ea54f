"""MNIST-1D (S. Greydanus and D. Kobak, ICML 2024): shifted, bent and noisy outlines of digits.

The package makes the data from ten templates. Its module imports a plotting library and a client
of the web. Therefore the templates are read from its source, and this module repeats the published
steps with the same random numbers. A test compares the result with figures of the package's.
"""

from __future__ import annotations

import ast
from functools import cache

import numpy as np
from benchmarks.estimators.sets.problem import Split
from benchmarks.streams.real.packages import file_of

SAMPLES, LEARNED, SEED = 5000, 4000, 42
PADDING = (36, 60)
SHIFTS, LENGTH = 48, 40
SCALE, CORRELATED, NOISE, SHEAR = 0.4, 0.25, 0.02, 0.75
TINY = 1e-8  # added to the template, so that its zeros differ from padding


@cache
def mnist1d_split(seed: int) -> Split:
    """Return the fixed split; ``seed`` is not used."""
    series, y = generated()
    x = [row[:, None].astype(np.float32) for row in series]
    return Split(x[:LEARNED], y[:LEARNED], x[LEARNED:], y[LEARNED:])


def templates(source: str) -> np.ndarray:
    """Return the outlines ``[10, 12]``, standardised, from the source of the package's module."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            if name in {f"d{n}" for n in range(10)} and isinstance(value, ast.Call):
                found[name] = ast.literal_eval(value.args[0])
    x = np.array([found[f"d{n}"] for n in range(10)], np.float64)
    x = x - x.mean(axis=1, keepdims=True)
    x = x / x.std(axis=1, keepdims=True)
    return (x - x[:, :1]) / 6.0


@cache
def generated() -> tuple[np.ndarray, np.ndarray]:
    """Return all series ``[5000, 40]`` in the package's order, and their digits."""
    outlines = templates(file_of("mnist1d", "mnist1d/data.py").read_text(encoding="utf-8"))
    rng = np.random.RandomState(SEED)
    made = np.array([_sample(x, rng) for x in outlines for _ in range(SAMPLES // 10)])
    y = np.repeat(np.arange(10), SAMPLES // 10)
    order = rng.permutation(SAMPLES)
    return (made[order] - made.mean()) / made[order].std(), y[order]


def _sample(outline: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    low, high = PADDING
    zeros = low + int(rng.rand() * (high - low + 1))
    x = _resampled(np.concatenate([outline + TINY, np.zeros(zeros)]), len(outline) + high)
    x = x * (1.0 + SCALE * (rng.rand() - 0.5))
    shift = rng.choice(SHIFTS)
    x = np.concatenate([x[-shift:], x[:-shift]])  # a shift of 0 leaves the series as it is
    background = gaussian_filter(CORRELATED * rng.randn(len(x)), 2)
    x = np.where(x != 0.0, x, background) + NOISE * rng.randn(len(x))
    x = x - SHEAR * (rng.rand() - 0.5) * np.linspace(-0.5, 0.5, len(x))
    return _resampled(x, LENGTH)


def _resampled(x: np.ndarray, n: int) -> np.ndarray:
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(x)), x)
