"""Compiled neural sequence chunker: two nets of simple units that learn together, in lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from carrousel import _native
from carrousel.checks import check_choice, check_int
from carrousel.contracts import Errors, Network, Simple
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.kernels.native.lanes import arrays_of, instruction_sets
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


class NativeChunker:
    """Compiled pair of nets, an automatizer below and a chunker above, in float32.

    The nets and the algorithm are those of :class:`carrousel.learners.ChunkerLearner`. ``O`` is the
    number of targets. Further outputs below predict the state above: no unit, all hidden units, or
    all hidden and output units. Further inputs above, and as many further outputs, are the binary
    digits of the time step.

    The bits of a lane do not depend on its neighbours, on threads or on the instruction set; where
    hidden units are tanh, AVX-512 rounds them otherwise.

    Args:
        below: the automatizer; simple units wired ``"full"`` or ``"direct"``.
        above: the chunker.
        rate: learning rate of both nets.
        threshold: an input was predicted if every output was off by less than this.
        depth: steps of back-propagation in both nets, including the current one.
        threads: number of threads that share the lanes of one call.
        instruction_set: one of :func:`carrousel.kernels.instruction_sets`; the best by default.

    Raises:
        SettingError: the nets do not fit together, or a number is out of range.
        UnknownNameError: the instruction set does not exist on this processor.

    >>> net = Network(3, 3, Simple(1), wiring="direct")
    >>> data = Sequences.from_lists([[0, 1, 2]], [[1, 2]], n_inputs=3, n_outputs=3)
    >>> weights = np.zeros((1, net.n_weights), np.float32)
    >>> pair = NativeChunker(net, net, rate=1.0, threshold=0.25, depth=3)
    >>> [(errors, received)] = pair.learn(weights, weights.copy(), [data])
    >>> round(float(errors.max_abs[0]), 3), received.tolist()  # all inputs are surprises
    (0.508, [3])
    """

    name = "native"
    dtype = np.float32

    def __init__(
        self,
        below: Network,
        above: Network,
        *,
        rate: float,
        threshold: float,
        depth: int,
        threads: int = 1,
        instruction_set: str | None = None,
    ) -> None:
        self.below, self.above = below, above
        self.threads = check_int("threads", threads, minimum=1, maximum=1024)
        chosen = instruction_set or _native.instruction_set()
        self.instruction_set = check_choice("instruction set", chosen, instruction_sets())
        self._n_targets = above.n_outputs - (above.n_inputs - below.n_inputs)
        self._job: dict[str, Any] = {
            "below": _net(below),
            "above": _net(above),
            "rate": float(rate),
            "threshold": float(threshold),
            "depth": int(depth),
            "symbols": 1,
            "classes": 1,
        }
        try:
            self._bytes: int = _native.chunker_bytes(self._job)
        except ValueError as refused:
            raise SettingError(str(refused)) from None

    def learn(
        self,
        below: Annotated[Floats, "B W"],
        above: Annotated[Floats, "B W"],
        data: Sequence[Sequences | None],
    ) -> list[tuple[Errors, Annotated[Ints, "N"]] | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Args:
            below: float32, weights of the automatizer of each lane; changed in place.
            above: float32, weights of the chunker of each lane; changed in place.
            data: ``B`` parts of one kind.

        Returns:
            for each lane, the errors of the automatizer's predictions, and the number of inputs
            that the chunker received in each sequence.

        Raises:
            ShapeError: weights are not contiguous float32 ``[B, W]``, or parts differ in kind.
            DataError: data are not finite, or a symbol is outside its alphabet.
        """
        _check_weights("below", self.below, below, len(data))
        _check_weights("above", self.above, above, len(data))
        found: list[tuple[Errors, np.ndarray] | None] = []
        parts: list[dict[str, Any] | None] = []
        for part in data:
            if part is None:
                found.append(None)
                parts.append(None)
                continue
            n_values = np.diff(part.target_offsets) * part.n_outputs
            max_abs, sum_abs, sum_sq = np.empty((3, len(part)), np.float32)
            surprises = np.empty(len(part), np.int64)
            found.append((Errors(max_abs, sum_abs, sum_sq, n_values), surprises))
            sums = {"max_abs": max_abs, "sum_abs": sum_abs, "sum_sq": sum_sq}
            parts.append(arrays_of(part) | sums | {"surprises": surprises})
        job = self._job_of(data)
        self._call(_native.learn_chunkers, job=job, below=below, above=above, data=parts)
        return found

    def predict(
        self, below: Annotated[Floats, "B W"], data: Sequence[Sequences | None]
    ) -> list[Annotated[Floats, "M O"] | None]:
        """Return the automatizer's predictions at the steps that have a target."""
        _check_weights("below", self.below, below, len(data))
        found: list[np.ndarray | None] = []
        parts: list[dict[str, Any] | None] = []
        for part in data:
            if part is None:
                found.append(None)
                parts.append(None)
                continue
            found.append(np.empty((len(part.targets), self._n_targets), np.float32))
            parts.append(arrays_of(part) | {"outputs": found[-1]})
        job = self._job_of(data)
        self._call(_native.predict_chunkers, job=job, below=below, data=parts)
        return found

    @property
    def nbytes(self) -> int:
        """Bytes that all threads together need to run nets, besides the weights of the lanes."""
        return self.threads * self._bytes

    def _job_of(self, data: Sequence[Sequences | None]) -> dict[str, Any]:
        parts = [part for part in data if part is not None]
        kinds = {(p.n_inputs, p.n_outputs, p.symbolic, p.targets.ndim == 1) for p in parts}
        if len(kinds) > 1:
            raise ShapeError(
                f"lanes differ in kind (inputs, outputs, symbols, classes): {kinds}",
                argument="data",
            )
        for inputs, outputs, symbols, classes in kinds:
            if (inputs, outputs) != (self.below.n_inputs, self._n_targets):
                raise ShapeError(
                    f"data have {inputs} inputs and {outputs} outputs, the nets "
                    f"{self.below.n_inputs} and {self._n_targets}",
                    argument="data",
                )
            return self._job | {"symbols": int(symbols), "classes": int(classes)}
        return self._job

    def _call(self, function: Any, **arguments: Any) -> None:
        try:
            function(**arguments, threads=self.threads, instruction_set=self.instruction_set)
        except ValueError as refused:
            raise DataError(str(refused)) from None


def _net(network: Network) -> dict[str, int]:
    if not isinstance(network.cell, Simple) or network.wiring not in ("full", "direct"):
        raise SettingError(
            f"the network has {network.cell} wired {network.wiring!r}, expected simple units "
            "wired 'full' or 'direct'",
            argument="network",
            got=network,
        )
    return {
        "inputs": network.n_inputs,
        "units": network.cell.n_units,
        "outputs": network.n_outputs,
        "tanh": int(network.cell.f == "tanh"),
        "direct": int(network.direct),
        "hidden_bias": int(bool(network.biased_units)),
        "output_bias": int(network.biased_outputs),
    }


def _check_weights(name: str, network: Network, weights: object, n_lanes: int) -> None:
    expected = (n_lanes, network.n_weights)
    if not isinstance(weights, np.ndarray) or weights.shape != expected:
        got = getattr(weights, "shape", type(weights).__name__)
        raise ShapeError(
            f"weights {name} have shape {got}, expected (lanes, W) = {expected}", argument=name
        )
    if weights.dtype != np.float32 or not weights.flags.c_contiguous:
        raise ShapeError(
            f"weights {name} are {weights.dtype}, expected contiguous float32", argument=name
        )
