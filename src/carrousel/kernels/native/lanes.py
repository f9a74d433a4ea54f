"""Compiled lanes: one independent network per SIMD lane, for several instruction sets.

Every lane has its own weights, data, learning rate and sequence boundaries. On one instruction set
the result of a lane is bit-identical in any lane, group, thread or process, with any neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from carrousel import _native
from carrousel.checks import check_choice, check_int
from carrousel.contracts import (
    EQUAL_RATES,
    SQUASHES,
    TRUNCATED,
    Cell,
    Errors,
    Gradient,
    Network,
    Simple,
    Training,
)
from carrousel.contracts.units import HIDDEN
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.kernels.native.lane_gradients import compiled, lane_paths, resolved
from carrousel.kernels.signs import draw_seeds
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


def instruction_set() -> str:
    """Return the instruction set chosen for this processor: avx512, avx2, neon or plain.

    >>> instruction_set() in instruction_sets()
    True
    """
    return _native.instruction_set()


def instruction_sets() -> list[str]:
    """Return the names of all instruction sets that this processor supports, best first.

    >>> instruction_sets()[-1]
    'plain'
    """
    return list(_native.available_instruction_sets())


class NativeKernel:
    """Compiled kernel for lanes, in float32; see :class:`carrousel.contracts.Kernel`.

    Args:
        threads: number of threads that share the lanes of one call.
        instruction_set: one of :func:`instruction_sets`; the best by default.

    Raises:
        SettingError: ``threads`` is not a whole number from 1 to 1024.
        UnknownNameError: the instruction set does not exist on this processor.

    >>> from carrousel.contracts import Cell
    >>> net = Network(1, 1, Cell(1, 1))
    >>> data = Sequences.from_lists([[0.5, 1.0]], [[1.0]])
    >>> weights = np.full((1, net.n_weights), 0.1, np.float32)
    >>> args = np.array([0.5], np.float32), np.array([0])
    >>> errors = NativeKernel().learn(net, Training(rate=0.5), weights, *args, [data])[0]
    >>> round(float(errors.max_abs[0]), 3)
    0.499
    """

    name = "native"
    dtype = np.float32

    def __init__(self, threads: int = 1, instruction_set: str | None = None) -> None:
        self.threads = check_int("threads", threads, minimum=1, maximum=1024)
        chosen = instruction_set or _native.instruction_set()
        self.instruction_set = check_choice("instruction set", chosen, instruction_sets())
        self.width: int = _native.lane_width(self.instruction_set)

    @staticmethod
    def runs(network: Network, gradient: Gradient) -> bool:
        """Return whether a gradient of a network is compiled.

        All are, except ``snap:n`` where a weight influences some but not all units within n steps.
        """
        return compiled(network, gradient) is not None

    def learn(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        rates: Annotated[Floats, "B"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
        gradient: Gradient = TRUNCATED,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> list[Errors | None]:
        """Change ``weights`` in place; see :class:`carrousel.contracts.Kernel`.

        Raises:
            ShapeError: weights are not float32 ``[B, W]``, or lanes differ in kind.
            DataError: data are not finite, or a symbol is outside its alphabet.
            SettingError: the gradient or wiring is not compiled.
        """
        return self._learn(network, training, weights, rates, cells_from, data, gradient, rngs)

    def gradient(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
        gradient: Gradient = TRUNCATED,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> tuple[Annotated[Floats, "B W"], list[Errors | None]]:
        """Compute the descent direction; see :class:`carrousel.contracts.Kernel`.

        Raises:
            ShapeError: weights are not float32 of shape (B, W), or lanes differ in kind.
            DataError: data are not finite, or a symbol is outside its alphabet.
        """
        found = np.zeros((len(data), network.n_weights), np.float32)
        epoch = replace(training, update="epoch", halves_every=0, plateau=0, factors=EQUAL_RATES)
        rates = np.zeros(len(data), np.float32)
        return found, self._learn(
            network, epoch, weights, rates, cells_from, data, gradient, rngs, found
        )

    def _learn(
        self,
        network: Network,
        training: Training,
        weights: np.ndarray,
        rates: np.ndarray,
        cells_from: np.ndarray,
        data: Sequence[Sequences | None],
        gradient: Gradient,
        rngs: Sequence[np.random.Generator] | None,
        gradients: np.ndarray | None = None,
    ) -> list[Errors | None]:
        """Change the weights, or write their gradients where these are given."""
        _check_parts(data)
        results: list[Errors | None] = []
        lanes: list[dict[str, Any] | None] = []
        for part in data:
            if part is None:
                results.append(None)
                lanes.append(None)
                continue
            errors = Errors(
                max_abs=np.empty(len(part), np.float32),
                sum_abs=np.empty(len(part), np.float32),
                sum_sq=np.empty(len(part), np.float32),
                n_values=np.diff(part.target_offsets) * part.n_outputs,
            )
            results.append(errors)
            arrays = {"max_abs": errors.max_abs, "sum_abs": errors.sum_abs}
            lanes.append(arrays_of(part) | arrays | {"sum_sq": errors.sum_sq})
        for lane, seeds in zip(lanes, draw_seeds(gradient, rngs, data), strict=True):
            if lane is not None:
                lane["seeds"] = seeds
        self._run(
            network, training, weights, rates, cells_from, data, lanes, gradient, True, gradients
        )
        return results

    def predict(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
    ) -> list[Annotated[Floats, "M O"] | None]:
        """Return outputs at the steps with a target; see :class:`carrousel.contracts.Kernel`."""
        _check_parts(data)
        results = [
            None if part is None else np.empty((len(part.targets), part.n_outputs), np.float32)
            for part in data
        ]
        lanes = [
            None if part is None else arrays_of(part) | {"outputs": out}
            for part, out in zip(data, results, strict=True)
        ]
        rates = np.zeros(len(data), np.float32)
        self._run(network, training, weights, rates, cells_from, data, lanes, TRUNCATED, False)
        return results

    def _run(
        self,
        network: Network,
        training: Training,
        weights: np.ndarray,
        rates: np.ndarray,
        cells_from: np.ndarray,
        data: Sequence[Sequences | None],
        lanes: list[dict[str, Any] | None],
        gradient: Gradient,
        learn: bool,
        gradients: np.ndarray | None = None,
    ) -> None:
        parts = [part for part in data if part is not None]
        _check_wiring(network)
        gradient = resolved(network, gradient)
        _check_arrays(network, weights, rates, cells_from, data)
        if not parts:
            return
        shape = _shape(network, parts)
        try:
            _native.run_lanes(
                shape=shape,
                update=training.update,
                output_derivative=training.output_derivative,
                derivative_floor=training.derivative_floor,
                derivative_offset=training.derivative_offset,
                error_tolerance=training.error_tolerance,
                factors=_factors(network, training) if learn else None,
                initial_activation=training.initial_activation,
                learn=learn,
                gradient=gradient.kind,
                depth=(gradient.depth or 0) if gradient.kind == "bptt" else 0,
                stride=gradient.stride,
                paths=lane_paths(network, gradient),
                weights=weights,
                gradients=gradients,
                rates=np.ascontiguousarray(rates, np.float32),
                cells_from=np.ascontiguousarray(cells_from, np.int64),
                data=lanes,
                threads=self.threads,
                instruction_set=self.instruction_set,
            )
        except ValueError as refused:
            raise DataError(str(refused)) from None


def arrays_of(part: Sequences) -> dict[str, Any]:
    """Return contiguous arrays. Indices are copied: another thread may change them after checks."""
    return {
        "inputs": np.array(part.inputs) if part.symbolic else np.ascontiguousarray(part.inputs),
        "targets": np.array(part.targets)
        if part.targets.ndim == 1
        else np.ascontiguousarray(part.targets),
        "offsets": np.array(part.offsets),
        "target_steps": np.array(part.target_steps),
        "target_offsets": np.array(part.target_offsets),
    }


def _shape(network: Network, parts: Sequence[Sequences]) -> dict[str, int]:
    kinds = {(p.n_inputs, p.n_outputs, p.symbolic, p.targets.ndim == 1) for p in parts}
    if len(kinds) > 1:
        raise ShapeError(
            f"lanes differ in kind (inputs, outputs, symbols, classes): {kinds}", argument="data"
        )
    inputs, outputs, symbols, classes = kinds.pop()
    if (inputs, outputs) != (network.n_inputs, network.n_outputs):
        raise ShapeError(
            f"data have {inputs} inputs and {outputs} outputs, "
            f"the network {network.n_inputs} and {network.n_outputs}",
            argument="data",
        )
    return {
        "inputs": inputs,
        "outputs": outputs,
        **_layer(network.cell),
        "fed_back": _bits(network, network.fed_back),
        "receivers": _bits(network, network.receivers),
        "biased_groups": _bits(network, network.biased_units),
        "direct": int(network.direct),
        "united": int(network.united),
        "output_bias": int(network.biased_outputs),
        "symbols": int(symbols),
        "classes": int(classes),
    }


def _bits(network: Network, units: tuple[int, ...]) -> int:
    """Return the groups of some hidden units as bits, from input gates to output gates."""
    members, groups = set(units), network.cell.groups
    return sum(1 << HIDDEN.index(name) for name, each in groups.items() if each[0] in members)


def _layer(cell: Cell | Simple) -> dict[str, int]:
    if isinstance(cell, Simple):
        nothing = dict.fromkeys(("g", "h", "output_gate", "forget_gate"), 0)
        kind = 1 + ("logistic", "tanh").index(cell.f)
        return {"kind": kind, "blocks": cell.units, "block_size": 1, **nothing}
    ranges = list(SQUASHES)
    return {
        "kind": 0,
        "blocks": cell.blocks,
        "block_size": cell.block_size,
        "g": ranges.index(cell.g),
        "h": ranges.index(cell.h),
        "output_gate": int(cell.output_gate),
        "forget_gate": int(cell.forget_gate),
    }


def _factors(network: Network, training: Training) -> np.ndarray | None:
    """Return the factor of the rate of each weight as float32, or None if all are 1."""
    if not training.factors.differ:
        return None
    with np.errstate(over="ignore"):  # the extension refuses an infinite factor
        return training.factors.by_weight(network).astype(np.float32)


def _check_wiring(network: Network) -> None:
    if network.wiring == "sparse":
        raise SettingError(
            "wiring is 'sparse'; kernels run it as 'united' with zero weights",
            argument="wiring",
            got=network.wiring,
        )


def _check_arrays(
    network: Network,
    weights: np.ndarray,
    rates: np.ndarray,
    cells_from: np.ndarray,
    data: Sequence[Sequences | None],
) -> None:
    expected = (len(data), network.n_weights)
    if not isinstance(weights, np.ndarray) or weights.shape != expected:
        got = getattr(weights, "shape", type(weights).__name__)
        raise ShapeError(
            f"weights has shape {got}, expected (lanes, W) = {expected}", argument="weights"
        )
    if weights.dtype != np.float32 or not weights.flags.c_contiguous:
        raise ShapeError(
            f"weights must be contiguous float32, got {weights.dtype}", argument="weights"
        )
    if not weights.flags.writeable:
        raise ShapeError("weights are read-only", argument="weights", fix="pass a writable copy")
    for name, array in (("rates", rates), ("cells_from", cells_from)):
        if np.shape(array) != (len(data),):
            raise ShapeError(
                f"{name} has shape {np.shape(array)}, expected ({len(data)},)", argument=name
            )
    if not np.all(np.abs(rates) <= np.finfo(np.float32).max):
        given = np.asarray(rates).tolist()
        raise DataError(
            f"rates must be finite in float32, got {given}", argument="rates", got=given
        )
    counts = np.asarray(cells_from)
    if counts.dtype.kind not in "iu" or np.any(counts > np.iinfo(np.int64).max):
        raise ShapeError(
            f"cells_from must be int64, got {counts.dtype}: {counts.tolist()}",
            argument="cells_from",
        )


def _check_parts(data: Sequence[Sequences | None]) -> None:
    if not isinstance(data, list | tuple):
        raise ShapeError(
            f"data is a {type(data).__name__}, expected a list of Sequences or None",
            argument="data",
        )
    for lane, part in enumerate(data):
        if part is not None and not isinstance(part, Sequences):
            raise ShapeError(
                f"data[{lane}] is a {type(part).__name__}, expected Sequences or None",
                argument="data",
                fix="see Sequences.from_lists",
            )
