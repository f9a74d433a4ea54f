"""An endless text of embedded Reber strings, without marks between them.

Gers, Schmidhuber & Cummins, "Learning to Forget: Continual Prediction with LSTM", Neural
Computation 12(10), 2000, section 3.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.errors import ShapeError
from carrousel.shapes import Bools, Floats, Ints
from carrousel.tasks.reber import (
    _IS_LEGAL,
    END,
    MEAN_LENGTH,
    SYMBOLS,
    _draw_strings,
    _from_strings,
    _walk,
)

_BETWEEN = np.array([symbol == "B" for symbol in SYMBOLS])  # legal after the end of a string


class ContinualReber:
    """An endless text of embedded Reber strings.

    Strings are those of :class:`~carrousel.tasks.reber.EmbeddedReber`, with equal probabilities of
    all choices. A network that is never reset must learn where a string ends, and reset its own
    cells there.

    Args:
        rng: source of the strings. The text does not depend on how it is divided into calls.

    >>> stream = ContinualReber(np.random.default_rng(0))
    >>> symbols, legal = stream.take(16)
    >>> "".join(SYMBOLS[symbol] for symbol in symbols)
    'BPBTXSEPEBTBTSXS'
    >>> ["".join(SYMBOLS[k] for k in np.flatnonzero(row)) for row in legal][6:10]  # E P E B
    ['P', 'E', 'B', 'TP']
    >>> "".join(SYMBOLS[symbol] for symbol in stream.take(5)[0])  # the text continues
    'ETEBP'
    """

    AT_ONCE = 64
    """Number of strings drawn at a time."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._symbols = np.zeros(0, np.int64)
        self._legal = np.zeros((0, len(SYMBOLS)), bool)

    def take(self, n: int) -> tuple[Annotated[Ints, "steps"], Annotated[Bools, "steps 7"]]:
        """Return the next ``n`` symbols.

        Returns:
            ``symbols [n]``, indices into :data:`~carrousel.tasks.reber.SYMBOLS`, and
            ``legal [n, 7]``: which symbols may follow each of them.

        Raises:
            SettingError: ``n`` is not a whole number of at least 1.
        """
        check_int("n", n, minimum=1)
        drawn = [(self._symbols, self._legal)]
        missing = n - len(self._symbols)
        while missing > 0:
            drawn += [self._draw() for _ in range(1 + int(missing / MEAN_LENGTH) // self.AT_ONCE)]
            missing = n - sum(len(symbols) for symbols, _ in drawn)
        symbols, legal = (np.concatenate(part) for part in zip(*drawn, strict=True))
        self._symbols, self._legal = symbols[n:].copy(), legal[n:].copy()
        return symbols[:n], legal[:n]

    def _draw(self) -> tuple[np.ndarray, np.ndarray]:
        data = _from_strings(_draw_strings(self._rng, self.AT_ONCE))
        states = _walk(data)
        legal = _IS_LEGAL[states]
        legal[states == END] = _BETWEEN
        return data.inputs.astype(np.int64), legal


def ranked_right(
    outputs: Annotated[Floats, "steps 7"], legal: Annotated[Bools, "steps 7"]
) -> Annotated[Bools, "steps"]:
    """Return, for each step, whether every legal symbol is more active than every other one.

    Raises:
        ShapeError: the arguments differ in shape.

    >>> legal = np.array([[True, True, False]])
    >>> ranked_right(np.array([[0.5, 0.3, 0.2]]), legal), ranked_right(np.zeros((1, 3)), legal)
    (array([ True]), array([False]))
    """
    if outputs.shape != legal.shape:
        raise ShapeError(
            f"outputs have shape {outputs.shape}, legal {legal.shape}; expected the same",
            argument="outputs",
        )
    least_legal = np.where(legal, outputs, np.inf).min(axis=1)
    return least_legal > np.where(legal, -np.inf, outputs).max(axis=1)
