"""LSTMClassifier: classes of sequences, with an answer at every step."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d

from carrousel.checks import check_number
from carrousel.errors import SettingError
from carrousel.estimators.anytime.calibrate import calibrate, held_out, probabilities
from carrousel.estimators.anytime.early import StopRule, choose_rule
from carrousel.estimators.base import SequenceEstimator, Targets
from carrousel.estimators.data.checks import check_labels, check_two_classes
from carrousel.estimators.data.series import Source
from carrousel.estimators.documented import documented
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.fitting.inputs import At
from carrousel.estimators.labels import ClassWeight, declared_classes, encode, weights_of_classes
from carrousel.estimators.net.goals import ClassGoal
from carrousel.shapes import Array, Floats, Ints


@documented
class LSTMClassifier(ClassifierMixin, SequenceEstimator):
    """Classifies sequences of unequal length, with gaps, at their end or at every step.

    An ensemble of small nets: a causal convolution, an LSTM, and running means of their outputs.
    Each net learns to answer at every step, with random gaps in its training series, and holds out
    another part of them. The part judges its training and calibrates its probabilities. Equal
    series with equal labels count as one of their total weight, so that none is learned and held
    out, and a fit depends neither on the order of the series nor on repetitions.

    Args:
        calibrate: whether probabilities are calibrated by a temperature.
        early: cost of waiting for a step, when a wrong label costs 1; above 0. ``fit`` then chooses
            the rule of :meth:`predict_early` by held-out predictions. None: no rule.

    Attributes:
        classes_: ``[K]``, labels, sorted.
        stop_rule_: the rule of early decisions, if ``early`` is set.

    Raises:
        SettingError: in ``fit``, if a parameter is out of range, or ``early`` is set but no series
            are held out.

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000;
    the convolution next to the LSTM is that of Karim et al. 2018, made causal; the temperature of
    Guo et al. 2017; the costs of early decisions of Dachraoui, Bondu & Cornuejols 2015.

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(T, 1)) for T in rng.integers(3, 9, size=60)]
    >>> y = ["up" if x.mean() > 0 else "down" for x in X]
    >>> model = LSTMClassifier(hidden_size=8, members=1, max_steps=60, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.8, model.predict_proba(X, at="every step")[0].shape == (len(X[0]), 2)
    (True, True)
    """

    class_weight: ClassWeight
    calibrate: bool
    early: float | None
    _declared: Annotated[Array, "K"] | None = None  # classes given to partial_fit
    stop_rule_: StopRule
    _saved = ("classes_", "stop_rule_")

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        num_layers: int = 1,
        window: int = 8,
        bidirectional: bool = False,
        members: int = 3,
        max_steps: int | None = None,
        max_seconds: float | None = None,
        learning_rate: float = 3e-3,
        batch_size: int = 32,
        weight_decay: float = 1e-2,
        dropout: float = 0.2,
        gaps: float = 0.6,
        noise: float = 0.5,
        warp: float = 0.1,
        validation_fraction: float = 0.15,
        class_weight: ClassWeight = None,
        calibrate: bool = True,
        early: float | None = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self._keep(locals())

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None
    ) -> LSTMClassifier:
        """Train on labelled series.

        Args:
            X: ``N`` series, of at least one step each: a list of arrays ``[T_n, I]`` or ``[T_n]``,
                an array ``[N, T, I]``, a table ``[N, T]`` whose rows are series of one channel,
                texts or lists of symbols, or anything else that
                :func:`carrousel.estimators.data.containers.read_series` reads. NaN and None are
                missing values. A ``TableDataset`` is read from disk batch by batch; scales are
                those of all its rows, repeated series included.
            y: ``[N]``, labels: texts, whole numbers or truth values. None: the target column of a
                ``TableDataset``.
            sample_weight: ``[N]``, weights of the losses, at least 0; None: 1.
            groups: ``[N]``, what must not be divided between learned and held-out series, such as
                persons. None: the column of a ``TableDataset``, or none.

        Raises:
            DataError: labels are missing or all equal, a value is infinite, or there are fewer than
                two series.
            ShapeError: series differ in channels, or lengths of the arguments differ.
            SettingError: a parameter is out of range.
        """
        self._declared = None
        self._fit(X, y, sample_weight, groups, again=self.warm_start and hasattr(self, "ensemble_"))
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
    ) -> LSTMClassifier:
        """Continue to train on further series; the first call is a :meth:`fit`.

        A further call makes a tenth of the updates of a fit, or ``max_steps``. Scales, alphabet and
        classes stay those of the first call.

        Args:
            X, y, sample_weight, groups: as in :meth:`fit`.
            classes: all labels that can occur, for the first call; None: those in ``y``.

        Raises:
            DataError: a label is not among the classes; or as in :meth:`fit`.
        """
        again = hasattr(self, "ensemble_")
        if classes is not None:
            self._declare(declared_classes(classes), again)
        self._fit(X, y, sample_weight, groups, again=again)
        return self

    def _declare(self, classes: Annotated[Array, "K"], again: bool) -> None:
        if again and classes.tolist() != self.classes_.tolist():
            raise SettingError(
                f"classes are {classes.tolist()}, but the model has {self.classes_.tolist()}",
                argument="classes",
                got=classes.tolist(),
                fix="give the same {classes} in each call, or call fit",
            )
        self._declared = classes

    def _read_targets(
        self, y: Any, series: Source, weights: Annotated[Floats, "N"], *, again: bool
    ) -> Targets:
        if np.asarray(y).shape[1:] == (1,):
            column_or_1d(y, warn=True)
        labels = check_labels(y, series, one_class=True)
        classes, codes = encode(labels, self.classes_ if again else self._declared)
        present = np.unique(codes[weights > 0])
        if len(present) < 2 and not again and self._declared is None:
            check_two_classes(classes[present].tolist())
        self.classes_ = classes
        factors = weights_of_classes(self.class_weight, classes, codes, weights)
        return Targets(codes, codes, weights * factors[codes], ClassGoal(len(classes)))

    def _finish(self, examples: Examples) -> None:
        if self.calibrate:
            calibrate(self.ensemble_, examples.series, examples.targets)
        vars(self).pop("stop_rule_", None)
        if self.early is not None:
            held = held_out(self.ensemble_, examples.series)
            self.stop_rule_ = choose_rule(
                held.probabilities(self.ensemble_.temperature),
                examples.targets[held.indices],
                step_cost=self.early,
                weights=examples.weights[held.indices],
            )

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.early is None:
            return
        check_number("early", self.early, above=0.0)
        if self.validation_fraction == 0:
            raise SettingError(
                "early is set, but no series are held out by which to choose a rule",
                argument="early",
                got=self.early,
                fix="set {validation_fraction=0.15}",
            )

    def predict_proba(self, X: Any, at: At = "end") -> Any:
        """Return the probability of each class, the mean over the members of the ensemble.

        Args:
            X: series with the channels of training.
            at: ``"end"``; ``"every step"``; a whole number, steps of each series that are used; or
                a float up to 1.0, the share of the steps of each series that is used.

        Returns:
            float64 ``[N, K]``, columns in the order of ``classes_``. For ``"every step"``, a list
            of ``N`` arrays ``[T_n, K]``: row ``t`` depends on the first ``t + 1`` steps alone,
            unless the model is bidirectional.

        Raises:
            ShapeError: channels differ from those of training.
            SettingError: ``at`` is none of these.
            NotFittedError: the model is not fitted.
        """
        series, outputs = self._outputs(X, at)
        found = probabilities(outputs, self.ensemble_.temperature)
        return np.split(found, series.offsets[1:-1]) if at == "every step" else found

    def predict(self, X: Any, at: At = "end") -> Any:
        """Return the most probable class.

        Arguments and exceptions are those of :meth:`predict_proba`.

        Returns:
            Labels ``[N]``; for ``"every step"``, a list of ``N`` arrays ``[T_n]``.
        """
        found = self.predict_proba(X, at)
        if isinstance(found, list):
            return [self.classes_[each.argmax(1)] for each in found]
        return self.classes_[found.argmax(1)]

    def predict_early(self, X: Any) -> tuple[Annotated[Array, "N"], Annotated[Ints, "N"]]:
        """Return the label decided for as early as the costs allow, and the steps it took.

        Args:
            X: series with the channels of training.

        Returns:
            Labels ``[N]``, and the steps of each series that were used, ``[N]``.

        Raises:
            SettingError: ``early`` was None in ``fit``.
            ShapeError: channels differ from those of training.
            NotFittedError: the model is not fitted.
        """
        every = self.predict_proba(X, at="every step")
        if not hasattr(self, "stop_rule_"):
            raise SettingError(
                "early is None, so fit chose no rule of early decisions",
                argument="early",
                got=None,
                fix="set {early=0.01}, the cost of a step, and call fit",
            )
        steps = self.stop_rule_.all_steps(every)
        best = [p[n - 1].argmax() for p, n in zip(every, steps, strict=True)]
        return self.classes_[best], steps

    def decision_function(self, X: Any) -> Annotated[Floats, "N"] | Annotated[Floats, "N K"]:
        """Return log probabilities ``[N, K]``; for two classes their difference ``[N]``."""
        logs = np.log(np.maximum(self.predict_proba(X), np.finfo(np.float64).tiny))
        return logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs
