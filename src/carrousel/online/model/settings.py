"""Checked settings of a model, and the network and kernel that they describe."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import Cell, Gradient, Init, Network, Rules, Streaming, StreamKernel
from carrousel.contracts.initial import initial_weights
from carrousel.contracts.streaming import Optimizer
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.kernels import open_stream
from carrousel.online.model.encoding.features import (
    Features,
    NamedFeatures,
    SymbolFeatures,
    VectorFeatures,
)
from carrousel.online.model.encoding.heads import BinaryHead, Head, MulticlassHead, RegressionHead
from carrousel.online.model.encoding.values import to_python
from carrousel.shapes import Floats

EPSILON = 1e-3
"""Epsilon of RMSProp and Adam. The mean square gradient of a rarely used weight, such as that of a
rare symbol, is close to zero. Divided by its root alone, its next gradient would be a huge step."""

LONGEST_SEASON = 1024
"""Longest period, in rows, that is looked for."""
LARGEST_STATE = 2**35
"""Most bytes of past values and waiting rows of all streams together."""
MOST_FITTED = 64
"""Most inputs that least squares use."""

Task = Literal["regression", "binary", "multiclass", "next"]
"""What a model predicts: a number, one of two classes, one of several, the next symbol."""
TASKS: tuple[Task, ...] = get_args(Task)
Feedback = Literal["cells", "full"]
"""What hidden units see of the step before: the cells, or all units (a part of ``Wiring``)."""
Standardise = Literal["key"]
"""Besides True and False: each key has scales of its own."""
Experts = Literal["auto"]
Season = Literal["auto"]
Missing = Literal["error", "mean"]
Unseen = Literal["error", "grow"]


@dataclass(frozen=True)
class Settings:
    """Checked arguments of :class:`carrousel.OnlineLSTM`, which documents them."""

    task: Task
    cells: int
    block_size: int
    forget_gate: bool
    wiring: Feedback
    gradient: str
    optimizer: Optimizer
    learning_rate: float
    decay: float | None
    clip: float | None
    standardise: bool | Standardise
    horizon: float | None
    classes: Sequence[Hashable] | None
    symbols: Sequence[Hashable] | int | None
    missing: Missing
    unseen: Unseen
    streams: int
    evict_after: int | None
    experts: Experts | None = None
    season: Season | tuple[int, ...] | None = None
    ahead: int = 1
    delay: int = 0
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_choice("task", self.task, TASKS)
        check_int("cells", self.cells, minimum=1, maximum=4096)
        check_int("block_size", self.block_size, minimum=1, maximum=4096)
        if self.cells % self.block_size:
            expected = f"a multiple of block_size, {self.block_size}"
            raise SettingError(argument="cells", got=self.cells, expected=expected)
        if not isinstance(self.forget_gate, bool | np.bool_):
            raise SettingError(
                argument="forget_gate", got=self.forget_gate, expected="True or False"
            )
        if not isinstance(self.standardise, bool | np.bool_) and not _is(self.standardise, "key"):
            expected = "True, False or 'key'"
            raise SettingError(argument="standardise", got=self.standardise, expected=expected)
        check_choice("wiring", self.wiring, get_args(Feedback))
        check_choice("optimizer", self.optimizer, get_args(Optimizer))
        check_number("learning_rate", self.learning_rate, least=0.0)
        if self.decay is not None:
            check_number("decay", self.decay, above=0.0)
        if self.clip is not None:
            check_number("clip", self.clip, above=0.0)
        if self.horizon is not None:
            check_number("horizon", self.horizon, least=1.0)
        check_choice("missing", self.missing, get_args(Missing))
        check_choice("unseen", self.unseen, get_args(Unseen))
        check_int("streams", self.streams, minimum=1, maximum=2**20)
        if self.evict_after is not None:
            check_int("evict_after", self.evict_after, minimum=1)
        if not isinstance(self.gradient, str):
            expected = "a name such as 'rtrl'"
            raise SettingError(argument="gradient", got=self.gradient, expected=expected)
        Gradient.named(self.gradient)
        self._check_experts()
        self._check_names()

    def _check_experts(self) -> None:
        if self.experts is not None and not _is(self.experts, "auto"):
            raise SettingError(argument="experts", got=self.experts, expected="'auto' or None")
        if self.season is not None and not _is(self.season, "auto"):
            if not isinstance(self.season, tuple):
                expected = "'auto', None, or periods in rows such as (24, 168)"
                raise SettingError(argument="season", got=self.season, expected=expected)
            for period in self.season:
                check_int("season", period, minimum=2, maximum=2**20)
        expected = "a list of numbers above 0 and below 1, such as (0.8, 0.95)"
        if not isinstance(self.levels, tuple):
            raise SettingError(argument="levels", got=self.levels, expected=expected)
        for level in self.levels:
            if not 0 < check_number("levels", level) < 1:
                raise SettingError(argument="levels", got=level, expected=expected)
        check_int("ahead", self.ahead, minimum=1, maximum=4096)
        check_int("delay", self.delay, minimum=0, maximum=2**20)
        if self.ahead > 1 and not self.forecasts:
            raise SettingError(
                f"ahead is {self.ahead}, which needs the expert rules of task 'regression'",
                argument="ahead",
                got=self.ahead,
                expected="1",
                fix="use {task=regression}, and do not turn the rules off by {experts} or "
                "{standardise}",
            )
        if self.forecasts:
            self.rules(1, 1)

    @property
    def forecasts(self) -> bool:
        """Whether the net adds to the forecasts of expert rules."""
        numbers = self.task == "regression" and self.symbols is None
        return self.experts is not None and numbers and self.standardise is not False

    def rules(self, n_targets: int, inputs: int) -> Rules:
        """Describe the expert rules for targets of some numbers, and inputs for least squares."""
        periods = self.season if isinstance(self.season, tuple) else ()
        return Rules(
            variables=n_targets,
            leads=self.ahead,
            inputs=inputs,
            longest=LONGEST_SEASON if self.season == "auto" else 0,
            periods=periods,
            levels=self.levels,
        )

    def _check_names(self) -> None:
        if self.classes is not None:
            if self.task not in ("binary", "multiclass"):
                raise SettingError(
                    f"classes are given, but task {self.task!r} has none",
                    argument="classes",
                    got=self.classes,
                )
            if self.task == "binary" and len(self.classes) != 2:
                expected = "two classes for task 'binary'"
                raise SettingError(argument="classes", got=self.classes, expected=expected)
        if self.task == "next" and self.symbols is None and self.unseen == "error":
            raise SettingError(
                argument="symbols",
                got=None,
                expected="the alphabet for task 'next': a list of symbols, a text with each "
                "character, or n for 0 .. n - 1",
                fix="give {symbols}, or set {unseen=grow}",
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Check the arguments of a constructor."""
        named: dict[str, Any] = dict(given)
        named |= {n: int(v) for n, v in given.items() if isinstance(v, np.integer)}
        if isinstance(named["season"], int):
            named["season"] = (named["season"],)
        for name in ("season", "levels"):
            if isinstance(named[name], list | np.ndarray) and np.ndim(named[name]) == 1:
                named[name] = tuple(to_python(each) for each in named[name])
        named["classes"] = alphabet("classes", named["classes"])
        if isinstance(named["symbols"], int):
            named["symbols"] = check_int("symbols", named["symbols"], minimum=1, maximum=2**24)
        else:
            named["symbols"] = alphabet("symbols", named["symbols"])
        return cls(**named)

    @property
    def grow(self) -> bool:
        return self.unseen == "grow"

    def first_features(self, x: Any) -> Features:
        """Create the encoder for a first row.

        Raises:
            DataError, ShapeError: it is not a row.
        """
        if self.task == "next" or self.symbols is not None:
            return SymbolFeatures(() if self.symbols is None else self.symbols, self.grow)
        missing = self.missing == "mean"
        if isinstance(x, Mapping):
            return NamedFeatures.of(x, missing, self.grow)
        if isinstance(x, str):
            expected = "a mapping or a sequence of numbers"
            raise DataError(
                f"x is the text {x!r}, expected {expected}",
                argument="x",
                got=x,
                expected=expected,
                fix="set {symbols} or {task=next} where rows are single symbols",
            )
        try:
            shape = np.shape(x)
        except ValueError:
            shape = None
        if shape is None or len(shape) != 1 or not shape[0]:
            raise ShapeError(
                argument="x",
                got=x,
                expected="a mapping from names to values, or a sequence of at least one number",
            )
        features = VectorFeatures(shape[0], missing)
        features.encode(x)
        return features

    def first_head(self, y: Any) -> Head:
        """Create the head of a new model; the shape of ``y`` is that of all targets."""
        if self.task == "regression":
            return RegressionHead.of(y, self.ahead)
        if self.task == "binary":
            known = self.classes
            return BinaryHead(*((c,) for c in known)) if known else BinaryHead((), ())
        if self.task == "multiclass":
            return MulticlassHead(self.classes or (), self.grow or self.classes is None)
        return MulticlassHead(() if self.symbols is None else self.symbols, self.grow)

    def fitted_inputs(self, features: Features) -> int:
        """Return how many inputs least squares use when a model starts; growth adds none."""
        return min(features.n_columns, MOST_FITTED) if self.forecasts else 0

    def network(self, features: Features, head: Head, fitted: int) -> Network:
        """Describe the network from the columns of an encoder to the outputs of a head."""
        rules = self.rules(head.n_targets, fitted) if self.forecasts else None
        n_inputs = features.n_columns + (rules.n_features if rules else 0)
        blocks = self.cells // self.block_size
        cell = Cell(blocks, self.block_size, forget_gate=bool(self.forget_gate))
        bare = Network(n_inputs, head.n_outputs, cell, wiring=self.wiring, bias="all")
        limit = 1 / np.sqrt(self._active_sources(bare, features))
        init = Init(
            range=float(limit),
            output_range=float(limit) / 10,
            forget_gate_bias=(1.0,) * blocks if self.forget_gate else (),
        )
        return Network(n_inputs, head.n_outputs, cell, wiring=self.wiring, bias="all", init=init)

    @staticmethod
    def _active_sources(network: Network, features: Features) -> int:
        """Return the sources of a unit in one step; a one-hot input counts as one."""
        one_hot = isinstance(features, SymbolFeatures)
        return network.n_sources - (features.n_columns - 1 if one_hot else 0)

    def open(self, features: Features, head: Head, seed: int, fitted: int) -> StreamKernel:
        """Create a kernel with initial weights and one more place than there are streams."""
        rules = self.rules(head.n_targets, fitted) if self.forecasts else None
        symbols = isinstance(features, SymbolFeatures)
        streaming = Streaming(
            head=head.kind,
            optimizer=self.optimizer,
            rate=float(self.learning_rate),
            decay=float(self.decay or 0.0),
            epsilon=EPSILON,
            clip=self.clip,
            gradient=self.gradient,
            symbols=symbols,
            scale_targets=bool(self.standardise) and head.kind == "linear" and rules is None,
            horizon=float(self.horizon or 0.0),
            missing=self.missing == "mean" and not symbols,
            experts=self.experts is not None and head.kind != "linear" and not self.delay,
            rules=rules,
            delay=self.delay,
            by_key=self.standardise == "key",
        )
        network = self.network(features, head, fitted)
        self._check_memory(1 if symbols else network.n_inputs, head.n_targets, rules)
        scaled = np.ones(network.n_inputs, bool)  # features of rules are always standardised
        scaled[: features.n_columns] = features.scaled & bool(self.standardise)
        try:
            weights = self.weights(network, seed)
            return open_stream(network, streaming, weights, self.streams + 1, scaled, seed=seed)
        except MemoryError as error:
            raise SettingError(
                f"memory does not hold {network.n_weights:,} weights and, for {self.streams:,} "
                f"streams, their traces ({self.gradient})",
                fix="set fewer {cells} or {streams}, or {gradient=truncated}",
            ) from error

    def _check_memory(self, n_inputs: int, n_targets: int, rules: Rules | None) -> None:
        """Refuse histories and waiting rows of all streams that are beyond any machine."""
        waiting, each, shared = self.delay + self.ahead, 0, 0
        if waiting > 1:
            each += waiting * (n_inputs + 2 * n_targets)
        if rules is not None:
            longest = max((rules.longest, *rules.periods))
            each += n_targets * (longest + 2 * waiting)
            each += waiting * rules.n_outputs * (rules.n_rules + 5)
            shared = rules.n_outputs * rules.n_fits * rules.n_regressors(1) ** 2
        size = 8 * (each * (self.streams + 1) + shared)
        if size <= LARGEST_STATE:
            return
        sizes = {"streams": self.streams, "delay": self.delay, "ahead": self.ahead}
        most = max(sizes, key=lambda name: sizes[name])
        raise SettingError(
            f"{most} is {sizes[most]:,}: past values and waiting rows of {self.streams:,} streams "
            f"and {n_targets:,} targets would take {size / 1e9:,.0f} GB, expected at most "
            f"{LARGEST_STATE / 1e9:.0f}",
            argument=most,
            got=sizes[most],
            expected=f"states of at most {LARGEST_STATE / 1e9:.0f} GB",
            fix="set fewer {streams}, {delay} or {ahead}, or shorter periods in {season}",
        )

    @staticmethod
    def weights(network: Network, seed: int) -> Annotated[Floats, "W"]:
        """Draw the initial weights of a network."""
        return initial_weights(network, np.random.default_rng(seed))


def _is(value: Any, text: str) -> bool:
    """Return whether a value, which may be an array, is this text."""
    return isinstance(value, str) and value == text


def alphabet(name: str, given: Any) -> tuple[Hashable, ...] | None:
    """Return symbols or classes as a tuple of plain Python objects.

    Raises:
        SettingError: there are none, or one occurs twice or is not hashable.
    """
    if given is None:
        return None
    try:
        symbols = tuple(to_python(symbol) for symbol in given)
        distinct = len(set(symbols))
    except TypeError as error:
        expected = "a list of hashable values"
        raise SettingError(argument=name, got=given, expected=expected) from error
    if distinct < len(symbols) or not symbols:
        raise SettingError(argument=name, got=given, expected="at least one, and each once")
    return symbols
