"""Ensemble: nets trained on different parts of the data, and their common outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import torch

from carrousel.errors import DivergedError
from carrousel.estimators.data.series import Series
from carrousel.estimators.net.batches import in_order
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.goals import Goal
from carrousel.estimators.net.train import Member
from carrousel.shapes import Floats

# Matrix products treat the rows of an incomplete tile in another order of additions. With whole
# tiles, the outputs of a series do not depend on the other series of a call.
_TILE = 24
_BATCH = 10 * _TILE


@dataclass(eq=False)
class Ensemble:
    """Trained nets with their features and the meaning of their outputs.

    Args:
        features: inputs of the nets.
        goal: meaning of the outputs.
        members: the nets.
        temperature: divisor of logits, learned on held-out series.
    """

    features: Features
    goal: Goal
    members: list[Member]
    temperature: float = 1.0
    details: dict[str, Any] = field(default_factory=dict)

    @torch.no_grad()
    def outputs(
        self, series: Series, at: Literal["end", "every step"] = "end"
    ) -> Annotated[Floats, "N members O"]:
        """Return the raw outputs of every member.

        Args:
            series: checked series.
            at: ``"end"``: ``[N, members, O]``; ``"every step"``: ``[steps, members, O]`` in the
                order of ``series.values``.

        Raises:
            DataError: a value is too far from those of training.
            DivergedError: an output is not finite.
        """
        every = at == "every step"
        shape = (series.n_steps if every else len(series), len(self.members), self.goal.n_outputs)
        out = np.empty(shape, np.float32)
        for some in in_order(series.lengths, _BATCH):
            some = np.concatenate([some, np.repeat(some[-1:], -len(some) % _TILE)])
            inputs, lengths = self.features.batch(series, some)
            x, n = torch.from_numpy(inputs), torch.from_numpy(lengths)
            for m, member in enumerate(self.members):
                found = member.net(x, n).numpy()  # [T, B, O]
                if not every:
                    out[some, m] = found[lengths - 1, np.arange(len(some))]
                    continue
                for column, one in enumerate(some):
                    low, high = series.offsets[one], series.offsets[one + 1]
                    out[low:high, m] = found[: high - low, column]
        if not np.isfinite(out).all():
            raise DivergedError(
                "outputs of the nets are not finite",
                fix="train with a smaller {learning_rate}, {weight_decay} and {noise}",
            )
        return out
