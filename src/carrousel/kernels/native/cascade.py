"""Compiled cascade-correlation: all candidates of a pool, or all outputs, in vectors of double.

Results are the same bits on every instruction set, whatever the other units are.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from carrousel import _native
from carrousel.kernels.reference.cascade import CascadeData
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


def distinct(data: Sequences) -> tuple[Annotated[Ints, "sequences"], bytes]:
    """Find the distinct sequences of a batch.

    Returns:
        the place of each sequence among the distinct ones, longest first, as in
        :func:`carrousel.kernels.reference.cascade.distinct`; and the distinct sequences as bytes,
        with how often each occurs. Batches with equal bytes have equal sequences, in any order.
    """
    which = np.empty(len(data), np.int64)
    return which, _native.distinct_sequences(
        _bytes_of(data.inputs),
        np.ascontiguousarray(data.offsets, np.int64),
        _bytes_of(data.targets),
        np.ascontiguousarray(data.target_offsets, np.int64),
        np.ascontiguousarray(data.target_steps, np.int64),
        which,
    )


class TrainedOutputs(NamedTuple):
    """Errors of outputs, and slopes of their weights.

    Args:
        errors: ``y - target`` at the places with a target, ``[M, O]``.
        slopes: slopes of half the squared error, averaged over targets, ``[O, 1 + I + k]``.
        sums: for each distinct sequence its largest absolute error, and the sums of its absolute
            and squared errors, ``[3, distinct]``.
    """

    errors: Annotated[Floats, "M O"]
    slopes: Annotated[Floats, "O F"]
    sums: Annotated[Floats, "3 distinct"]


class NativeCascade:
    """A batch in the memory of the compiled kernel, with the activations of its hidden units.

    Args:
        batch: the batch; its arrays are copied.
        f: squashing function of hidden units and candidates, ``"logistic"`` or ``"tanh"``.
        instruction_set: one of :func:`carrousel.kernels.instruction_sets`; the best by default.
    """

    def __init__(self, batch: CascadeData, f: str, instruction_set: str = "") -> None:
        self._tanh, self._outputs, self._targets = f == "tanh", len(batch.targets), len(batch.at)
        self._distinct = len(batch.counts)
        symbolic = batch.inputs.ndim == 1
        starts = [start for start, _ in batch.spans]
        arrays = {
            "steps": batch.n_steps,
            "times": len(starts),
            "targets": self._targets,
            "sequences": self._distinct,
            "outputs": self._outputs,
            "inputs": batch.n_inputs,
            "symbols": np.array(batch.inputs, np.int64) if symbolic else None,
            "values": None if symbolic else np.ascontiguousarray(batch.inputs, np.float64),
            "starts": np.array([*starts, batch.n_steps], np.int64),
            "at": np.ascontiguousarray(batch.at, np.int64),
            "sequence": np.ascontiguousarray(batch.rank, np.int64),
            "often": np.ascontiguousarray(batch.times, np.float64),
            "goals": np.ascontiguousarray(batch.targets, np.float64),
        }
        self._batch = _native.CascadeBatch(arrays, instruction_set)

    def grow(self, weights: Annotated[Floats, "columns"]) -> None:
        """Compute the activations of one more hidden unit.

        Args:
            weights: those of bias, inputs, the units before it and, last, itself.
        """
        self._batch.grow(np.ascontiguousarray(weights, np.float64), self._tanh)

    def train_outputs(self, weights: Annotated[Floats, "O F"], offset: float) -> TrainedOutputs:
        """Compute errors of outputs and the slopes of their weights.

        Args:
            weights: ``[O, 1 + I + k]``.
            offset: added to ``f'``, so that saturated wrong outputs still learn.
        """
        found = TrainedOutputs(
            np.empty((self._targets, self._outputs)),
            np.empty(weights.shape),
            np.empty((3, self._distinct)),
        )
        self._batch.train_outputs(np.ascontiguousarray(weights, np.float64), offset, *found)
        return found

    def train_pool(
        self, weights: Annotated[Floats, "P F"], errors: Annotated[Floats, "M O"], normalised: bool
    ) -> tuple[Annotated[Floats, "P"], Annotated[Floats, "P F"]]:
        """Compute correlations of candidates with the errors, and their slopes.

        See :func:`carrousel.kernels.reference.cascade.correlation_slopes`, whose errors are
        ``[O, M]``.
        """
        merits, slopes = np.empty(len(weights)), np.empty(weights.shape)
        self._batch.train_pool(
            np.ascontiguousarray(weights, np.float64),
            np.ascontiguousarray(errors, np.float64),
            self._tanh,
            normalised,
            merits,
            slopes,
        )
        return merits, slopes

    def predict(self, weights: Annotated[Floats, "O F"]) -> Annotated[Floats, "M O"]:
        """Compute outputs at all places with a target."""
        outputs = np.empty((self._targets, self._outputs))
        self._batch.predict(np.ascontiguousarray(weights, np.float64), outputs)
        return outputs

    @property
    def nbytes(self) -> int:
        """Bytes of the kernel's arrays."""
        return self._batch.nbytes


def _bytes_of(units: np.ndarray) -> np.ndarray:
    """View symbols or values as one row of bytes for each step."""
    width = units.itemsize * math.prod(units.shape[1:])
    return np.ascontiguousarray(units).view(np.uint8).reshape(len(units), width)
