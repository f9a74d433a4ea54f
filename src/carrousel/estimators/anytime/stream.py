"""LiveSeries: predictions of an ensemble for one series that arrives row by row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.errors import SettingError
from carrousel.estimators.anytime.calibrate import probabilities
from carrousel.estimators.anytime.early import StopRule
from carrousel.estimators.anytime.stepping import FeatureStep, NetStep
from carrousel.estimators.data.series import Series
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.goals import ClassGoal, TagGoal
from carrousel.shapes import Floats


class LiveSeries:
    """Predictions at every step of a series, while it arrives.

    A row costs the same at any time and no memory: the last ``window`` rows, the state of the LSTM
    and running sums are all that is kept. The results are those of
    ``ensemble.outputs(series, at="every step")``, up to the rounding of float32.

    Args:
        ensemble: nets that read forwards.
        symbols: the alphabet, in the order of training, if rows are symbols; None: rows are the
            numbers of symbols.
        answer: converts outputs ``[members, O]`` to what :meth:`push` returns. None: class
            probabilities ``[K]`` for goals of classes, else the mean over members ``[O]``.
        rule: when to decide for a class; only for goals of a class for each series.

    Attributes:
        decision: a :class:`carrousel.estimators.anytime.early.Watch`, whose ``label`` is the class
            decided for, or None until then; None without a rule.

    Raises:
        SettingError: the nets are bidirectional, or a live step does not compute all their parts.

    >>> from carrousel.estimators.net.features import Features
    >>> from carrousel.estimators.net.net import AnytimeNet, NetConfig
    >>> from carrousel.estimators.net.train import Member
    >>> series = Series.of([[[1.0], [2.0], [4.0]]])
    >>> features = Features.fit(series)
    >>> net = AnytimeNet(NetConfig(features.n_inputs, 2)).eval()
    >>> ensemble = Ensemble(features, ClassGoal(2), [Member(net, [], np.zeros(1, bool))])
    >>> live = LiveSeries(ensemble)
    >>> for row in series.values:
    ...     p = live.push(row)
    >>> p.shape, live.n_steps, bool(abs(p.sum() - 1) < 1e-6)
    ((2,), 3, True)
    """

    def __init__(
        self,
        ensemble: Ensemble,
        *,
        symbols: Sequence[Hashable] | None = None,
        answer: Callable[[Annotated[Floats, "members O"]], Any] | None = None,
        rule: StopRule | None = None,
    ) -> None:
        if rule is not None and (answer or not isinstance(ensemble.goal, ClassGoal)):
            raise SettingError(
                "a rule needs class probabilities of whole series",
                argument="rule",
                fix="leave {rule} and {answer} out, or fit a classifier",
            )
        self._features = FeatureStep(ensemble.features)
        self._nets = [NetStep(member.net) for member in ensemble.members]
        n_symbols = ensemble.features.n_symbols
        if symbols is not None and len(symbols) != n_symbols:
            raise SettingError(
                f"symbols has {len(symbols)} entries, but training had {n_symbols} symbols",
                argument="symbols",
            )
        self._numbers = None if symbols is None else {s: n for n, s in enumerate(symbols)}
        self._outputs = np.zeros((len(self._nets), ensemble.goal.n_outputs), np.float32)
        self._answer = answer or _answer_of(ensemble)
        self.decision = None if rule is None else rule.watch()
        _check_against_batch(ensemble, self)

    @property
    def n_steps(self) -> int:
        """Rows since the series began."""
        return self._nets[0].n_steps

    def reset(self) -> None:
        """Begin a new series."""
        self._features.reset()
        for net in self._nets:
            net.reset()
        if self.decision is not None:
            self.decision.reset()

    def push(self, row: Any, time: float | None = None) -> Any:
        """Take the next row and return the prediction from the rows so far.

        Args:
            row: ``[I]`` values, NaN where one is missing; or a symbol (unknown ones count as
                missing).
            time: of the row, larger than the one before, in the unit of training; None: one usual
                step later. Ignored if training had no times.

        Returns:
            The answer; by default class probabilities ``[K]`` or values ``[O]``, a new array.

        Raises:
            ShapeError: the row has more or fewer values than the series of training.
            DataError: a value is infinite, or time does not increase. The series is unchanged.
        """
        answer = self._answer(self.outputs(row, time))
        if self.decision is not None:
            self.decision.push(answer)
        return answer

    def outputs(self, row: Any, time: float | None = None) -> Annotated[Floats, "members O"]:
        """Take the next row and return raw outputs in a buffer that the next row overwrites."""
        if self._numbers is not None:
            row = self._numbers.get(row, -1)
        inputs = self._features.run(row, time)
        for out, net in zip(self._outputs, self._nets, strict=True):
            out[:] = net.run(inputs)
        return self._outputs


def _answer_of(ensemble: Ensemble) -> Callable[[Annotated[Floats, "members O"]], Any]:
    if isinstance(ensemble.goal, ClassGoal | TagGoal):
        temperature = ensemble.temperature
        return lambda outputs: probabilities(outputs, temperature)
    return lambda outputs: outputs.mean(axis=0)


def _check_against_batch(ensemble: Ensemble, live: LiveSeries) -> None:
    """Check one random series with gaps: a live step must compute what the nets compute.

    Raises:
        SettingError: it does not.
    """
    rng, f = np.random.default_rng(0), ensemble.features
    T = 2 * max(member.net.config.window for member in ensemble.members) + 3
    if f.n_symbols:
        values = rng.integers(-1, f.n_symbols, T).astype(np.int32)
        symbols = tuple(range(f.n_symbols))
        series = Series(values, np.array([0, T]), ("symbol",), symbols=symbols)
    else:
        values = f.mean + f.scale * rng.standard_normal((T, len(f.mean)))
        values[rng.random(values.shape) < 0.3] = np.nan
        times = np.cumsum(f.unit * rng.uniform(0.5, 2.0, T)) if f.timed else None
        series = Series.of([values], times=times)
    expected = ensemble.outputs(series, "every step")
    numbers, live._numbers = live._numbers, None
    found = np.empty_like(expected)
    for t in range(T):
        time = None if series.times is None else float(series.times[t])
        found[t] = live.outputs(values[t], time)
    live._numbers = numbers
    live.reset()
    error = np.abs(found - expected).max() / (1.0 + np.abs(expected).max())
    if not error < 1e-3:
        raise SettingError(
            f"a live step differs from the nets by {error:.2g}: it does not compute these nets",
            argument="ensemble",
        )
