"""Compiled kernel for streams: one network that learns at every step.

A step costs O(1) per weight. Memory does not depend on the number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from carrousel import _native
from carrousel.checks import check_int
from carrousel.contracts import Network, Streaming
from carrousel.errors import (
    CarrouselError,
    DataError,
    DivergedError,
    RowError,
    SettingError,
    ShapeError,
)
from carrousel.kernels.native.stream_checks import (
    check_network,
    checked_state,
    numbers,
    part_type,
    precision,
)
from carrousel.kernels.native.stream_settings import stream_settings
from carrousel.kernels.reference.layers import Weights
from carrousel.shapes import Floats, Ints

_DONE, _BAD_STREAM, _BAD_INPUT, _BAD_TARGET, _NO_STEP, _DIVERGED = range(6)
_FINITE = "finite numbers, of at most 1e30"
_FLAGS = "flags"
_MISFITS = (AttributeError, TypeError, ValueError)


class NativeStream:
    """Compiled kernel for streams; see :class:`carrousel.contracts.StreamKernel`.

    Args:
        network: memory cells with output gates, ``"cells"`` or ``"full"`` wiring, bias ``"all"``.
        streaming: settings of learning.
        weights: initial weights ``[W]``, in the order of ``network.layout``.
        n_streams: number of streams that share the weights.
        scaled: bool ``[I]``, which inputs are standardised; None: none.
        seed: seed of the random signs of ``"uoro"`` and of the connections of ``"sparse:k"``.
        dtype: ``np.float32`` or ``np.float64``.
        instruction_set: one of :func:`carrousel.kernels.instruction_sets`; None: the best.

    Raises:
        SettingError: this kernel does not support the network, the gradient or the data type.
        ShapeError: ``weights`` or ``scaled`` has the wrong shape.
        DataError: weights are not finite.

    >>> from carrousel.contracts import Cell
    >>> net = Network(1, 1, Cell(1, 1, forget_gate=True), wiring="cells", bias="all")
    >>> kernel = NativeStream(net, Streaming(rate=0.1), np.full(net.n_weights, 0.1))
    >>> for _ in range(200):
    ...     y = kernel.step(0, np.ones(1), np.array([2.0]))
    >>> abs(y[0] - 2.0) < 0.01
    np.True_
    """

    name = "native"

    def __init__(
        self,
        network: Network,
        streaming: Streaming,
        weights: Annotated[Floats, "W"],
        n_streams: int = 1,
        scaled: np.ndarray | None = None,
        seed: int = 0,
        dtype: type[np.floating] = np.float32,
        instruction_set: str | None = None,
    ) -> None:
        check_network(network)
        self.network, self.streaming = network, streaming
        self.n_streams = check_int("n_streams", n_streams, minimum=1, maximum=2**24)
        self.dtype = precision(dtype)
        scaled = np.zeros(network.n_inputs, bool) if scaled is None else np.asarray(scaled, bool)
        if scaled.shape != (network.n_inputs,):
            raise ShapeError(
                f"scaled has shape {scaled.shape}, expected ({network.n_inputs},), one per input",
                argument="scaled",
            )
        make = _native.StreamFloat if self.dtype is np.float32 else _native.StreamDouble
        flags = np.ascontiguousarray(scaled, np.uint8)
        try:
            self._net = make(
                stream_settings(network, streaming, n_streams, seed), flags, instruction_set or ""
            )
        except ValueError as refused:
            raise SettingError(str(refused)) from None
        self._parts: dict[str, tuple[bool, tuple[int, ...]]] = self._net.parts()
        self._x, self._target, self._y = self._net.input, self._net.target, self._net.outputs
        self._x_shape, self._target_shape = self._x.shape, self._target.shape
        self._set_weights(weights)

    # --- one step ---------------------------------------------------------------------------

    def peek(self, stream: int, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "O"]:
        """Return what :meth:`advance` would return, without changing anything."""
        try:
            if x.shape != self._x_shape:  # the assignment below would broadcast
                raise TypeError
            self._x[:] = x
            code = self._net.peek(stream)
        except _MISFITS:
            raise self._misfit(stream, x=x) from None
        return self._y.copy() if not code else self._refuse(code, stream, x, None)

    def advance(self, stream: int, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "O"]:
        """Advance a stream by one step; return the outputs."""
        try:
            if x.shape != self._x_shape:  # the assignment below would broadcast
                raise TypeError
            self._x[:] = x
            code = self._net.advance(stream)
        except _MISFITS:
            raise self._misfit(stream, x=x) from None
        return self._y.copy() if not code else self._refuse(code, stream, x, None)

    def learn(
        self, stream: int, target: Annotated[Floats, "V"], weight: float = 1.0, back: int = 0
    ) -> None:
        """Learn a target; see :class:`carrousel.contracts.StreamKernel`."""
        try:
            if target.shape != self._target_shape:
                raise TypeError
            self._target[:] = target
            code = self._net.learn(stream, weight, back)
        except _MISFITS:
            raise self._misfit(stream, target=target) from None
        if code:
            self._refuse(code, stream, None, target, weight)

    def step(
        self,
        stream: int,
        x: Annotated[Floats, "I or 1"],
        target: Annotated[Floats, "V"],
        weight: float = 1.0,
    ) -> Annotated[Floats, "O"]:
        """Advance, then learn unless ``target`` is NaN; return the outputs in between."""
        try:
            if x.shape != self._x_shape or target.shape != self._target_shape:
                raise TypeError
            self._x[:] = x
            self._target[:] = target
            code = self._net.step(stream, weight)
        except _MISFITS:
            raise self._misfit(stream, x=x, target=target) from None
        return self._y.copy() if not code else self._refuse(code, stream, x, target, weight)

    def run(
        self,
        streams: Annotated[Ints, "N"],
        x: Annotated[Floats, "N I or N 1"],
        targets: Annotated[Floats, "N V"] | None = None,
        targets_first: bool = False,
        weights: Annotated[Floats, "N"] | None = None,
        owners: Annotated[Ints, "N"] | None = None,
        backs: Annotated[Ints, "N"] | None = None,
        bounds: Annotated[Floats, "N O 2 levels"] | None = None,
    ) -> Annotated[Floats, "N O"]:
        """Process ``N`` rows in order; see :class:`carrousel.contracts.StreamKernel`."""
        if np.asarray(streams).dtype.kind not in "iu":
            raise ShapeError(
                f"run: streams are {np.asarray(streams).dtype}, expected whole numbers",
                argument="streams",
            )
        streams = np.ascontiguousarray(streams, np.int64)
        x = numbers("run: x", x)
        targets = None if targets is None else numbers("run: targets", targets)
        outputs = np.empty((len(x), self.network.n_outputs))
        try:
            n, code = self._net.run(
                streams,
                x,
                targets,
                weights,
                owners,
                backs,
                targets_first,
                outputs,
                bounds,
            )
        except ValueError as refused:
            raise ShapeError(f"run: {refused}") from None
        if code:
            wanted = None if targets is None else targets[n]
            try:
                weight = 1.0 if weights is None else float(weights[n])
                self._refuse(code, int(streams[n]), x[n], wanted, weight)
            except DivergedError as error:
                raise error.recast(DivergedError, row=n, outputs=outputs[:n]) from None
            except (DataError, SettingError) as error:
                raise error.recast(RowError, row=n, outputs=outputs[:n]) from None
        return outputs

    def recall(
        self, stream: int
    ) -> tuple[Annotated[Floats, "O"], Annotated[Floats, "O 2 levels"]] | None:
        """Return the last outputs of a stream and their bounds; see ``StreamKernel``."""
        try:
            code = self._net.recall(stream)
        except _MISFITS:
            raise self._misfit(stream) from None
        if code == _NO_STEP:
            return None
        bounds = self._net.bounds.copy().reshape(len(self._y), 2, -1)
        return (self._y.copy(), bounds) if not code else self._refuse(code, stream, None, None)

    def reset(self, stream: int) -> None:
        """Reset the state of a stream."""
        try:
            code = self._net.reset(stream)
        except _MISFITS:
            raise self._misfit(stream) from None
        if code:
            self._refuse(_BAD_STREAM, stream, None, None)

    # --- state ------------------------------------------------------------------------------

    @property
    def rate(self) -> float:
        """Learning rate; may be changed between steps."""
        return self._net.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        try:
            self._net.rate = float(rate)
        except (TypeError, ValueError):
            raise SettingError(
                argument="rate", got=rate, expected="at least 0, below 1e30"
            ) from None

    @property
    def weights(self) -> Annotated[Floats, "W"]:
        """A copy of the weights, in the order of ``network.layout``."""
        flat = np.zeros(self.network.n_weights)
        Weights(self._read("hidden", 0), self._read("output", 0)).add_to(self.network, flat, 1.0)
        return flat.astype(self.dtype)

    @property
    def finite(self) -> bool:
        """Whether all weights and running gradients are finite."""
        return self._net.finite()

    @property
    def rule_errors(self) -> Annotated[Floats, "O 2"]:
        """Sum of absolute errors and number of targets of each output; with rules only."""
        return self._read("rules_errors", 0)

    @property
    def n_observed(self) -> Annotated[Floats, "V"] | None:
        """Number of values of each target so far; see ``StreamKernel``."""
        rules = self.streaming.rules
        if rules is not None:  # rows [1], then by variable: known, changes [2], mean and its count
            n = rules.variables
            return self._read("rules_all", 0)[2 + 3 * n : 2 + 5 * n : 2]
        if not self.streaming.scale_targets:
            return None
        return self._read("targets_all" if self.streaming.by_key else "targets", 0)[:, 0]

    @property
    def n_updates(self) -> int:
        """Number of changes of the weights."""
        return int(self._read("changes", 0)[0])

    @property
    def lost(self) -> int:
        """Number of targets that came after their row had been dropped."""
        return int(self._net.lost)

    @property
    def nbytes(self) -> int:
        """Bytes of weights, running means, states and traces, including those of unused streams."""
        return self._net.nbytes

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of weights, running quantities and states, by name.

        Shared parts: ``hidden [U, S]`` and ``output [O, sources]`` weights, their running gradients
        ``*_first`` and ``*_second``, ``inputs [I, 4]`` and ``targets [O, 4]`` (count, mean,
        variance, number of limited values in a row), ``changes [1]``. By key, ``inputs`` and
        ``targets`` are parts of the streams, and ``inputs_all`` and ``targets_all`` are shared.
        The parts ``rules_*`` are those of the expert rules, and ``pending_*`` those of rows that
        wait for targets.

        Parts of the ``B`` streams that have started, whose numbers are ``streams [B]``: ``flags
        [B]``; ``y``, ``s``, ``h``, ``sources`` and ``out`` of the last step; its factors that have
        not entered the traces yet (``kept``, ``gain_*``); ``traces [B, 2 or 3, C, S]`` of cells,
        input gates and forget gates.
        """
        flags = np.array(self._net.flags(), np.uint8)
        begun = np.flatnonzero(flags)
        found = {"streams": begun, _FLAGS: flags[begun]}
        for name, (of_stream, shape) in self._parts.items():
            kept = part_type(name, self.dtype)
            found[name] = np.empty((len(begun), *shape) if of_stream else shape, kept)
            if not of_stream:
                found[name][...] = self._read(name, 0)
            for place, stream in enumerate(begun if of_stream else ()):
                found[name][place] = self._read(name, int(stream))
        return found

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned.

        Raises:
            ShapeError: a part is missing, has another shape or is not finite; nothing changes.
        """
        parts = checked_state(state, self._parts, self.n_streams, self.dtype)
        begun = parts["streams"].tolist()
        for stream in range(self.n_streams):
            self._net.set_flags(stream, 0)
        for name, (of_stream, _) in self._parts.items():
            if not of_stream:
                self._net.write(name, 0, parts[name])
            for place, stream in enumerate(begun if of_stream else ()):
                self._net.write(name, stream, parts[name][place])
        for stream, flags in zip(begun, parts[_FLAGS].tolist(), strict=True):
            self._net.set_flags(stream, flags)

    def _read(self, name: str, stream: int) -> np.ndarray:
        values = np.empty(self._parts[name][1])
        self._net.read(name, stream, values)
        return values

    def _set_weights(self, weights: Annotated[Floats, "W"]) -> None:
        flat = np.asarray(weights, np.float64)
        if flat.shape != (self.network.n_weights,):
            raise ShapeError(
                f"weights have shape {flat.shape}, expected ({self.network.n_weights},)",
                argument="weights",
            )
        with np.errstate(over="ignore"):
            if not np.isfinite(flat.astype(self.dtype)).all():
                raise DataError(
                    "weights are not finite; expected finite numbers", argument="weights"
                )
        matrices = Weights.unpack(self.network, flat)
        self._net.write("hidden", 0, np.ascontiguousarray(matrices.hidden))
        self._net.write("output", 0, np.ascontiguousarray(matrices.output))

    def _misfit(self, stream: Any, **given: Any) -> CarrouselError:
        """Return the error of a call whose arguments have the wrong type or shape."""
        whole = isinstance(stream, int | np.integer)
        if not whole or not 0 <= stream < self.n_streams:
            return self._wrong_stream(stream)
        for name, values in given.items():
            wanted = self._x_shape if name == "x" else self._target_shape
            if np.shape(values) != wanted:
                return ShapeError(
                    f"{name} has shape {np.shape(values)}, expected {wanted}", argument=name
                )
            if np.asarray(values).dtype.kind not in "fiu":
                return DataError(argument=name, got=values, expected="numbers")
        return DataError(f"{' or '.join(given)} is no array, expected one of numbers")

    def _wrong_stream(self, stream: Any) -> SettingError:
        return SettingError(argument="stream", got=stream, expected=f"0..{self.n_streams - 1}")

    def _refuse(self, code: int, stream: int, x: Any, target: Any, weight: float = 1.0) -> Any:
        """Raise the error of a code that the compiled kernel returned."""
        if code == _BAD_STREAM:
            raise self._wrong_stream(stream)
        if code == _BAD_INPUT:
            symbols = self.streaming.symbols
            expected = f"a symbol, a whole number 0..{self.network.n_inputs - 1}"
            raise DataError(argument="x", got=x.tolist(), expected=expected if symbols else _FINITE)
        if code == _BAD_TARGET:
            if not 0 <= weight <= 1e30:
                raise DataError(argument="weight", got=weight, expected="0 to 1e30")
            classes = self.streaming.head == "softmax"
            expected = f"a class, a whole number 0..{self.network.n_outputs - 1}"
            raise DataError(
                argument="target", got=target.tolist(), expected=expected if classes else _FINITE
            )
        if code == _NO_STEP:
            raise SettingError(
                f"stream {stream} has no step to learn from",
                argument="stream",
                got=stream,
                fix="advance it first",
            )
        raise DivergedError(
            "outputs or errors are no longer finite: the weights have diverged",
            fix="continue from an earlier state, with a smaller {rate}",
        )
