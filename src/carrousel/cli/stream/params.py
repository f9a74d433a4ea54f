"""What the options of `carrousel stream` mean for the model and for the evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carrousel.cli.flags.option import listed
from carrousel.errors import SettingError

if TYPE_CHECKING:
    from carrousel.online import OnlineLSTM

STREAMS = 1000
"""Default number of streams kept at a time."""
LEVELS = (0.8, 0.9, 0.95)
"""Levels of the intervals that are tracked without ``--level``, as in Python."""
MOST_WAITING, MOST_WAITING_BY_KEY = 1000, 100
"""With ``--label-time`` alone: rows of a stream that wait for their targets."""


class StreamParams:
    """The part of ``StreamConfig`` that gives the arguments of other functions."""

    @property
    def periods(self: Any) -> str | tuple[int, ...] | None:
        """The parameter ``season`` of the model.

        Raises:
            SettingError: it is neither a word nor whole numbers.
        """
        if self.season in ("auto", "none"):
            return "auto" if self.season == "auto" else None
        try:
            return tuple(int(word) for word in listed(self.season))
        except ValueError:
            raise SettingError(
                argument="season",
                got=self.season,
                expected="auto, none, or numbers of rows such as 24,168",
            ) from None

    @property
    def most_waiting(self: Any) -> int:
        """The parameter ``delay`` of the model."""
        if self.delay or self.label_time is None:
            return self.delay
        return MOST_WAITING if self.key is None else MOST_WAITING_BY_KEY

    def columns(self: Any) -> dict[str, Any]:
        """Return the arguments of :func:`carrousel.online.evaluate` that are options too."""
        names = (
            *("target", "predict_next", "task", "key", "time", "ignore", "categories"),
            *("on_error", "anomaly", "window", "checkpoint", "checkpoint_every", "metrics_every"),
        )
        found = {name: getattr(self, name) for name in names}
        found |= {name: listed(found[name]) or None for name in ("target", "predict_next")}
        found |= {name: found[name] or () for name in ("ignore", "categories")}
        return found | {
            "calendar": not self.no_calendar,
            "level": self.level,
            "label_time": self.label_time,
        }

    def model_params(self: Any) -> dict[str, Any]:
        """Return the parameters of the model, except its task."""
        return {
            "cells": self.cells,
            "forget_gate": not self.no_forget_gate,
            "gradient": self.gradient,
            "optimizer": self.optimizer,
            "learning_rate": self.rate,
            "decay": self.decay or None,
            "standardise": "key" if self.scale_by_key else not self.no_standardise,
            "experts": None if self.no_experts else "auto",
            "season": self.periods,
            "ahead": self.ahead,
            "delay": self.most_waiting,
            "levels": LEVELS if self.level is None else (self.level,),
            "horizon": self.horizon,
            "missing": self.missing,
            "unseen": self.unseen,
            "streams": 1 if self.key is None else self.streams or STREAMS,
            "evict_after": self.evict_after,
            "random_state": self.seed,
        }

    def changes(self: Any) -> dict[str, Any]:
        """Return the parameters that a model from a file is given.

        With ``--start-from``, these are only the options with another value than their default.
        """
        found = self.model_params()
        if self.start_from is None:
            return found
        plain = type(self)().model_params()
        return {n: v for n, v in found.items() if v != plain[n] or n == "streams"}

    def create_model(self: Any, task: str) -> OnlineLSTM:
        """Create the model for a task."""
        from carrousel.online import OnlineLSTM

        create: Any = OnlineLSTM  # the values were checked when the options were parsed
        return create(task, **self.model_params())
