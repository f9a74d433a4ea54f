"""A model that has begun: reader, kernel, head and keys, and what becomes of a row."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from carrousel.contracts import StreamKernel
from carrousel.errors import DataError, DivergedError
from carrousel.online.model.features import Named, Reader
from carrousel.online.model.forecasts import LastForecasts
from carrousel.online.model.grow import take_over
from carrousel.online.model.heads import Head
from carrousel.online.model.keys import Keys
from carrousel.online.model.settings import Settings
from carrousel.online.model.values import LARGEST, Unseen
from carrousel.shapes import Floats


class Engine:
    """What OnlineLSTM drives; a call that raises leaves it as it was.

    Args:
        settings: checked arguments.
        reader, head: as the first row made them.
        seed: of weights, and of all that is drawn later.
    """

    forecasts: LastForecasts | None = None
    """The last forecast of each stream, kept by ``OnlineLSTM.run_detailed`` with ``late``."""
    _has_learned = False

    def __init__(self, settings: Settings, reader: Reader, head: Head, seed: int) -> None:
        self.settings, self.reader, self.head, self.seed = settings, reader, head, seed
        self.kernel: StreamKernel = settings.open(reader, head, seed)
        self.keys = Keys(settings.streams, settings.evict_after)
        self.now = 0
        self.spare = settings.streams  # a place of the kernel that never moves
        self.own_targets = settings.task == "next"

    @classmethod
    def begun(
        cls,
        settings: Settings,
        x: Any,
        y: Any,
        seed: int,
        categories: Callable[[], Mapping[Any, Iterable[str]]] = dict,
    ) -> Engine:
        """An engine that fits a first row; it has not taken it.

        Where nothing new may come later, categories of a whole table are known from the start.
        """
        reader = settings.first_reader(x)
        if isinstance(reader, Named) and not settings.grow:
            reader = reader.declared(categories())
        return cls(settings, reader, settings.first_head(y), seed)

    def step(
        self, x: Any, y: Any, key: Any, learn: bool = True
    ) -> tuple[Head, Annotated[Floats, "O"]]:
        """Take one row; return outputs made before its target was learned, and what they mean.

        A class that comes with the row is not among those that they speak of, but a symbol is: it
        came before the symbol that is predicted.
        """
        head = self.head
        try:
            row = self.reader.read(x)
            target = None if y is None else self.head.read(y)
        except Unseen:
            self.keys.find(key, self.now)  # refused before anything grows
            self.widen(x, y)
            now, outputs = self.step(x, y, key, learn)
            return now if self.own_targets else head, outputs
        place = self.place(key, row)
        kernel = self.kernel
        try:
            if self.own_targets:
                outputs = kernel.run(
                    np.array((place,)), row[None], row[None] if learn else None, True
                )[0]
            else:
                outputs = kernel.advance(place, row)
                if target is not None:
                    kernel.learn(place, target)
        except DataError as error:
            raise DataError(self.reader.complaint(row)) from error
        except DivergedError as error:
            raise self.diverged(error) from None
        self.keys.used(key, place, self.now)
        self.now += 1
        return head, outputs

    def peek(self, x: Any, key: Any) -> tuple[Head, Annotated[Floats, "O"]]:
        """Outputs at a row from the present state, and what they mean; nothing moves."""
        try:
            row = self.reader.read(x)
        except Unseen:
            return self.copied().step(x, None, key, learn=False)
        place = self.keys.find(key, self.now)
        try:
            return self.head, self.kernel.peek(self.spare if place is None else place, row)
        except DataError as error:
            raise DataError(self.reader.complaint(row)) from error
        except DivergedError as error:
            raise self.diverged(error) from None

    def place(self, key: Any, row: Annotated[Floats, "X"]) -> int:
        """The place of the key of a row that is about to be taken."""
        place = self.keys.find(key, self.now)
        if place is not None:
            return place
        if not self.readable(row):
            raise DataError(self.reader.complaint(row))
        place, dirty = self.keys.take(key, self.now)
        if dirty:
            self.kernel.reset(place)
        return place

    def readable(self, row: Annotated[Floats, "... X"]) -> bool:
        """Whether a kernel takes these numbers."""
        size = np.abs(row)
        if self.kernel.streaming.missing:
            return not (size > LARGEST).any()
        return bool((size <= LARGEST).all())

    def widen(self, x: Any, y: Any) -> None:
        """Make room for what is new in a row and its target; raises DataError if they are bad."""
        reader = self.reader.wider(x)
        row = reader.read(x)
        if not self.readable(row):
            raise DataError(reader.complaint(row))
        target = x if self.own_targets else y
        head = self.head if target is None else self.head.wider(target)
        if reader.n_columns != self.kernel.network.n_inputs or (
            head.n_outputs != self.kernel.network.n_outputs
        ):
            kernel = self.settings.open(reader, head, self.seed)
            take_over(kernel, self.kernel)
            self.kernel = kernel
        self.reader, self.head = reader, head

    def reset(self, key: Any) -> None:
        """Forget the state of a key; its next row begins anew."""
        self.keys.find(key, self.now)  # refuses what is not hashable
        self.keys.forget(key)

    def copied(self) -> Engine:
        """Another engine in the same state, which moves on its own."""
        return copy.deepcopy(self)

    def change(self, params: Mapping[str, Any]) -> None:
        """Change settings that may change while learning goes on."""
        settings = replace(self.settings, **params)
        self.kernel.rate = float(settings.learning_rate)
        self.keys.evict_after = settings.evict_after
        self.settings = settings

    @property
    def has_learned(self) -> bool:
        """Whether a target has been learned."""
        if not self._has_learned:
            self._has_learned = bool(self.kernel.state()["changes"][0] > 0)
        return self._has_learned

    @property
    def nbytes(self) -> int:
        """Bytes of the kernel; names and keys come on top."""
        return self.kernel.nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "kernel": self.kernel.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.kernel = self.settings.open(self.reader, self.head, self.seed)
        self.kernel.restore(state["kernel"])

    def diverged(self, error: DivergedError) -> DivergedError:
        """A kernel's error, and how to go on."""
        return error.recast(
            DivergedError,
            fix="continue from the last checkpoint by OnlineLSTM.load(path), with a "
            f"{{learning_rate}} below {self.kernel.rate:g}",
        )
