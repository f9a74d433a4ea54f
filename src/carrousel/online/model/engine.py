"""The state of a model after its first row: encoder, kernel, head and keys."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import numpy as np

from carrousel.contracts import StreamKernel
from carrousel.errors import DataError, DivergedError, SettingError
from carrousel.online.model.delays import LateTarget, LateTargets, RememberedRow
from carrousel.online.model.encoding.features import Features, NamedFeatures
from carrousel.online.model.encoding.heads import Head, blank
from carrousel.online.model.encoding.values import LARGEST
from carrousel.online.model.forecasts import LastForecasts
from carrousel.online.model.grow import grow_kernel
from carrousel.online.model.keys import Keys
from carrousel.online.model.settings import Settings
from carrousel.shapes import Bools, Floats


class Engine:
    """Implementation of OnlineLSTM; a call that raises changes nothing.

    Args:
        settings: checked arguments.
        features, head: encoders of rows and targets.
        seed: seed of the initial weights and of later draws.
        fitted: inputs that least squares use, if the model has grown since; None: all of a row.
    """

    forecasts: LastForecasts | None = None
    """The last forecast of each stream, kept by ``OnlineLSTM.run_detailed`` with ``late``."""
    _all_learned = False

    def __init__(
        self,
        settings: Settings,
        features: Features,
        head: Head,
        seed: int,
        fitted: int | None = None,
    ) -> None:
        self.settings, self.features, self.head, self.seed = settings, features, head, seed
        self.fitted = settings.fitted_inputs(features) if fitted is None else fitted
        self.kernel: StreamKernel = self._opened(features, head)
        self.keys = Keys(settings.streams, settings.evict_after)
        self.n_rows = 0
        self.late = LateTargets(settings.streams)
        self.remembered: deque[RememberedRow] = deque()  # rows of predict_one, with ``delay``
        self.blank = settings.streams  # a place of the kernel whose state stays initial
        self.self_supervised = settings.task == "next"

    @classmethod
    def start(
        cls,
        settings: Settings,
        x: Any,
        y: Any,
        seed: int,
        categories: Callable[[], Mapping[Any, Iterable[str]]] = dict,
    ) -> Engine:
        """Create the engine for a first row, without learning the row.

        Args:
            settings: checked arguments.
            x, y: the first row and its target.
            seed: see :class:`Engine`.
            categories: returns the categories of a whole table; called if they cannot grow later.
        """
        features = settings.first_features(x)
        if isinstance(features, NamedFeatures) and not settings.grow:
            features = features.with_categories(categories())
        return cls(settings, features, settings.first_head(y), seed)

    def step(
        self, x: Any, y: Any, key: Any, learn: bool = True, weight: float = 1.0
    ) -> tuple[Head, Annotated[Floats, "O"]]:
        """Advance by one row.

        Args:
            x, y, key: see ``OnlineLSTM.step``.
            learn: whether task ``"next"`` learns.
            weight: of the target, above 0.

        Returns:
            The outputs before the target was learned, and the head that decodes them. A new class
            of the target is not among its classes. A new symbol is: it precedes the predicted one.
        """
        head = self.head
        row = self.features.encode(x)
        target = None if y is None or row is None else self.head.encode(y)
        if row is None or (target is None and y is not None):
            self.keys.find(key, self.n_rows)  # a bad key must not grow the model
            self.extend(x, y)
            latest, outputs = self.step(x, y, key, learn, weight)
            return latest if self.self_supervised else head, outputs
        place = self._place_of(key, row)
        kernel = self.kernel
        if self.late.waiting:
            self.learn_due()
        try:
            if self.self_supervised:
                outputs = kernel.run(
                    np.array((place,)),
                    row[None],
                    row[None] if learn else None,
                    True,
                    *(() if weight == 1.0 else (np.array((weight,)),)),
                )[0]
            else:
                outputs = kernel.advance(place, row)
                if target is None or (len(target) > 1 and blank(target)):
                    pass
                elif weight == 1.0:
                    kernel.learn(place, target)
                else:
                    kernel.learn(place, target, weight)
        except DataError as error:
            raise self.features.refusal(row) from error
        except DivergedError as error:
            raise self.divergence(error) from None
        self.keys.used(key, place, self.n_rows)
        if self.settings.delay:
            self.late.rows[place] += 1
        self.n_rows += 1
        return head, outputs

    def learn_due(self) -> None:
        """Learn the targets that are due before the next row."""
        late = self.late
        while late.waiting and late.waiting[0].due <= self.n_rows:
            due = late.waiting.popleft()
            if late.belongs(due):
                self.learn_arrived(due)

    def learn_arrived(self, late: LateTarget) -> None:
        """Learn a target that has waited.

        Raises:
            DivergedError: errors are not finite.
        """
        self.kernel.learn(late.place, np.array(late.target), late.weight, self.late.back(late))

    def learn_late(self, y: Any, back: int, key: Any, weight: float) -> None:
        """Learn the target of a row that ``back`` rows of its key have followed.

        Raises:
            SettingError: targets of this model are never late.
            DataError, ShapeError: the target is bad, the key has no such row, or the row has its
                target already.
        """
        if not self.settings.delay:
            raise SettingError(
                "this model keeps no rows that wait for their targets",
                argument="delay",
                got=0,
                expected="at least 1",
                fix="create the model with {delay}, the most rows that may follow before a target",
            )
        place = self.keys.find(key, self.n_rows)
        if place is None or not 0 <= back < self.late.rows[place]:
            rows = 0 if place is None else int(self.late.rows[place])
            raise DataError(
                argument="back", got=back, expected=f"below {rows}, the rows of key {key!r} so far"
            )
        target = self.head.encode(y)
        if target is None:
            self.head = self.head.extended(y)
            self._adopt(self.features, self.head)
            target = self.head.encode(y)
        assert target is not None
        try:
            self.kernel.learn(place, target, weight, back)
        except DivergedError as error:
            raise self.divergence(error) from None
        except SettingError as error:
            raise DataError(
                f"the row {back} rows before the last of key {key!r} has its target already",
                argument="back",
                got=back,
            ) from error

    def remember(self, x: Any, key: Any) -> tuple[Head, Annotated[Floats, "O"]]:
        """Advance by a row whose target will come late, and remember it."""
        found = self.step(x, None, key, learn=False)
        place = self.keys.find(key, self.n_rows)
        assert place is not None
        row, begun = int(self.late.rows[place]) - 1, int(self.late.begun[place])
        self.remembered.append(RememberedRow(copy.copy(x), place, begun, row))
        while len(self.remembered) > (self.settings.delay + 1) * self.settings.streams:
            self.remembered.popleft()
        return found

    def recollect(self, x: Any, key: Any) -> tuple[int, int] | None:
        """Find the oldest remembered row of a key that is equal to ``x``.

        Returns:
            Its position among remembered rows, and how many rows of the key are younger. None:
            there is no such row.
        """
        place = self.keys.find(key, self.n_rows)
        for n, each in enumerate(self.remembered):
            if each.place == place and each.begun == self.late.begun[place] and each.is_of(x):
                return n, int(self.late.rows[place]) - 1 - each.row
        return None

    def peek(self, x: Any, key: Any) -> tuple[Head, Annotated[Floats, "O"]]:
        """Return the outputs at a row and the head that decodes them; changes nothing."""
        row = self.features.encode(x)
        if row is None:
            return self.copy().step(x, None, key, learn=False)
        place = self.keys.find(key, self.n_rows)
        try:
            return self.head, self.kernel.peek(self.blank if place is None else place, row)
        except DataError as error:
            raise self.features.refusal(row) from error
        except DivergedError as error:
            raise self.divergence(error) from None

    def _place_of(self, key: Any, row: Annotated[Floats, "columns"]) -> int:
        """Return the place of a key; assign one, with a reset state, if the row is accepted."""
        place = self.keys.find(key, self.n_rows)
        if place is not None:
            return place
        if not self.accepts(row):
            raise self.features.refusal(row)
        place, used = self.keys.take(key, self.n_rows)
        if used:
            self.renew(place)
        return place

    def renew(self, place: int) -> None:
        """Begin a new stream at a place that another has used."""
        self.kernel.reset(place)
        self.late.reset(place)

    def accepts(self, row: Annotated[Floats, "... columns"]) -> bool:
        """Return whether the kernel accepts these inputs."""
        size = np.abs(row)
        if self.kernel.streaming.missing:
            return not (size > LARGEST).any()
        return bool((size <= LARGEST).all())

    def extend(self, x: Any, y: Any) -> None:
        """Add inputs and outputs for what is new in a row and its target.

        Raises:
            DataError, ShapeError: the row or the target is bad; nothing has changed.
        """
        features = self.features.extended(x)
        row = features.encode(x)
        assert row is not None
        if not self.accepts(row):
            raise features.refusal(row)
        target = x if self.self_supervised else y
        head = self.head if target is None else self.head.extended(target)
        self._adopt(features, head)

    def _adopt(self, features: Features, head: Head) -> None:
        """Use other encoders, with a kernel of their size."""
        network = self.kernel.network
        if self.settings.network(features, head, self.fitted) != network:
            kernel = self._opened(features, head)
            grow_kernel(kernel, self.kernel)
            self.kernel = kernel
        self.features, self.head = features, head

    def reset(self, key: Any) -> None:
        """Discard the state of a key."""
        self.keys.find(key, self.n_rows)  # raises if the key is not hashable
        self.keys.forget(key)

    def copy(self) -> Engine:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def _opened(self, features: Features, head: Head) -> StreamKernel:
        """Create a kernel."""
        return self.settings.open(features, head, self.seed, self.fitted)

    def learned(self) -> Annotated[Bools, "V"]:
        """Return which numbers of a target have had a value; forecasts of others have no scale."""
        if self._all_learned:
            return np.ones(self.head.n_targets, bool)
        counts = self.kernel.n_observed
        if counts is None:
            counts = np.full(self.head.n_targets, self.kernel.n_updates)
        self._all_learned = bool((counts > 0).all())
        return counts > 0

    @property
    def nbytes(self) -> int:
        """Bytes of the kernel, without names and keys."""
        return self.kernel.nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "kernel": self.kernel.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.kernel = self._opened(self.features, self.head)
        self.kernel.restore(state["kernel"])

    def divergence(self, error: DivergedError) -> DivergedError:
        """Add the remedy to a kernel's error."""
        return error.recast(
            DivergedError,
            fix="continue from the last checkpoint by OnlineLSTM.load(path), with a "
            f"{{learning_rate}} below {self.kernel.rate:g}",
        )
