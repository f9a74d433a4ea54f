"""LSTMTagger: a label, or values, for every step of a sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from carrousel.checks import check_choice
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.anytime.calibrate import probabilities
from carrousel.estimators.base import SequenceEstimator, Targets
from carrousel.estimators.data.checks import check_magnitudes, check_two_classes, check_weights
from carrousel.estimators.data.series import Source
from carrousel.estimators.documented import documented
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.fitting.inputs import read_inputs
from carrousel.estimators.labels import ClassWeight, encode, known_labels, weights_of_classes
from carrousel.estimators.net.goals import StepValueGoal, TagGoal
from carrousel.estimators.targets import Units, join_steps, scales
from carrousel.shapes import Array, Floats

Task = Literal["labels", "values"]
TASKS = ("labels", "values")
_TABLE: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}


@documented
class LSTMTagger(SequenceEstimator):
    """Labels every step of sequences of unequal length, or predicts values for every step.

    The nets are those of :class:`carrousel.LSTMClassifier`, with a loss at each step that has a
    target. Probabilities of labels are not calibrated.

    Args:
        task: ``"labels"``, or ``"values"``: ``y`` holds numbers.
        bidirectional: whether a second LSTM reads from the end. ``"auto"``: yes. False: the label
            of a step depends on the steps up to it alone, so it is known while a series arrives
            (:meth:`stream`).

    Attributes:
        classes_: ``[K]``, labels (``task="labels"``).
        target_mean_, target_scale_: ``[K]``, by which values are standardised (``"values"``).

    Raises:
        SettingError: in ``fit``, if a parameter is out of range, or values have a class weight.

    Source: as :class:`carrousel.LSTMClassifier`.

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(T, 1)) for T in rng.integers(3, 9, size=60)]
    >>> y = [np.where(x[:, 0] > 0, "high", "low") for x in X]
    >>> model = LSTMTagger(hidden_size=8, members=1, max_steps=60, random_state=0).fit(X, y)
    >>> model.classes_.tolist(), len(model.predict(X)[0]) == len(X[0]), model.score(X, y) > 0.8
    (['high', 'low'], True, True)
    """

    task: Task
    class_weight: ClassWeight
    target_mean_: Annotated[Floats, "K"]
    target_scale_: Annotated[Floats, "K"]
    _flat: bool
    _saved = ("classes_", "target_mean_", "target_scale_", "_flat")

    def __init__(
        self,
        *,
        task: Task = "labels",
        hidden_size: int = 64,
        num_layers: int = 1,
        window: int = 8,
        bidirectional: bool | Literal["auto"] = "auto",
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
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self._keep(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> LSTMTagger:
        """Train on series whose steps are labelled, all or some of them.

        Args:
            X: ``N`` series, of at least one step each.
            y: one array per series: labels ``[T_n]``, where None, NaN or, among whole numbers, -1
                means no label; or values ``[T_n]`` or ``[T_n, K]``, where NaN means no value.
            sample_weight: ``[N]``, weights of the series, at least 0; None: 1.
            groups: ``[N]``, what must not be divided between learned and held-out series.

        Raises:
            DataError: no step has a label, all have the same, or there are fewer than two series.
            ShapeError: lengths differ; the message names the series.
            SettingError: a parameter is out of range.
        """
        again = self.warm_start and hasattr(self, "ensemble_")
        self._fit(X, y, sample_weight, groups, again=again)
        return self

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> LSTMTagger:
        """Continue to train on further series; the first call is a ``fit``.

        A further call makes a tenth of the updates of a fit, or ``max_steps``. Classes and scales
        stay those of the first call. Arguments and exceptions are those of :meth:`fit`.
        """
        self._fit(X, y, sample_weight, groups, again=hasattr(self, "ensemble_"))
        return self

    def _check_settings(self) -> None:
        super()._check_settings()
        check_choice("task", self.task, TASKS)
        if self.task == "values" and self.class_weight is not None:
            raise SettingError(
                "class_weight is set, but task='values' has no classes",
                argument="class_weight",
                got=self.class_weight,
                fix="leave out {class_weight}",
            )

    def _read_targets(
        self, y: Any, series: Source, weights: Annotated[Floats, "N"], *, again: bool
    ) -> Targets:
        steps = join_steps(y, series)
        if self.task == "values":
            return self._values(steps, series, weights, again)
        return self._labels(steps, series, weights, again)

    def _values(
        self, steps: Array, series: Source, weights: Annotated[Floats, "N"], again: bool
    ) -> Targets:
        table = check_array(
            steps.reshape(len(steps), -1),
            **_TABLE,
            input_name="y",
        )
        if again and table.shape[1] != len(self.target_mean_):
            raise ShapeError(
                f"y has {table.shape[1]} values for each step, but the model was fitted to "
                f"{len(self.target_mean_)}",
                argument="y",
            )
        owner = np.repeat(np.arange(len(series)), series.lengths)
        check_magnitudes(table, lambda step: f"a step of {series.name(int(owner[step]))}")
        if not again:
            self._flat = steps.ndim == 1
        strata = np.zeros(len(series), np.int64)
        return Targets(table, strata, weights, StepValueGoal(table.shape[1]))

    def _prepared(self, examples: Examples, *, again: bool) -> Examples:
        if self.task == "labels":
            return examples
        if not again:
            of_steps = np.repeat(examples.weights, examples.series.lengths)
            self.target_mean_, self.target_scale_ = scales(examples.targets, of_steps)
        scaled = (examples.targets - self.target_mean_) / self.target_scale_
        return replace(examples, targets=scaled.astype(np.float32))

    def _labels(
        self, steps: Array, series: Source, weights: Annotated[Floats, "N"], again: bool
    ) -> Targets:
        labels, known = known_labels(steps)
        if not known.any():
            raise DataError("no step in y has a label", argument="y")
        if not again:
            check_two_classes(labels[known].tolist())
        classes, found = encode(labels[known], self.classes_ if again else None)
        self.classes_ = classes
        codes = np.full(len(labels), -1)
        codes[known] = found
        of_steps = np.repeat(weights, series.lengths)[known]
        factors = weights_of_classes(self.class_weight, classes, found, of_steps)
        goal = TagGoal(len(classes), weights=None if (factors == 1).all() else tuple(factors))
        return Targets(codes, np.zeros(len(series), np.int64), weights, goal)

    def predict_proba(self, X: Any) -> list[Annotated[Floats, "T K"]]:
        """Return the probability of each label at every step.

        Args:
            X: series with the channels of training.

        Returns:
            A list of ``N`` arrays ``[T_n, K]`` (float64), columns in the order of ``classes_``.

        Raises:
            SettingError: the model predicts values.
            ShapeError: channels differ from those of training.
            NotFittedError: the model is not fitted.
        """
        series, outputs = self._outputs(X, "every step")
        if self.task == "values":
            raise SettingError(
                "a tagger of values has no probabilities", fix="call predict, or set {task=labels}"
            )
        return np.split(probabilities(outputs), series.offsets[1:-1])

    def predict(self, X: Any) -> list[Annotated[Array, "T ..."]]:
        """Return the most probable label, or the values, of every step.

        Args:
            X: series with the channels of training.

        Returns:
            A list of ``N`` arrays: labels ``[T_n]``, or values ``[T_n]`` or ``[T_n, K]``.

        Raises:
            ShapeError: channels differ from those of training.
            NotFittedError: the model is not fitted.
        """
        units = self._units()
        if units is None:
            return [self.classes_[each.argmax(1)] for each in self.predict_proba(X)]
        series, outputs = self._outputs(X, "every step")
        return np.split(units.values(outputs), series.offsets[1:-1])

    def _units(self) -> Units | None:
        if self.task == "labels":
            return None
        return Units(self.target_mean_, self.target_scale_, self._flat)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of labelled steps whose label is right, or R squared of values.

        Args:
            X: series with the channels of training.
            y: targets as in :meth:`fit`; steps without one do not count.
            sample_weight: ``[N]``, weights of the series.

        Raises:
            DataError: no step has a target.
            ShapeError: lengths differ.
        """
        check_is_fitted(self, "ensemble_")
        series = read_inputs(self, X, reset=False)
        steps, found = join_steps(y, series), np.concatenate(self.predict(X))
        weights = np.repeat(check_weights(sample_weight, series), series.lengths)
        if self.task == "labels":
            steps, known = known_labels(steps)
        else:
            known = np.isfinite(steps).reshape(len(steps), -1).all(1)
        if not known.any():
            raise DataError("no step in y has a target", argument="y")
        metric = accuracy_score if self.task == "labels" else r2_score
        true = steps[known]
        if true.dtype == object:
            true = np.array(true.tolist())  # not of the type of classes, which may be shorter
        return float(metric(true, found[known], sample_weight=weights[known]))
