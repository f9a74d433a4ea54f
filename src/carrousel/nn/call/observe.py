"""Observation of the layers of a model while it runs, for instruments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions, LayerResult


class Observer(Protocol):
    """Runs one direction of one layer, or one step of a cell, in place of the kernels."""

    def run(
        self,
        module: Any,
        which: tuple[int, int],
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> LayerResult:
        """Return what :func:`carrousel.kernels.autograd.dispatch.layer` returns.

        Args:
            module: the layer or cell that was called.
            which: layer and direction; ``(0, 0)`` of a cell.
            inputs: tensors; one step for a cell.
            recurrence: equations and sizes.
            options: settings of the call.
        """
        ...


OBSERVER: ContextVar[Observer | None] = ContextVar("carrousel_observer", default=None)


def current() -> Observer | None:
    """Return the observer of this thread or task; None in compiled graphs."""
    return None if torch.compiler.is_compiling() else OBSERVER.get()


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Send all calls of layers and cells of this package to an observer, in this context."""
    token = OBSERVER.set(observer)
    try:
        yield
    finally:
        OBSERVER.reset(token)
