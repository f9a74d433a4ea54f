"""Settings of a model, checked, and the network and kernel that follow from them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import Cell, Gradient, Init, Network, Streaming, StreamKernel
from carrousel.contracts.initial import initial_weights
from carrousel.contracts.network import Wiring
from carrousel.contracts.streaming import Optimizer
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.kernels import open_stream
from carrousel.online.model.features import Named, Numbers, Reader, Symbols
from carrousel.online.model.heads import Classes, Head, Labels, Values
from carrousel.online.model.values import plain
from carrousel.shapes import Floats

EPSILON = 1e-3
"""Of RMSProp and Adam. A weight that hardly ever moves, such as that of a rare symbol, has next to
no mean square: divided by its root alone, a gradient that comes at last would throw it far off."""

TASKS = ("regression", "binary", "multiclass", "next")


@dataclass(frozen=True)
class Settings:
    """The arguments of OnlineLSTM, checked; see there."""

    task: str
    cells: int
    block_size: int
    forget_gate: bool
    wiring: Wiring
    gradient: str
    optimizer: Optimizer
    learning_rate: float
    decay: float | None
    clip: float | None
    standardise: bool
    horizon: float | None
    classes: Sequence[Hashable] | None
    symbols: Sequence[Hashable] | int | None
    missing: str
    unseen: str
    streams: int
    evict_after: int | None

    def __post_init__(self) -> None:
        check_choice("task", self.task, TASKS)
        check_int("cells", self.cells, minimum=1, maximum=4096)
        check_int("block_size", self.block_size, minimum=1, maximum=4096)
        if self.cells % self.block_size:
            raise SettingError(
                f"cells is {self.cells}, expected a multiple of block_size, {self.block_size}"
            )
        for name in ("forget_gate", "standardise"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise SettingError(f"{name} is {getattr(self, name)!r}, expected True or False")
        check_choice("wiring", self.wiring, ("cells", "full"))
        check_choice("optimizer", self.optimizer, get_args(Optimizer))
        check_number("learning_rate", self.learning_rate, least=0.0)
        if self.decay is not None:
            check_number("decay", self.decay, above=0.0)
        if self.clip is not None:
            check_number("clip", self.clip, above=0.0)
        if self.horizon is not None:
            check_number("horizon", self.horizon, least=1.0)
        check_choice("missing", self.missing, ("error", "mean"))
        check_choice("unseen", self.unseen, ("error", "grow"))
        check_int("streams", self.streams, minimum=1, maximum=2**20)
        if self.evict_after is not None:
            check_int("evict_after", self.evict_after, minimum=1)
        if not isinstance(self.gradient, str):
            raise SettingError(f"gradient is {self.gradient!r}, expected a name such as 'rtrl'")
        Gradient.named(self.gradient)
        self._check_names()

    def _check_names(self) -> None:
        if self.classes is not None:
            if self.task not in ("binary", "multiclass"):
                raise SettingError(f"classes are given, but task {self.task!r} has none")
            if self.task == "binary" and len(self.classes) != 2:
                raise SettingError(f"classes are {self.classes!r}, expected two for task 'binary'")
        if self.task == "next" and self.symbols is None and self.unseen == "error":
            raise SettingError(
                "symbols is None; expected the alphabet for task 'next': a list of symbols, a text "
                "with each character, or n for 0 .. n - 1; or say unseen='grow'"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Check what a constructor was given."""
        named: dict[str, Any] = dict(given)
        named |= {n: int(v) for n, v in given.items() if isinstance(v, np.integer)}
        named["classes"] = alphabet("classes", named["classes"])
        if isinstance(named["symbols"], int):
            named["symbols"] = check_int("symbols", named["symbols"], minimum=1, maximum=2**24)
        else:
            named["symbols"] = alphabet("symbols", named["symbols"])
        return cls(**named)

    @property
    def grow(self) -> bool:
        return self.unseen == "grow"

    def first_reader(self, x: Any) -> Reader:
        """The reader that a first row makes."""
        if self.task == "next" or self.symbols is not None:
            return Symbols(() if self.symbols is None else self.symbols, self.grow)
        missing = self.missing == "mean"
        if isinstance(x, Mapping):
            return Named.of(x, missing, self.grow)
        if isinstance(x, str):
            raise DataError(
                f"x is the text {x!r}, expected a mapping or a sequence of numbers; where rows are "
                "single symbols, say symbols= or task='next'"
            )
        try:
            shape = np.shape(x)
        except ValueError:
            shape = None
        if shape is None or len(shape) != 1 or not shape[0]:
            raise ShapeError(
                f"x is {x!r}, expected a row: a mapping from names to values, or a sequence of at "
                "least one number"
            )
        reader = Numbers(shape[0], missing)
        reader.read(x)
        return reader

    def first_head(self, y: Any) -> Head:
        """The head of a model that has met no target; ``y`` tells how many numbers are one."""
        if self.task == "regression":
            return Values(None if y is None or np.ndim(y) == 0 else len(y))
        if self.task == "binary":
            return Labels(*((c,) for c in self.classes)) if self.classes else Labels((), ())
        if self.task == "multiclass":
            return Classes(self.classes or (), self.grow or self.classes is None)
        return Classes(() if self.symbols is None else self.symbols, self.grow)

    def network(self, reader: Reader, head: Head) -> Network:
        """Cells between the columns of a reader and the outputs of a head."""
        blocks = self.cells // self.block_size
        cell = Cell(blocks, self.block_size, forget_gate=bool(self.forget_gate))
        bare = Network(reader.n_columns, head.n_outputs, cell, wiring=self.wiring, bias="all")
        reach = 1 / np.sqrt(self._sources(bare, reader))
        init = Init(
            range=float(reach),
            output_range=float(reach) / 10,
            forget_gate_bias=(1.0,) * blocks if self.forget_gate else (),
        )
        return Network(
            reader.n_columns, head.n_outputs, cell, wiring=self.wiring, bias="all", init=init
        )

    @staticmethod
    def _sources(network: Network, reader: Reader) -> int:
        """What a unit hears at a time: of a one-hot vector, only one."""
        return network.n_sources - (reader.n_columns - 1 if isinstance(reader, Symbols) else 0)

    def open(self, reader: Reader, head: Head, seed: int) -> StreamKernel:
        """A kernel at the beginning, with a place to spare for streams that have not begun."""
        symbols = isinstance(reader, Symbols)
        streaming = Streaming(
            head=head.kind,
            optimizer=self.optimizer,
            rate=float(self.learning_rate),
            decay=float(self.decay or 0.0),
            epsilon=EPSILON,
            clip=self.clip,
            gradient=self.gradient,
            symbols=symbols,
            scale_targets=bool(self.standardise) and head.kind == "linear",
            horizon=float(self.horizon or 0.0),
            missing=self.missing == "mean" and not symbols,
        )
        network = self.network(reader, head)
        scaled = reader.scaled & bool(self.standardise)
        try:
            weights = self.weights(network, seed)
            return open_stream(network, streaming, weights, self.streams + 1, scaled, seed=seed)
        except MemoryError as error:
            raise SettingError(
                f"memory does not hold {network.n_weights:,} weights and, for {self.streams:,} "
                f"streams, their traces ({self.gradient}); ask for fewer cells or streams, or "
                "gradient='truncated'"
            ) from error

    @staticmethod
    def weights(network: Network, seed: int) -> Annotated[Floats, "W"]:
        """Initial weights of a network."""
        return initial_weights(network, np.random.default_rng(seed))


def alphabet(name: str, given: Any) -> tuple[Hashable, ...] | None:
    """Distinct symbols or classes, as a tuple of plain objects."""
    if given is None:
        return None
    try:
        symbols = tuple(plain(symbol) for symbol in given)
        distinct = len(set(symbols))
    except TypeError as error:
        raise SettingError(f"{name} is {given!r}, expected a list of hashable things") from error
    if distinct < len(symbols) or not symbols:
        raise SettingError(f"{name} is {given!r}, expected at least one, and each once")
    return symbols
