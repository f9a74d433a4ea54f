"""What a model on streams tells of itself, by the names that scikit-learn gives such things."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from carrousel.online.model.engine import Engine
from carrousel.online.model.features import Named
from carrousel.online.model.heads import as_array


class Attributes:
    """Read-only; those that end in an underscore exist once the model has met a row."""

    _engine: Engine | None

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """Keys of the streams that live, the least recently used first."""
        engine = self._engine
        return () if engine is None else engine.keys.live(engine.now)

    @property
    def nbytes(self) -> int:
        """Bytes of weights, running means, states and traces; they do not grow with time."""
        return 0 if self._engine is None else self._engine.nbytes

    @property
    def n_steps_(self) -> int:
        """Rows taken so far."""
        return 0 if self._engine is None else self._engine.now

    @property
    def n_features_in_(self) -> int:
        """Features of a row."""
        return self._there("n_features_in_").reader.n_features

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of features in the order of first sight, where rows have names."""
        reader = self._there("feature_names_in_").reader
        if not isinstance(reader, Named):
            raise AttributeError("feature_names_in_: rows of this model have no names")
        names = np.empty(len(reader.places), object)
        names[:] = list(reader.places)
        return names

    @property
    def classes_(self) -> np.ndarray:
        """Classes known so far, in the order of the columns of ``predict_proba``."""
        head = self._there("classes_").head
        if head.kind == "linear":
            raise AttributeError("classes_: targets of this model are numbers")
        return as_array(head.named)

    def _there(self, name: str) -> Engine:
        if self._engine is None:
            raise AttributeError(f"{name}: the model has met no row yet")
        return self._engine
