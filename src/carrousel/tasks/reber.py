"""The embedded Reber grammar: Experiment 1 (section 5.1, Table 1).

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Literal

import numpy as np

from carrousel import _native
from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import later
from carrousel.errors import DataError, SettingError
from carrousel.sequences import Sequences
from carrousel.shapes import Bools, Floats, Ints
from carrousel.tasks.strings import Strings, copies, draw_picks

SYMBOLS = "BTPSXVE"
"""The order of input and output units."""

GRAMMAR = (
    (("B", 1),),
    (("T", 2), ("P", 3)),
    (("S", 2), ("X", 4)),
    (("T", 3), ("V", 5)),
    (("X", 3), ("S", 6)),
    (("P", 4), ("V", 6)),
    (("E", 7),),
)
"""The Reber grammar: for each state, pairs of a legal symbol and the state after it.

State 7 is the end. Two legal symbols have probability 0.5 each.
"""

Transitions = tuple[tuple[tuple[str, int], ...], ...]

MEAN_LENGTH = 12.0  # expected: 8 symbols of the inner string, 4 around it
MOST_STRINGS = 4096  # drawing more distinct strings would take too long


def _embed(grammar: Transitions) -> Transitions:
    """Return the automaton of ``B T <string> T E`` and ``B P <string> P E``; the end is last.

    There is one copy of the grammar for each of the two outer symbols.
    """
    size = len(grammar) + 1  # states of a copy, its end included
    copies = {"T": 2, "P": 2 + size}
    before_last = 2 + 2 * size
    states = [(("B", 1),), tuple(copies.items())]
    for outer, first in copies.items():
        states += [tuple((s, first + to) for s, to in state) for state in grammar]
        states.append(((outer, before_last),))
    return (*states, (("E", before_last + 1),), ())


EMBEDDED = _embed(GRAMMAR)
END = len(EMBEDDED) - 1

# The automaton by symbol: state x symbol -> state, or -1 if the symbol is not legal.
_AFTER = np.full((len(EMBEDDED), len(SYMBOLS)), -1, dtype=np.int32)
for _state, _choices in enumerate(EMBEDDED):
    for _symbol, _to in _choices:
        _AFTER[_state, SYMBOLS.index(_symbol)] = _to

_IS_LEGAL = _AFTER >= 0  # state x symbol

# The automaton by coin: state x {0, 1} -> letter and state. After the end all letters are NUL.
_COINS = [tuple(choices or [("\0", END)]) for choices in EMBEDDED]
_LETTER = np.array([[ord(c[coin % len(c)][0]) for coin in (0, 1)] for c in _COINS], dtype=np.uint8)
_TO = np.array([[c[coin % len(c)][1] for coin in (0, 1)] for c in _COINS], dtype=np.int64)

_SYMBOL_OF = np.zeros(256, dtype=np.int32)
_SYMBOL_OF[np.frombuffer(SYMBOLS.encode(), dtype=np.uint8)] = np.arange(len(SYMBOLS))


@dataclass(frozen=True)
class EmbeddedReber:
    """Experiment 1: predict the next symbol of embedded Reber strings.

    A string is ``B T <Reber string> T E`` or ``B P <Reber string> P E``, with equal probabilities
    of all choices. The target at every step but the last is the actual next symbol, although often
    two are legal (the paper does not say which of the two the targets are). A string is correct if
    at each of these steps all legal successors are more active than all other symbols. The symbol
    before the last must equal the second one.

    :meth:`draw` draws the training set, then test strings that are not in it. The paper does not
    say whether a string may occur twice in a set. By default it may, as in strings "drawn at
    random"; with ``distinct`` it may not.

    Args:
        n_train: number of training strings, 1 to 4096.
        n_test: number of test strings, 1 to 4096.
        distinct: whether all strings of a set differ.
        order: order in which :meth:`sample` picks training strings. ``"random"``: independently,
            with replacement. ``"epochs"``: passes over the training set, each in a random order.
        target: target of a step. ``"next"``: the next symbol. ``"legal"``: all legal symbols, as a
            vector with a 1 for each.
        margin: distance of targets from 0 and 1. With 0.1, they are 0.1 and 0.9, so that outputs
            can reach them.
        judged: strings that :meth:`test` returns: the ``"training"`` set, the ``"test"`` set, or
            ``"both"``, as in section 5.1.
        train: the training strings; None: not drawn yet.
        test_set: the test strings; None: not drawn yet.

    Raises:
        UnknownNameError: ``order``, ``target`` or ``judged`` is unknown.
        SettingError: a number is out of range; one set is given without the other, or has another
            size than stated.
        DataError: a set has something that is not an embedded Reber string.

    >>> task = EmbeddedReber().draw(np.random.default_rng(0))
    >>> len(task.test(np.random.default_rng(0), 1))  # training and test strings
    512
    >>> one = task.sample(np.random.default_rng(2), 1)
    >>> "".join(SYMBOLS[symbol] for symbol in one.inputs)
    'BTBPVVETE'
    >>> "".join(SYMBOLS[symbol] for symbol in one.targets)
    'TBPVVETE'
    >>> legal = replace(task, target="legal").sample(np.random.default_rng(2), 1)
    >>> ["".join(SYMBOLS[k] for k in np.flatnonzero(row)) for row in legal.targets][:5]
    ['TP', 'B', 'TP', 'TV', 'PV']
    """

    n_train: int = 256
    n_test: int = 256
    distinct: bool = False
    order: Literal["random", "epochs"] = later("random")
    target: Literal["next", "legal"] = later("next")
    judged: Literal["both", "test", "training"] = later("both")
    margin: float = later(0.0)
    train: Sequences | None = field(default=None, repr=False)
    test_set: Sequences | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_int("n_train", self.n_train, minimum=1, maximum=MOST_STRINGS)
        check_int("n_test", self.n_test, minimum=1, maximum=MOST_STRINGS)
        if not isinstance(self.distinct, bool):
            raise SettingError(argument="distinct", got=self.distinct, expected="True or False")
        check_choice("order", self.order, ("random", "epochs"))
        check_choice("target", self.target, ("next", "legal"))
        check_choice("judged", self.judged, ("both", "test", "training"))
        if not check_number("margin", self.margin, least=0.0) < 0.5:
            raise SettingError(argument="margin", got=self.margin, expected="at least 0, below 0.5")
        if (self.train is None) != (self.test_set is None):
            raise SettingError(
                "train and test_set belong together",
                argument="train" if self.train is None else "test_set",
                fix="give both, or call draw(rng)",
            )
        sizes = {"train": ("n_train", self.n_train), "test_set": ("n_test", self.n_test)}
        for name, data in (("train", self.train), ("test_set", self.test_set)):
            if data is None:
                continue
            which, size = sizes[name]
            if len(data) != size:
                raise SettingError(
                    f"{name} has {len(data)} strings, but {which} is {size}",
                    argument=which,
                    got=size,
                    expected=str(len(data)),
                )
            if (_walk(data)[data.offsets[1:] - 1] != END).any():
                raise DataError(f"{name} has a string without its last E", argument=name)

    @property
    def n_inputs(self) -> int:
        """Seven symbols, in the order of :data:`SYMBOLS`."""
        return len(SYMBOLS)

    @property
    def n_outputs(self) -> int:
        """Seven symbols."""
        return len(SYMBOLS)

    @property
    def tolerance(self) -> float:
        """0.0, which no error is below: where two symbols are legal, no error can stay small.

        Success is defined by :meth:`correct` alone.
        """
        return 0.0

    @property
    def mean_length(self) -> float:
        """Mean length of the training strings; before they are drawn, 12, by the grammar."""
        return MEAN_LENGTH if self.train is None else float(self.train.lengths.mean())

    def draw(self, rng: np.random.Generator) -> EmbeddedReber:
        """Return a copy with a new training set and test set."""
        train = _collect(rng, self.n_train, self.distinct, banned=())
        test = _collect(rng, self.n_test, self.distinct, banned=train)
        return replace(self, train=_from_strings(train), test_set=_from_strings(test))

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Pick ``n`` training strings, in the order given by :attr:`order`.

        With ``"epochs"``, every call starts a new pass over the ``n_train`` strings. If ``n`` is no
        multiple of ``n_train``, the last pass is incomplete.

        Raises:
            SettingError: no training set has been drawn.
        """
        train = self._strings
        if self.order == "random":
            picks = draw_picks(rng, n, self.n_train)
        else:
            check_int("n", n, minimum=1)
            passes = np.tile(np.arange(self.n_train), (-(-n // self.n_train), 1))
            picks = rng.permuted(passes, axis=1).ravel()[:n]
        return self._with_targets(copies(train, picks))

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Return all training strings, then all test strings, or one set (see :attr:`judged`).

        ``n`` and ``rng`` are not used.

        Raises:
            SettingError: no sets have been drawn.
        """
        return self._judged

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether all legal next symbols are the most active outputs at every step.

        Raises:
            ShapeError: ``outputs`` is not ``[M, 7]``.
            DataError: ``data`` have something that is not a string of the grammar.
        """
        data.check_outputs(outputs)
        _check_kind(data)
        right = np.ones(len(data), bool)
        if len(data) == 0:
            return right
        single = outputs.dtype == np.float32
        judge = _native.judge_strings if single else _native.judge_strings_double
        try:
            stopped = judge(
                _AFTER,
                np.ascontiguousarray(data.inputs),
                np.ascontiguousarray(data.offsets),
                np.ascontiguousarray(data.target_steps),
                np.ascontiguousarray(data.target_offsets),
                np.ascontiguousarray(outputs, np.float32 if single else np.float64),
                right,
            )
        except ValueError as refused:  # a symbol is outside the alphabet
            raise DataError(str(refused), argument="data") from None
        _check_legal(data, stopped)
        return right

    @cached_property
    def _judged(self) -> Sequences:
        sets = {"training": self._drawn(self.train), "test": self._drawn(self.test_set)}
        return self._with_targets(
            Sequences.concatenate([sets[x] for x in sets if self.judged in (x, "both")])
        )

    def _with_targets(self, data: Sequences) -> Sequences:
        """Return strings, whose targets are next symbols, with the targets of this task."""
        if self.target == "legal":
            wanted = _IS_LEGAL.astype(np.float32).take(_walk(data)[data.target_steps], axis=0)
        elif self.margin:
            wanted = np.eye(len(SYMBOLS), dtype=np.float32)[data.targets]
        else:
            return data
        wanted = np.clip(wanted, self.margin, 1 - self.margin, dtype=np.float32)
        return replace(data, targets=wanted)

    @cached_property
    def _strings(self) -> Strings:
        train = self._drawn(self.train)
        symbols, offsets = np.ascontiguousarray(train.inputs), np.ascontiguousarray(train.offsets)
        return Strings(symbols, offsets, len(SYMBOLS))

    @staticmethod
    def _drawn(data: Sequences | None) -> Sequences:
        if data is None:
            raise SettingError(
                "no strings have been drawn", fix="use the task that draw(rng) returns"
            )
        return data


def _draw_strings(rng: np.random.Generator, n: int) -> list[bytes]:
    """Draw ``n`` strings in parallel, with one coin for each at each step."""
    state, letters = np.zeros(n, dtype=np.int64), []
    while (state != END).any():
        coin = rng.integers(0, 2, n, dtype=np.uint8)
        letters.append(_LETTER[state, coin])
        state = _TO[state, coin]
    rows = np.stack(letters, axis=1)
    return rows.view(f"S{rows.shape[1]}")[:, 0].tolist()  # NumPy drops the trailing NULs


def _collect(
    rng: np.random.Generator, count: int, distinct: bool, banned: Collection[bytes]
) -> list[bytes]:
    found: list[bytes] = []
    barred = set(banned)
    while len(found) < count:
        for string in _draw_strings(rng, 2 * count):
            if string not in barred:
                found.append(string)
                if distinct:
                    barred.add(string)
    return found[:count]


def _from_strings(strings: list[bytes]) -> Sequences:
    lengths = [len(string) for string in strings]
    letters = np.frombuffer(b"".join(strings), dtype=np.uint8)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    whole = Strings(_SYMBOL_OF[letters], offsets, len(SYMBOLS))
    return copies(whole, np.arange(len(strings)))


def _walk(data: Sequences) -> Annotated[Ints, "steps"]:
    """Return the automaton's state after each step of each string."""
    _check_kind(data)
    data.check_contents()
    states = np.empty(data.n_steps, dtype=np.int64)
    if len(data):
        symbols, offsets = np.ascontiguousarray(data.inputs), np.ascontiguousarray(data.offsets)
        _check_legal(data, _native.walk_strings(_AFTER, symbols, offsets, states))
    return states


def _check_kind(data: Sequences) -> None:
    if not data.symbolic or data.n_inputs != len(SYMBOLS):
        raise DataError(
            f"data must be strings over the {len(SYMBOLS)} symbols {SYMBOLS}", argument="data"
        )


def _check_legal(data: Sequences, stopped: int) -> None:
    """Raise an error unless the automaton stopped at the end of the data."""
    if stopped < data.n_steps:
        string = int(np.searchsorted(data.offsets, stopped, side="right")) - 1
        step = stopped - int(data.offsets[string])
        raise DataError(
            f"sequence {string} breaks the grammar at its step {step}, from 0", argument="data"
        )
