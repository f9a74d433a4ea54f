"""Base class of estimators that learn a target: training, outputs, streams, explanations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from carrousel.checks import check_choice
from carrousel.errors import DataError, SettingError
from carrousel.estimators.anytime.stream import LiveSeries
from carrousel.estimators.data.checks import check_groups, check_weights
from carrousel.estimators.data.larger import TableDataset
from carrousel.estimators.data.series import Series, Source
from carrousel.estimators.data.views import blocks
from carrousel.estimators.explain.explain import Explanation, explain
from carrousel.estimators.explain.occlusion import Importances, feature_importances
from carrousel.estimators.fitting.examples import Examples, numbered
from carrousel.estimators.fitting.inputs import (
    At,
    check_source,
    features_of,
    first_steps,
    read_again,
    read_source,
    schema_of,
)
from carrousel.estimators.fitting.members import train_members
from carrousel.estimators.fitting.parts import bounded_fraction
from carrousel.estimators.net.augment import Augmentation
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.goals import Goal
from carrousel.estimators.net.net import NetConfig, usual_dilation
from carrousel.estimators.net.train import TrainConfig, default_steps
from carrousel.estimators.settings import NetEstimator
from carrousel.estimators.targets import Units
from carrousel.shapes import Array, Floats, Ints

_STEPS_JUDGED = 2**18
_LEAST_JUDGED = 24
"""Held-out steps, and at least so many series, by which channels are judged at the end of a fit.

The time for them is a small part of that of the training.
"""


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets as they were read.

    Args:
        values: ``[N, ...]``, or ``[steps, ...]`` if ``goal.per_step``.
        strata: ``[N]``, classes of which held-out parts have their share.
        weights: ``[N]``, weights of the series.
        goal: the objective.
    """

    values: Array
    strata: Annotated[Ints, "N"]
    weights: Annotated[Floats, "N"]
    goal: Goal


class SequenceEstimator(NetEstimator, ABC):
    """Estimators that learn a target ``y`` of each series, or of each step."""

    classes_: Annotated[Array, "K"]

    @abstractmethod
    def _read_targets(
        self, y: Any, series: Source, weights: Annotated[Floats, "N"], *, again: bool
    ) -> Targets:
        """Check ``y``, set attributes about it unless ``again``, and return it as numbers."""

    def _prepared(self, examples: Examples, *, again: bool) -> Examples:
        """Return examples as nets learn them; sets scales of targets unless ``again``."""
        return examples

    def _finish(self, examples: Examples) -> None:
        """Fit what follows the nets, such as a temperature, to held-out examples."""

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, *, again: bool = False
    ) -> SequenceEstimator:
        """Train an ensemble; ``again``: from the weights of the present one."""
        self._check_settings()
        series = read_source(self, X, fitted=again)
        check_source(series)
        if isinstance(series, TableDataset):
            y = series.targets() if y is None else y
            groups = series.groups if groups is None else groups
        weights = check_weights(sample_weight, series)
        targets = self._read_targets(y, series, weights, again=again)
        examples = Examples(
            series,
            targets.values,
            targets.weights,
            targets.strata,
            numbered(check_groups(groups, series)),
            targets.goal.per_step,
        ).distinct()
        examples = self._prepared(examples, again=again)
        if len(series) < 2 and not again:
            raise DataError("X has 1 sample, expected at least 2 series", argument="X")
        features = self.ensemble_.features if again else features_of(series, examples.series)
        members = train_members(
            examples,
            targets.goal,
            features,
            self._sizes(features, targets.goal, examples.series.lengths),
            self._training(examples.series.lengths, again),
            members=self.members,
            fraction=bounded_fraction(self.validation_fraction, examples.series.lengths),
            rng=self._rng(),
            n_jobs=self.n_jobs,
            start=[member.net for member in self.ensemble_.members] if again else None,
            verbose=self.verbose,
        )
        self._keep_ensemble(Ensemble(features, targets.goal, members))
        if not again:
            self.schema_ = schema_of(series)
        held = np.stack([member.held for member in members], axis=1)
        self.held_out_ = examples.held_out(held)
        self._finish(examples)
        self._judge_channels(examples)
        return self

    def _sizes(self, features: Features, goal: Goal, lengths: Annotated[Ints, "N"]) -> NetConfig:
        return NetConfig(
            features.n_inputs,
            goal.n_outputs,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            window=self.window,
            dilation=usual_dilation(lengths, self.window),
            bidirectional=bool(self.bidirectional),
            dropout=self.dropout,
            n_symbols=features.n_symbols,
        )

    def _training(self, lengths: Annotated[Ints, "N"], again: bool) -> TrainConfig:
        """Return the settings of training; a model that continues needs a tenth of the updates."""
        steps = self.max_steps
        if steps is None and again:
            steps = max(1, default_steps(lengths, self.batch_size) // 10)
        changes = Augmentation(self.gaps, self.warp, self.noise, 0.7 * self.noise)
        return self._train_config(steps, changes)

    def _read_new(self, X: Any) -> Series:
        """Read series that the fitted model is applied to, with the alphabet of training."""
        check_is_fitted(self, "ensemble_")
        return read_again(self, X)

    def _outputs(self, X: Any, at: At) -> tuple[Source, Annotated[Floats, "N members O"]]:
        """Return the series that were read, and the outputs of every member (float64)."""
        check_is_fitted(self, "ensemble_")
        if isinstance(at, str):
            check_choice("at", at, ("end", "every step"))
        series = read_source(self, X, fitted=True)
        if isinstance(series, TableDataset):
            parts = (series.take(some) for some in blocks(series.lengths))
        else:
            parts = (series,)
        found = [self._outputs_of(part, at) for part in parts]
        return series, found[0] if len(found) == 1 else np.concatenate(found)

    def _outputs_of(self, series: Series, at: At) -> Annotated[Floats, "N members O"]:
        if at == "every step":
            return self.ensemble_.outputs(series, "every step").astype(np.float64)
        if not isinstance(at, str):
            series = first_steps(series, at)
        return self.ensemble_.outputs(series).astype(np.float64)

    def _units(self) -> Units | None:
        """Return the units of the targets; None if outputs are logits of classes."""
        return None

    def stream(self) -> LiveSeries:
        """Return predictions for one series that arrives row by row, in constant memory.

        Its ``push(row)`` returns what :meth:`predict_proba` returns for the rows so far, or the
        values of :meth:`predict`, up to the rounding of float32. For classes, its ``label`` is the
        most probable one. With a stop rule (``early``), its ``decision.label`` is the one decided
        for, or None until then: a series may end before it. Further fits do not change it.

        Raises:
            SettingError: the model is bidirectional, so that it needs the end of a series first.
            NotFittedError: the model is not fitted.
        """
        check_is_fitted(self, "ensemble_")
        units = self._units()
        if units is not None:
            return LiveSeries(self.ensemble_, symbols=self.schema_.symbols, answer=units.values)
        return LiveSeries(
            self.ensemble_,
            symbols=self.schema_.symbols,
            labels=self.classes_,
            rule=getattr(self, "stop_rule_", None),
        )

    def explain(self, x: Any, *, step: int = -1, output: Any = None) -> Explanation:
        """Return which steps and channels of one series an answer depends on.

        Args:
            x: one series with the channels of training: an array ``[T, I]`` or ``[T]``, a text, or
                anything else that is an entry of the list ``X`` of :meth:`fit`.
            step: index of the step whose answer is explained; negative: from the end.
            output: a label, or the position of a target. None: the most probable label, or the
                first target.

        Returns:
            Shares of the steps, which add up exactly: to logits (mean over members, before
            calibration) in the order of ``classes_``, or to values in the units of ``y``.

        Raises:
            SettingError: there is no such step, label or target.
            DataError: ``x`` holds several series.
            ShapeError: channels differ from those of training.
            NotFittedError: the model is not fitted.
        """
        series = self._read_new(x if isinstance(x, Series) else [x])
        units = self._units()
        if units is not None:
            found = explain(
                self.ensemble_, series, step=step, output=0 if output is None else output
            )
            return found.scaled(units.scale, units.mean)
        classes = self.classes_.tolist()
        if output is not None and output not in classes:
            raise SettingError(argument="output", got=output, expected=f"one of {classes}")
        number = None if output is None else classes.index(output)
        return explain(self.ensemble_, series, step=step, output=number)

    def importances(
        self, X: Any, y: Any, sample_weight: Any = None, *, lags: Sequence[int] | None = None
    ) -> Importances:
        """Return how much worse predictions become when a channel is hidden, as a whole and by lag.

        Args:
            X, y, sample_weight: as in :meth:`fit`; series that were not learned, if possible.
            lags: limits of bands of lags, increasing, from 0 (the last step). None: 0, 1, 2, 4, 8,
                ... up to the longest series; none for a tagger. Empty: none.

        Returns:
            Increases of the mean loss of the members: cross-entropy in nats before calibration, or
            the squared error of standardised targets.

        Raises:
            DataError: a label is not among the classes, or no target counts.
            ShapeError: channels differ from those of training, or lengths differ.
            SettingError: ``lags`` do not increase, or are given to a tagger.
            NotFittedError: the model is not fitted.

        Source: Breiman 2001 for the idea; Zeiler & Fergus 2014 for occlusion.
        """
        series = self._read_new(X)
        weights = check_weights(sample_weight, series)
        given = self._read_targets(y, series, weights, again=True)
        examples = self._prepared(
            Examples(series, given.values, given.weights, given.strata, None, given.goal.per_step),
            again=True,
        )
        return feature_importances(
            self.ensemble_, series, examples.targets, weights=examples.weights, lags=lags
        )

    def _judge_channels(self, examples: Examples) -> None:
        """Set ``feature_importances_`` by some held-out series, if any has a target."""
        vars(self).pop("feature_importances_", None)
        held = np.stack([member.held for member in self.ensemble_.members], axis=1)
        chosen = np.flatnonzero(held.any(axis=1))
        if not len(chosen):
            return
        steps = examples.series.lengths[chosen].mean() * (1 + examples.series.n_channels)
        chosen = chosen[: max(_LEAST_JUDGED, int(_STEPS_JUDGED / steps))]  # their order is random
        some, series = examples.take(chosen), examples.series.take(chosen)
        try:
            self.feature_importances_ = feature_importances(
                self.ensemble_,
                series,
                some.targets,
                weights=some.weights,
                used=held[chosen],
                lags=(),
            ).whole
        except DataError:  # none of them has a target that counts
            return
