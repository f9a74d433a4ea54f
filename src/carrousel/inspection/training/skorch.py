"""Callback of skorch that records the reach of a net's module in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carrousel.errors import MissingExtraError
from carrousel.inspection.training.recorder import Loss, ReachRecorder

try:
    from skorch.callbacks import Callback as _Base  # pyright: ignore[reportMissingImports]
    from skorch.dataset import unpack_data  # pyright: ignore[reportMissingImports]
    from skorch.utils import to_tensor  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError:
    _Base = unpack_data = to_tensor = None

_Callback: Any = _Base or object


class ReachCallback(_Callback):
    """Records the reach of ``net.module_`` while ``fit`` trains it.

    It measures before batches, so that row ``n`` describes the weights after ``n`` updates. The
    loss is ``net.get_loss`` of the output. The first batch is measured each time.

    Args:
        sink: as for :class:`ReachRecorder`.
        sequences: number of sequences of a batch to measure; None: all.
        current: whether to measure the present batch each time instead of the first one.
        options: further arguments of :class:`ReachRecorder`, such as ``{"every": 100}``.

    Attributes:
        recorder_: the recorder; None before the first batch, and after pickling.
        step_: number of updates of the weights.

    Raises:
        MissingExtraError: ``skorch`` is not installed.

    Example::

        NeuralNetRegressor(module, callbacks=[ReachCallback("reach.csv", options={"lag": 100})])
    """

    def __init__(
        self,
        sink: Any,
        *,
        sequences: int | None = 8,
        current: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if _Base is None:
            raise MissingExtraError(
                "ReachCallback needs skorch, which is not installed",
                fix="install it with: pip install skorch",
            )
        self.sink, self.sequences, self.current, self.options = sink, sequences, current, options
        self.recorder_: ReachRecorder | None = None
        self.step_ = 0

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"recorder_": None}  # its loss is a function that cannot be pickled

    def initialize(self) -> ReachCallback:
        """Start again with the next batch."""
        self.recorder_, self.step_ = None, 0
        return self

    def on_batch_begin(self, net: Any, batch: Any = None, training: Any = None, **_: Any) -> None:
        """Count a step of the training; measure if it is time."""
        if not training:
            return
        net.module_.train()  # as skorch does a moment later; a validation may have ended just now
        if self.recorder_ is None:
            fixed = (None, None) if self.current else self._subject(net, batch)
            self.recorder_ = ReachRecorder(
                net.module_, *fixed, sink=self.sink, **(self.options or {})
            )
        inputs, loss = self._subject(net, batch) if self.current else (None, None)
        self.recorder_.step(self.step_, inputs=inputs, loss=loss)
        self.step_ += 1

    def _subject(self, net: Any, batch: Any) -> tuple[Any, Loss]:
        """Return the arguments of the module, and the loss of its output."""
        assert unpack_data is not None
        assert to_tensor is not None
        x, y = (
            to_tensor(_first(one, self.sequences), device=net.device) for one in unpack_data(batch)
        )
        inputs = x if isinstance(x, Mapping) else (x,)
        return inputs, lambda output: net.get_loss(output, y, X=x, training=True)


def _first(values: Any, n: int | None) -> Any:
    """Return the first rows of a tensor, or of each tensor of a mapping or sequence."""
    if n is None or values is None or hasattr(values, "_fields"):  # such as a PackedSequence
        return values
    if isinstance(values, Mapping):
        return {name: _first(one, n) for name, one in values.items()}
    if isinstance(values, list | tuple):
        return type(values)(_first(one, n) for one in values)
    return values[:n]
