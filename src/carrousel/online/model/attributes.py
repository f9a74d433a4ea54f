"""Read-only attributes of a model, named as in scikit-learn."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from carrousel.online.model.encoding.features import NamedFeatures
from carrousel.online.model.encoding.heads import as_array
from carrousel.online.model.engine import Engine


class Attributes:
    """Read-only attributes; names with a final underscore exist after the first row."""

    _engine: Engine | None

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """Keys of the streams that have a state, least recently used first."""
        engine = self._engine
        return () if engine is None else engine.keys.live(engine.n_rows)

    @property
    def n_keys_(self) -> int:
        """Number of keys that have a state."""
        engine = self._engine
        return 0 if engine is None else engine.keys.count(engine.n_rows)

    @property
    def n_evicted_(self) -> int:
        """Number of times that a key lost its state, to another key or by ``evict_after``."""
        return 0 if self._engine is None else self._engine.keys.evicted

    @property
    def nbytes(self) -> int:
        """Bytes of weights, running means, states and traces; constant over time."""
        return 0 if self._engine is None else self._engine.nbytes

    @property
    def n_steps_(self) -> int:
        """Number of rows run so far."""
        return 0 if self._engine is None else self._engine.n_rows

    @property
    def n_lost_(self) -> int:
        """Number of late targets that were not learned.

        They came more than ``delay`` rows late, or their key had lost its state.
        """
        engine = self._engine
        return 0 if engine is None else engine.kernel.lost + engine.late.lost

    def lead_errors(self) -> tuple[float | None, ...]:
        """Return the mean absolute error of each lead so far, over all targets.

        Empty unless ``ahead`` is above 1; None: no forecast of that lead has met its target.
        """
        engine = self._engine
        if engine is None or engine.settings.ahead == 1:
            return ()
        sums, counts = engine.kernel.rule_errors.T.reshape(2, -1, engine.settings.ahead)
        totals = zip(sums.sum(0).tolist(), counts.sum(0).tolist(), strict=True)
        return tuple(total / n if n else None for total, n in totals)

    @property
    def n_features_in_(self) -> int:
        """Number of features of a row."""
        return self._started("n_features_in_").features.n_features

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Feature names in the order of their first occurrence; only where rows are mappings."""
        features = self._started("feature_names_in_").features
        if not isinstance(features, NamedFeatures):
            raise AttributeError("feature_names_in_: features of this model have no names")
        names = np.empty(len(features.columns), object)
        names[:] = list(features.columns)
        return names

    @property
    def classes_(self) -> np.ndarray:
        """Known classes, in the order of the columns of ``predict_proba``."""
        head = self._started("classes_").head
        if head.kind == "linear":
            raise AttributeError("classes_: targets of this model are numbers")
        return as_array(head.classes)

    def _started(self, name: str) -> Engine:
        if self._engine is None:
            raise AttributeError(f"{name}: the model has not seen a row yet")
        return self._engine
