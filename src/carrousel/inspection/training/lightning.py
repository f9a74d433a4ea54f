"""Callback of Lightning that records the reach of a ``LightningModule`` in training."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from carrousel.errors import MissingExtraError
from carrousel.inspection.training.loggers import Loggers
from carrousel.inspection.training.recorder import Loss, ReachRecorder


def _base() -> Any:
    """Return the class of callbacks of the package that is in use, else of an installed one."""
    if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
        from pytorch_lightning import Callback  # pyright: ignore[reportMissingImports]

        return Callback
    try:
        from lightning.pytorch import Callback  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        try:
            from pytorch_lightning import Callback  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError:
            return object
    return Callback


_Callback: Any = _base()


class ReachCallback(_Callback):
    """Records the reach of a module while a ``Trainer`` trains it.

    It measures before batches, so that row ``n`` describes the weights after ``n`` updates, and
    steps are those of ``trainer.global_step``. The first batch is measured each time. Only the
    first process of a distributed training measures.

    Args:
        batch: returns ``(inputs, loss)`` of a batch of the training: the arguments of the module's
            ``forward``, best of a few sequences, and a function of its output that returns a
            scalar.
        sink: as for :class:`ReachRecorder`; None: the loggers of the trainer.
        current: whether to measure the present batch each time instead of the first one.
        options: further arguments of :class:`ReachRecorder`, such as ``every`` and ``lag``.

    Attributes:
        recorder: the recorder; None before the first batch.

    Raises:
        MissingExtraError: neither ``lightning`` nor ``pytorch_lightning`` is installed.

    Example::

        def first_sequences(batch):
            x, y = batch
            return x[:8], lambda output: mse_loss(output, y[:8])

        Trainer(callbacks=[ReachCallback(first_sequences, lag=100)]).fit(module, loader)
    """

    def __init__(
        self,
        batch: Callable[[Any], tuple[Any, Loss]],
        *,
        sink: Any = None,
        current: bool = False,
        **options: Any,
    ) -> None:
        if _Callback is object:
            raise MissingExtraError(
                "ReachCallback needs Lightning, which is not installed",
                fix="install it with: pip install lightning",
            )
        super().__init__()
        self.batch, self.sink, self.current, self.options = batch, sink, current, options
        self.recorder: ReachRecorder | None = None
        self._step = -1

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count an update of the weights; measure if it is time."""
        if not trainer.is_global_zero or trainer.global_step == self._step:
            return  # batches whose gradients are accumulated share a step
        self._step = trainer.global_step
        if self.recorder is None or self.recorder.model is not pl_module:
            sink = Loggers(trainer.loggers) if self.sink is None else self.sink
            fixed = (None, None) if self.current else self.batch(batch)
            self.recorder = ReachRecorder(pl_module, *fixed, sink=sink, **self.options)
        inputs, loss = self.batch(batch) if self.current else (None, None)
        self.recorder.step(self._step, inputs=inputs, loss=loss)
