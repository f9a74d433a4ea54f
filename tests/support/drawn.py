"""Random networks, weights and data for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from hypothesis import strategies as st

from carrousel.contracts import (
    CELL_WIRINGS,
    SQUASHES,
    UNIT_SETS,
    Cell,
    Gradient,
    Group,
    Network,
    RateFactors,
    Simple,
    Training,
    Update,
    Wiring,
)
from carrousel.contracts.units import spelled
from carrousel.kernels import NativeKernel
from carrousel.sequences import Sequences

When = Literal["none", "end", "some", "all", "mixed"]

WIRINGS: tuple[Wiring, ...] = CELL_WIRINGS
SIMPLE: tuple[Wiring, ...] = ("full", "direct", "united")
BIASES: tuple[str, ...] = (*UNIT_SETS, "input_gates", "gates+outputs", "cells+outputs")
UNGATED: tuple[str, ...] = ("none", "hidden", "outputs", "all")
UPDATES: tuple[Update, ...] = get_args(Update)
WHEN: tuple[When, ...] = get_args(When)
BOUNDED = tuple(name for name, scale in SQUASHES.items() if scale is not None)

seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Kind:
    """Kind of inputs and targets, and steps with a target (mixed: differs between sequences)."""

    symbolic: bool = False
    classes: bool = False
    when: When = "some"


def unit_sets(cell: Cell, *, least: int = 0, outputs: bool = False) -> st.SearchStrategy[str]:
    """Any set of at least ``least`` groups of the units of a network."""
    groups: list[Group] = [*cell.groups, *(("outputs",) if outputs else ())]
    return st.sets(st.sampled_from(groups), min_size=least).map(
        lambda drawn: spelled(tuple(group for group in groups if group in drawn))
    )


@st.composite
def feeds(draw: st.DrawFn, cell: Cell) -> dict[str, Any]:
    """Which units of a network of memory cells feed which: settings of a network by name."""
    found: dict[str, Any] = {"wiring": draw(st.sampled_from(WIRINGS))}
    if draw(st.booleans()):
        return found
    found["inputs_to_outputs"] = draw(st.sampled_from([None, True, False]))
    found["feedback"] = draw(unit_sets(cell))
    if found["feedback"] != "none" and draw(st.booleans()):
        found["feedback_into"] = draw(unit_sets(cell, least=1))
    return found


@st.composite
def networks(
    draw: st.DrawFn,
    *,
    inputs: st.SearchStrategy[int] = st.integers(1, 5),  # noqa: B008
    outputs: st.SearchStrategy[int] = st.integers(1, 5),  # noqa: B008
    squashes: Sequence[str] = tuple(SQUASHES),
    forget_gates: st.SearchStrategy[bool] = st.just(False),  # noqa: B008
    most: int = 3,
) -> Network:
    """Small networks of memory cells: all wirings, biases, block sizes and squashings."""
    cell = Cell(
        blocks=draw(st.integers(1, most)),
        block_size=draw(st.integers(1, most)),
        g=draw(st.sampled_from(squashes)),
        h=draw(st.sampled_from(squashes)),
        output_gate=draw(st.booleans()),
        forget_gate=draw(forget_gates),
    )
    bias = draw(unit_sets(cell, outputs=True))
    return Network(draw(inputs), draw(outputs), cell, bias=bias, **draw(feeds(cell)))


@st.composite
def simple_networks(
    draw: st.DrawFn,
    *,
    inputs: st.SearchStrategy[int] = st.integers(1, 5),  # noqa: B008
    outputs: st.SearchStrategy[int] = st.integers(1, 5),  # noqa: B008
) -> Network:
    """Small networks of simple units: all wirings that kernels support, all biases."""
    n_outputs = draw(outputs)
    wiring, bias = draw(st.sampled_from(SIMPLE)), draw(st.sampled_from(UNGATED))
    if wiring == "united" and bias == "outputs":
        bias = "hidden"
    units = draw(st.integers(n_outputs if wiring == "united" else 1, n_outputs + 4))
    cell = Simple(units, draw(st.sampled_from(["logistic", "tanh"])))
    return Network(draw(inputs), n_outputs, cell, wiring=wiring, bias=bias)


kinds = st.builds(Kind, st.booleans(), st.booleans(), st.sampled_from(WHEN))


def trainings(*updates: Update, most: float = 0.5) -> st.SearchStrategy[Training]:
    """Training settings with any of ``updates`` (by default all)."""
    shapes = [{}, {}, {"output_derivative": False}, {"derivative_floor": 0.2}]
    shapes += [{"derivative_offset": 0.1}, {"derivative_floor": 0.1, "derivative_offset": 0.05}]
    return st.builds(
        lambda shape, **others: Training(**shape, **others),
        st.sampled_from(shapes),
        rate=st.floats(0.01, most),
        update=st.sampled_from(updates or UPDATES),
        initial_activation=st.sampled_from([0.0, 0.5, -0.75]),
        error_tolerance=st.sampled_from([0.0, 0.0, 0.25]),
        factors=st.one_of(st.just(RateFactors()), rate_factors()),
    )


def rate_factors() -> st.SearchStrategy[RateFactors]:
    """Factors of all groups, among them 0."""
    names = [each.name for each in fields(RateFactors)]
    factor = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0])
    return st.fixed_dictionaries(dict.fromkeys(names, factor)).map(
        lambda found: RateFactors(**found)
    )


def gradients(update: Update = "sequence", deepest: int = 14) -> st.SearchStrategy[Gradient]:
    """Gradients that compiled lanes support with an ``update``."""
    whole = ["truncated", "rtrl", "snap:1", "snap:2", "snap:5", "uoro"] + ["bptt"] * (
        update != "step"
    )
    strides = st.integers(1, deepest).flatmap(
        lambda depth: st.builds(Gradient, st.just("bptt"), st.just(depth), st.integers(1, depth))
    )
    return st.one_of(st.sampled_from(whole).map(Gradient.named), strides)


class Lesson(NamedTuple):
    """A network, its training and its gradient."""

    network: Network
    training: Training
    gradient: Gradient


@st.composite
def lessons(
    draw: st.DrawFn,
    *updates: Update,
    inputs: st.SearchStrategy[int] = st.integers(1, 5),  # noqa: B008
    outputs: st.SearchStrategy[int] = st.integers(1, 5),  # noqa: B008
    squashes: Sequence[str] = tuple(SQUASHES),
    deepest: int = 14,
) -> Lesson:
    """Any hidden layer with any gradient; united networks use the output derivative."""
    cells = networks(inputs=inputs, outputs=outputs, squashes=squashes, forget_gates=st.booleans())
    network = draw(st.one_of(cells, simple_networks(inputs=inputs, outputs=outputs)))
    training = draw(trainings(*updates))
    if network.united:
        plain = {"derivative_floor": 0.0, "derivative_offset": 0.0}
        training = replace(training, output_derivative=True, **plain)
    known = gradients(training.update, deepest).filter(lambda g: NativeKernel.runs(network, g))
    return Lesson(network, training, draw(known))


def drawn_weights(
    network: Network, rng: np.random.Generator, lanes: int = 1, scale: float = 0.5
) -> np.ndarray:
    """Draw weights ``[lanes, W]``, normal with standard deviation ``scale``, as float32."""
    return rng.normal(0.0, scale, (lanes, network.n_weights)).astype(np.float32)


def drawn_data(
    network: Network, rng: np.random.Generator, kind: Kind, lengths: Sequence[int]
) -> Sequences:
    """Draw sequences of given lengths that fit a network."""
    steps, inputs, outputs = int(sum(lengths)), network.n_inputs, network.n_outputs
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    whens = (
        rng.choice(WHEN[:-1], len(lengths)) if kind.when == "mixed" else [kind.when] * len(lengths)
    )
    masks = [_mask(when, int(length), rng) for when, length in zip(whens, lengths, strict=True)]
    mask = np.concatenate([np.zeros(0, bool), *masks])
    places = np.flatnonzero(mask).astype(np.int64)
    values = rng.uniform(-1, 1, (steps, inputs)).astype(np.float32)
    goals = rng.uniform(0, 1, (len(places), outputs)).astype(np.float32)
    symbols = rng.integers(0, inputs, steps, dtype=np.int32)
    classes = rng.integers(0, outputs, len(places), dtype=np.int32)
    return Sequences(
        inputs=symbols if kind.symbolic else values,
        n_inputs=inputs,
        offsets=offsets,
        targets=classes if kind.classes else goals,
        n_outputs=outputs,
        target_steps=places,
    )


def _mask(when: str, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Draw which steps of one sequence have a target."""
    if when == "end":
        return np.arange(steps) == steps - 1
    return rng.random(steps) < {"none": 0.0, "some": 0.4, "all": 1.0}[when]


def drawn_lengths(rng: np.random.Generator, most: int, sequences: int) -> list[int]:
    """Draw lengths between 1 and ``most``."""
    return [int(length) for length in rng.integers(1, most + 1, sequences)]


def drawn_lanes(
    network: Network,
    rng: np.random.Generator,
    kind: Kind,
    *,
    lanes: int,
    most: int = 12,
    idle: float = 0.2,
) -> list[Sequences | None]:
    """Draw a ragged batch of 0 to 3 sequences for each lane; some lanes are idle."""
    return [
        None
        if rng.random() < idle
        else drawn_data(network, rng, kind, drawn_lengths(rng, most, int(rng.integers(0, 4))))
        for _ in range(lanes)
    ]
