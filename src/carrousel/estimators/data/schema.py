"""Schema: what the channels of the training series were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from carrousel.errors import ShapeError
from carrousel.estimators.data.series import Series


@dataclass(frozen=True)
class Schema:
    """Channels of the training series."""

    channels: tuple[str, ...]

    @staticmethod
    def of(series: Series) -> Schema:
        """Return the schema of some series."""
        return Schema(series.channels)

    def check(self, series: Series) -> None:
        """Raise an error if ``series`` have other channels."""
        if len(series.channels) != len(self.channels):
            raise ShapeError(
                f"X has {len(series.channels)} channels, but the model was fitted to "
                f"{len(self.channels)}",
                argument="X",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> Schema:
        """Return the schema that :meth:`to_json` described."""
        return Schema(tuple(fields["channels"]))
