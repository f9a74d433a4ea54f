"""Random settings of expert rules, and calls of a kernel: rows, targets in any order, resets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network, Rules, Streaming
from support.kernels.stream_cases import CERTAIN, EPSILON, GRADIENTS, RATES

INPUTS = 2


@dataclass(frozen=True)
class Call:
    """One call of a kernel."""

    kind: str  # advance, learn or reset
    stream: int
    values: np.ndarray
    weight: float = 1.0
    back: int = 0


@dataclass(frozen=True, repr=False)
class RuleCase:
    """A network with expert rules, or without, and calls of it."""

    streaming: Streaming
    n_streams: int
    calls: list[Call]
    seed: int = 0

    @property
    def network(self) -> Network:
        rules = self.streaming.rules
        inputs = INPUTS + (rules.n_features if rules else 0)
        outputs = rules.n_outputs if rules else 1
        return Network(inputs, outputs, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")

    def open(self, kind: Callable[..., Any], **named: Any) -> Any:
        """A new kernel, in which all inputs are standardised."""
        network = self.network
        weights = np.random.default_rng(self.seed).normal(0, 0.3, network.n_weights)
        scaled = np.ones(network.n_inputs, bool)
        return kind(network, self.streaming, weights, self.n_streams, scaled, **named)

    def __repr__(self) -> str:  # hypothesis would write out every number
        return f"{self.streaming}, {len(self.calls)} calls, seed {self.seed}"


def play(kernel: Any, calls: list[Call]) -> np.ndarray:
    """Make all calls; return the outputs."""
    outputs = []
    for call in calls:
        if call.kind == "advance":
            outputs.append(kernel.advance(call.stream, call.values))
        elif call.kind == "learn":
            kernel.learn(call.stream, call.values, call.weight, call.back)
        else:
            kernel.reset(call.stream)
    return np.array(outputs)


def series(rng: np.random.Generator, n: int, variables: int) -> np.ndarray:
    """Values with a period of 6, a step, noise and a few outliers, ``[n, variables]``."""
    t = np.arange(n)[:, None]
    y = 4 * np.sin(2 * np.pi * t / 6 + np.arange(variables)) + rng.normal(0, 0.4, (n, variables))
    y[n // 2 :] += rng.choice([0.0, 300.0])
    return np.where(rng.random(y.shape) < 0.03, 1e4, y)


def drawn_calls(
    rng: np.random.Generator, how: Streaming, n_streams: int, n: int, faults: bool = True
) -> list[Call]:
    """Calls with ``n`` rows in all.

    Targets come at once, or with a delay up to ``how.delay`` rows in any order. With ``faults``,
    some come never or too late, some are missing in part, and streams are reset.
    """
    variables = how.rules.variables if how.rules else 1
    y = [series(rng, n, variables) + 20 * stream for stream in range(n_streams)]
    begun, calls = [0] * n_streams, []
    due: list[list[tuple[int, int]]] = [[] for _ in range(n_streams)]  # when, row
    for _ in range(n):
        stream = int(rng.integers(n_streams))
        x = rng.normal(1, 2, INPUTS)
        calls.append(Call("advance", stream, x))
        row = begun[stream]
        begun[stream] += 1
        late = int(rng.integers(how.delay + 1))
        if faults and how.delay and rng.random() < 0.05:
            late = how.delay + 3
        if not faults or rng.random() > 0.1:
            due[stream].append((row + late, row))
        for when, of in list(due[stream]):
            if when > row:
                continue
            due[stream].remove((when, of))
            target = y[stream][of].copy()
            if faults:
                target[rng.random(variables) < 0.15] = np.nan
            weight = float(rng.choice([1.0, 0.25])) if faults else 1.0
            calls.append(Call("learn", stream, target, weight, row - of))
        if faults and rng.random() < 0.01:
            calls.append(Call("reset", stream, x))
            begun[stream], due[stream] = 0, []
    return calls


def seasons() -> st.SearchStrategy[dict[str, Any]]:
    """Periods that are given, looked for, or not used."""
    given = st.sampled_from([(), (6,), (3, 8)]).map(lambda p: {"longest": 0, "periods": p})
    return given | st.sampled_from([2, 12]).map(lambda n: {"longest": n, "periods": ()})


@st.composite
def rule_settings(draw: st.DrawFn) -> Rules:
    """Any expert rules, of small size."""
    return Rules(
        variables=draw(st.sampled_from([1, 2])),
        leads=draw(st.sampled_from([1, 3])),
        inputs=draw(st.sampled_from([0, INPUTS])),
        lags=draw(st.sampled_from([2, 5])),
        levels=draw(st.sampled_from([(), (0.5, 0.9)])),
        **draw(seasons()),
    )


@st.composite
def rule_cases(draw: st.DrawFn, n: int = 200, certain: bool = False) -> RuleCase:
    """Any settings with expert rules, and calls."""
    how = Streaming(
        optimizer="rmsprop",
        rate=RATES["rmsprop"] / 3,
        epsilon=EPSILON,
        clip=1.0,
        gradient=draw(st.sampled_from(CERTAIN if certain else GRADIENTS)),
        horizon=draw(st.sampled_from([0.0, 30.0])),
        rules=draw(rule_settings()),
        delay=draw(st.sampled_from([0, 4])),
        by_key=draw(st.booleans()),
    )
    seed = draw(st.integers(0, 2**32 - 1))
    n_streams = draw(st.integers(1, 3))
    calls = drawn_calls(np.random.default_rng(seed), how, n_streams, n)
    return RuleCase(how, n_streams, calls, seed)


def halves(calls: list[Call]) -> Iterator[list[Call]]:
    """The first and the second half of some calls."""
    middle = len(calls) // 2
    yield calls[:middle]
    yield calls[middle:]
