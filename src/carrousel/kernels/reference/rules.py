"""Reference of the expert rules of streams, in NumPy; see :class:`carrousel.contracts.Rules`.

Sources: Plackett 1950 (recursive least squares); Wintenberger 2017 (mixtures); Angelopoulos,
Candes & Tibshirani, "Conformal PID control for time series prediction", 2023 (quantile tracking).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from carrousel.contracts import Rules
from carrousel.kernels.reference.least_squares import LeastSquares
from carrousel.kernels.reference.mixture import Regrets, Size
from carrousel.kernels.reference.periods import PERIOD_EVERY, PeriodSearch
from carrousel.shapes import Floats

MOST_REGRESSOR, MOST_FEATURE, MOST_NET, MOST_ERROR = 30.0, 30.0, 10.0, 5.0
MOST_WANTED = 1e6
"""Largest target of the net, in mean absolute errors."""
INPUTS_ALONE = 2
"""The rule of least squares that sees no past values."""
RECENT = 32
"""Rows of the recent mean."""
ODD = 20.0
"""Mean absolute errors beyond which a value must be confirmed by the next one."""
SETTLED = 20
"""Rows before that applies."""
PACE, PACE_POWER = 0.04, -0.5
"""Steps of quantiles, in mean absolute errors: ``max(PACE, n ** PACE_POWER)``."""


@dataclass
class _Variable:
    """Past of one variable of a stream."""

    past: list[float] = field(default_factory=list)
    mean: float = 0.0
    seen: int = 0
    recent: float = 0.0
    odd: bool = False  # whether the latest value was limited
    raw: float = 0.0  # the latest value that was limited

    def at(self, row: int, span: int) -> float | None:
        """Return the value of a row; None where it is not kept."""
        known = len(self.past)
        return self.past[row] if max(0, known - span + 1) <= row < known else None


class _Errors:
    """Means, sizes of changes and errors, and regrets, of one stream or of all together."""

    def __init__(self, how: Rules) -> None:
        self.means = [0.0] * how.variables
        self.seen = [0] * how.variables
        self.changes = [Size() for _ in range(how.variables)]
        self.errors = [Size() for _ in range(how.n_outputs)]
        self.regrets = [Regrets(how.n_rules) for _ in range(how.n_outputs)]
        self.final_regrets = [Regrets(2) for _ in range(how.n_outputs)]


@dataclass
class _Row:
    """Forecasts of a row that waits for its targets."""

    known: list[int]  # [V] values known at the time
    mean: list[float]  # [V]
    unit: list[float]  # [V] mean absolute changes
    scale: np.ndarray  # [O] mean absolute errors
    rules: np.ndarray  # [O, E]
    base: np.ndarray  # [O] mixture of the rules
    inputs: np.ndarray  # [I] or [2 I], with those of the row before
    full: np.ndarray  # [O] mixture plus what the net adds
    mixed: np.ndarray  # [O] mixture of the two


@dataclass
class _Key:
    """Expert rules of one stream."""

    of: _Errors
    variables: list[_Variable]
    before: np.ndarray  # [I] inputs of the latest row
    rows: list[_Row] = field(default_factory=list)


class ExpertRules:
    """Expert rules of all streams of one kernel.

    For each row :meth:`look`, :meth:`combine` and :meth:`keep` are called in this order, and for
    its targets :meth:`observe` and :meth:`settle`.

    Args:
        how: settings.
        pending: rows of a stream that may wait for targets.
    """

    def __init__(self, how: Rules, pending: int) -> None:
        self.how, self._pending = how, pending
        longest = max((how.longest, *how.periods))
        self._span = longest + how.lags + how.leads + 2 * pending + 2
        self._all = _Errors(how)
        self._keys: dict[int, _Key] = {}
        self.fits = [
            [LeastSquares(how.n_regressors(fit)) for fit in range(how.n_fits)]
            for _ in range(how.n_outputs)
        ]
        self.searches = [PeriodSearch(how.longest) for _ in range(how.variables)]
        # Quantiles of a Laplace distribution whose mean absolute value is 1.
        q = -np.log(1 - np.array(how.levels))
        self.quantiles = np.tile(np.stack([-q, q]), (how.n_outputs, 1, 1))  # [O, 2, levels]
        self.n_errors = np.zeros(how.n_outputs, int)
        self._now: _Row | None = None

    def periods(self, v: int) -> tuple[int, ...]:
        """Return the periods of a variable; 0: none is known."""
        return tuple(self.searches[v].periods) if self.how.longest else self.how.periods

    def rows(self, stream: int) -> int:
        """Return the number of rows of a stream."""
        return len(self._keys[stream].rows) if stream in self._keys else 0

    def reset(self, stream: int) -> None:
        """Forget a stream."""
        self._keys.pop(stream, None)

    # --- forecasts --------------------------------------------------------------------------

    def look(self, stream: int, inputs: Annotated[Floats, "I"]) -> Annotated[Floats, "F"]:
        """Compute the forecasts of the next row of a stream; return features for the net."""
        if self.rows(stream) == 0:
            self._begin(stream)
        how, key = self.how, self._keys[stream]
        shape = (how.n_outputs, how.n_rules)
        self._now = now = _Row(
            known=[len(of.past) for of in key.variables],
            mean=[of.mean for of in key.variables],
            unit=[size.unit for size in key.of.changes],
            scale=np.array([size.unit for size in key.of.errors]),
            rules=np.zeros(shape),
            base=np.zeros(how.n_outputs),
            inputs=np.concatenate([inputs[: how.inputs], key.before])[: how.n_seen],
            full=np.zeros(how.n_outputs),
            mixed=np.zeros(how.n_outputs),
        )
        for v, h, k in self._outputs():
            now.rules[k] = now.base[k] = self._all.means[v]  # without a past: better than nothing
            if now.known[v]:
                now.rules[k] = self._forecasts(key, v, h)
                for fit, least_squares in enumerate(self.fits[k]):
                    x, origin = self._regressors(key, v, now, now.rules[k], fit)
                    unit = now.unit[v] if key.of.changes[v].seen else 0.0  # that of the stream
                    now.rules[k, 3 + fit] = origin + unit * least_squares.forecast(x)
                last = now.rules[k, 0]  # equal forecasts have exactly this mixture
                now.base[k] = last + key.of.regrets[k].weights() @ (now.rules[k] - last)
        return np.concatenate([self._features(key, v) for v in range(how.variables)])

    def _begin(self, stream: int) -> None:
        """Start a stream, which takes over the sizes and regrets of all streams together."""
        of = copy.deepcopy(self._all)
        for size in (*of.changes, *of.errors):
            size.seen = 0.0  # the stream's own first change and error replace them
        variables = [_Variable() for _ in range(self.how.variables)]
        self._keys[stream] = _Key(of, variables, np.zeros(self.how.inputs))

    def _outputs(self) -> list[tuple[int, int, int]]:
        """Return variable, lead and place of each output."""
        leads = self.how.leads
        return [(v, h, v * leads + h) for v in range(self.how.variables) for h in range(leads)]

    def _forecasts(self, key: _Key, v: int, h: int) -> np.ndarray:
        """Return the forecasts ``[E]`` of lead ``h``; those of least squares are the last value."""
        past, last = key.variables[v], key.variables[v].past[-1]
        known, wanted = len(past.past), len(key.rows) + h
        seasonal = []
        for period in self.periods(v):
            then = before = None
            if period:
                back = -(-(wanted - known + 1) // period) * period  # to the latest known season
                then = past.at(wanted - back, self._span)
                before = past.at(known - 1 - back, self._span)
            seasonal.append(last if then is None else then)
            seasonal.append(last if then is None or before is None else last + then - before)
        return np.array([last, past.mean, past.recent, *[last] * self.how.n_fits, *seasonal])

    def _regressors(
        self, key: _Key, v: int, row: _Row, rules: np.ndarray, fit: int
    ) -> tuple[np.ndarray, float]:
        """Return the regressors of least squares, and the value that they add to.

        They are differences from the last value, in changes; or the inputs alone, which add to the
        mean.
        """
        how, last = self.how, rules[0]
        if fit == INPUTS_ALONE:
            return np.concatenate([np.ones(1), row.inputs]), rules[1]
        at = row.known[v] - 1
        lags = key.variables[v].past[max(0, at - how.lags + 1) : at][::-1]
        lags = lags + [last] * (how.lags - 1 - len(lags))
        found = np.array([*lags, *rules[3 + how.n_fits :: 2], row.mean[v]])
        relative = np.clip((found - last) / row.unit[v], -MOST_REGRESSOR, MOST_REGRESSOR)
        return np.concatenate([relative, np.ones(1), row.inputs if fit else ()]), last

    def _features(self, key: _Key, v: int) -> np.ndarray:
        """Return the last value, and differences of the other forecasts from it, in errors."""
        now, leads = self._now, self.how.leads
        assert now is not None
        if not now.known[v]:
            return np.concatenate([[self._all.means[v]], np.zeros(self.how.n_rules + leads)])
        k = v * leads
        rules = now.rules[k]
        before = key.variables[v].at(now.known[v] - 2, self._span)
        values = [*rules[1:], rules[0] if before is None else before, *now.base[k : k + leads]]
        relative = (np.array(values) - rules[0]) / now.scale[k]
        return np.concatenate([rules[:1], np.clip(relative, -MOST_FEATURE, MOST_FEATURE)])

    def combine(self, stream: int, net: Annotated[Floats, "O"]) -> Annotated[Floats, "O"]:
        """Return the forecasts: mixtures of the base with and without what the net adds."""
        now = self._now
        assert now is not None
        errors = self._keys[stream].of.errors
        # 0 before the stream's own first error
        scale = now.scale * [error.mean > 0 and error.seen > 0 for error in errors]
        now.full = now.base + scale * np.clip(net, -MOST_NET, MOST_NET)
        for k, regrets in enumerate(self._keys[stream].of.final_regrets):
            now.mixed[k] = now.base[k] + regrets.weights()[1] * (now.full[k] - now.base[k])
        return now.mixed.copy()

    def bounds(self) -> Annotated[Floats, "O 2 levels"]:
        """Return lower and upper bounds around the forecasts of :meth:`combine`."""
        now = self._now
        assert now is not None
        return now.mixed[:, None, None] + now.scale[:, None, None] * self.quantiles

    def keep(self, stream: int) -> None:
        """Make the row of :meth:`look` the latest of the stream.

        Values that are overdue, as their rows no longer wait, count as unchanged.
        """
        key = self._keys[stream]
        assert self._now is not None
        key.rows.append(self._now)
        key.before = self._now.inputs[: self.how.inputs]
        due = len(key.rows) - self._pending + self.how.leads - 1
        for variable in key.variables:
            past = variable.past
            past.extend([past[-1]] * (due - len(past)) if past else ())

    # --- targets ----------------------------------------------------------------------------

    def start(self, stream: int, target: Annotated[Floats, "V"]) -> None:
        """Begin a stream with targets that belong to no row of it: those before its first."""
        if self.rows(stream):
            return
        self._begin(stream)
        key = self._keys[stream]
        n = self.how.variables
        key.rows.append(_Row([0] * n, [], [], *[np.zeros(0)] * 6))  # as if of a row before
        self.observe(stream, 0, target)

    def observe(self, stream: int, row: int, target: Annotated[Floats, "V"]) -> None:
        """Add the targets of a row to the history of a stream; NaN: there is none."""
        key = self._keys[stream]
        for v, y in enumerate(np.asarray(target, float).tolist()):
            past = key.variables[v].past
            if np.isnan(y):
                continue
            if row >= len(past):
                self._append(key, v, row, y)
            elif row >= len(past) - self._pending - self.how.leads:
                past[row] = y  # it comes after a later one

    def _append(self, key: _Key, v: int, row: int, y: float) -> None:
        variable, past = key.variables[v], key.variables[v].past
        started = bool(past)
        last = past[-1] if started else y
        past.extend([last] * (row - len(past)))
        y = self._confirmed(key, v, row, y) if started else y
        if started:
            for errors in (key.of, self._all):
                errors.changes[v].count(y - last)
        variable.seen += 1
        variable.mean += (y - variable.mean) / variable.seen
        self._all.seen[v] += 1
        self._all.means[v] += (y - self._all.means[v]) / self._all.seen[v]
        variable.recent += (y - variable.recent) / min(variable.seen, RECENT)
        if self.how.longest:
            self._search(key, v, y)
        past.append(y)

    def _confirmed(self, key: _Key, v: int, row: int, y: float) -> float:
        """Return a value, limited if it is far off and the value before was not.

        The second of two values that are far off confirms the first, which is then restored.
        """
        variable, k = key.variables[v], v * self.how.leads
        f, scale = key.rows[row].mixed[k], key.of.errors[k]
        most = ODD * scale.unit
        if scale.seen < SETTLED or abs(y - f) <= most:
            variable.odd = False
            return y
        if variable.odd:
            variable.past[row - 1] = variable.raw
            variable.odd = False
            return y
        variable.raw, variable.odd = y, True
        return float(np.clip(y, f - most, f + most))

    def _search(self, key: _Key, v: int, y: float) -> None:
        past, search = key.variables[v].past, self.searches[v]
        search.count(np.array(past[-self.how.longest :]), y, key.of.changes[v].unit)
        if (len(past) + 1) % PERIOD_EVERY:
            return
        for slot in search.choose():  # another period is in the slot: its weights start afresh
            for k in range(v * self.how.leads, (v + 1) * self.how.leads):
                for fit in self.fits[k][:INPUTS_ALONE]:
                    fit.forget(self.how.lags - 1 + slot)

    def settle(
        self, stream: int, row: int, targets: Annotated[Floats, "O"]
    ) -> Annotated[Floats, "O"]:
        """Learn the targets of a row; return what the net should have added, in errors."""
        waiting = self._keys[stream].rows[row]
        wanted = np.full(self.how.n_outputs, np.nan)
        for v, _, k in self._outputs():
            y = float(targets[k])
            if np.isnan(y):
                continue
            known = waiting.known[v] > 0
            lacking = (y - waiting.base[k]) / waiting.scale[k] if known else 0.0
            wanted[k] = np.clip(lacking, -MOST_WANTED, MOST_WANTED)
            if known:
                self._learn(self._keys[stream], v, k, waiting, y)
        return wanted

    def _learn(self, key: _Key, v: int, k: int, row: _Row, y: float) -> None:
        rules, base, scale = row.rules[k], row.base[k], row.scale[k]
        for fit, least_squares in enumerate(self.fits[k]):
            x, origin = self._regressors(key, v, row, rules, fit)
            error = (y - origin) / row.unit[v] - least_squares.forecast(x)
            least_squares.learn(x, float(np.clip(error, -MOST_ERROR, MOST_ERROR)))
        pair, mixed = np.array([base, row.full[k]]), row.mixed[k]
        for errors in (key.of, self._all):
            errors.regrets[k].count(rules, base, y, scale)
            errors.final_regrets[k].count(pair, mixed, y, scale)
            errors.errors[k].count(y - base)
        self._track(k, (y - mixed) / scale)

    def _track(self, k: int, u: float) -> None:
        """Move the quantiles of an output so that errors exceed them as often as they should."""
        self.n_errors[k] += 1
        pace = max(PACE, float(self.n_errors[k]) ** PACE_POWER)
        missed = (1 - np.array(self.how.levels)) / 2
        low, high = self.quantiles[k]
        low -= pace * ((u < low) - missed)
        high += pace * ((u > high) - missed)
