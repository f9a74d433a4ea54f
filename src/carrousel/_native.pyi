"""Compiled kernels of carrousel."""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def instruction_set() -> str:
    """
    Name of the fastest instruction set of this processor, which kernels use by default.
    """

def available_instruction_sets() -> list[str]:
    """
    Names of all instruction sets that this processor can run, fastest first.
    """

def lane_width(instruction_set: str = '') -> int:
    """Number of lanes in one vector of an instruction set."""

def run_lanes(shape: dict, update: str, output_derivative: bool, derivative_floor: float, derivative_offset: float, error_tolerance: float, factors: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, initial_activation: float, learn: bool, gradient: str, depth: int, stride: int, paths: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, weights: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], gradients: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')] | None, rates: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], cells_from: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], data: list, threads: int, instruction_set: str = '') -> None:
    """
    Learn or predict with many lanes, or compute their gradients; carrousel/kernels/native/lanes.py makes the arguments.
    """

def learn_chunkers(job: dict, below: object, above: object, data: list, threads: int, instruction_set: str = '') -> None:
    """
    Learn with pairs of nets; carrousel/kernels/native/chunker.py makes the arguments.
    """

def predict_chunkers(job: dict, below: object, data: list, threads: int, instruction_set: str = '') -> None:
    """Predict with the lower nets of pairs."""

def chunker_bytes(job: dict) -> int:
    """Bytes that a thread needs to run a pair of nets."""

def sequence_forward(dtype: str, description: dict, call: dict) -> None:
    """
    Forward pass of one direction of one layer; carrousel/kernels/native/sequence.py makes the call.
    """

sequence_norms: int = 16

sequence_window_bytes: int = 2097152

sequence_window_rows: int = 384

def sequence_backward(dtype: str, description: dict, call: dict) -> None:
    """Backward pass of sequence_forward."""

class UnmaskedLayerFloat:
    """One direction of one layer without masks, resets and recomputation."""

    def __init__(self, description: dict, instruction_set: str = '') -> None: ...

    def forward(self, x: object, h0: object | None, s0: object | None, weights: tuple, out: object, h: object | None, s: object | None, states: object | None, gates: object | None, extra: object | None, reverse: bool, cut: int, zone_h: float, zone_s: float, threads: int) -> None:
        """Write outputs, the last state, and the tape; None: not wanted."""

    def backward(self, x: object, h0: object | None, s0: object | None, weights: tuple, tape: tuple, errors: tuple, gradients: tuple, reverse: bool, cut: int, zone_h: float, zone_s: float, threads: int) -> None:
        """Write the wanted gradients of forward."""

class UnmaskedLayerDouble:
    """One direction of one layer without masks, resets and recomputation."""

    def __init__(self, description: dict, instruction_set: str = '') -> None: ...

    def forward(self, x: object, h0: object | None, s0: object | None, weights: tuple, out: object, h: object | None, s: object | None, states: object | None, gates: object | None, extra: object | None, reverse: bool, cut: int, zone_h: float, zone_s: float, threads: int) -> None:
        """Write outputs, the last state, and the tape; None: not wanted."""

    def backward(self, x: object, h0: object | None, s0: object | None, weights: tuple, tape: tuple, errors: tuple, gradients: tuple, reverse: bool, cut: int, zone_h: float, zone_s: float, threads: int) -> None:
        """Write the wanted gradients of forward."""

class StepFloat:
    """
    Layers of one recurrence, one step per call, with copies of weights and state.
    """

    def __init__(self, recurrence: dict, weights: list, batch: int, inputs: int, zone_h: float = 0.0, zone_s: float = 0.0, storage: str = '', instruction_set: str = '') -> None: ...

    def run(self) -> None:
        """One step, from `input` to `output`."""

    def prepare(self) -> None:
        """Compute the part of the next step that needs no input."""

    def load(self, weights: list) -> None:
        """Replace all weights by others of these shapes."""

    def reset(self, row: int | None = None) -> None:
        """Reset the state of all rows or one."""

    def read_state(self, h: object, s: object) -> None:
        """Copy the state out."""

    def write_state(self, h: object, s: object) -> None:
        """Copy a state in."""

    @property
    def input(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
        """Inputs [B, I] of the next step, to be written by the caller."""

    @property
    def output(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
        """Outputs [B, O] of the last step; the next step overwrites them."""

class StepDouble:
    """
    Layers of one recurrence, one step per call, with copies of weights and state.
    """

    def __init__(self, recurrence: dict, weights: list, batch: int, inputs: int, zone_h: float = 0.0, zone_s: float = 0.0, storage: str = '', instruction_set: str = '') -> None: ...

    def run(self) -> None:
        """One step, from `input` to `output`."""

    def prepare(self) -> None:
        """Compute the part of the next step that needs no input."""

    def load(self, weights: list) -> None:
        """Replace all weights by others of these shapes."""

    def reset(self, row: int | None = None) -> None:
        """Reset the state of all rows or one."""

    def read_state(self, h: object, s: object) -> None:
        """Copy the state out."""

    def write_state(self, h: object, s: object) -> None:
        """Copy a state in."""

    @property
    def input(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]:
        """Inputs [B, I] of the next step, to be written by the caller."""

    @property
    def output(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]:
        """Outputs [B, O] of the last step; the next step overwrites them."""

class Live:
    """Nets of an ensemble that read one series row by row."""

    def __init__(self, features: dict, nets: list, temperature: float) -> None: ...

    def push(self, row: object | None, time: object | None) -> None:
        """Read one row."""

    def reset(self) -> None:
        """Begin a new series."""

    @property
    def outputs(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
        """Outputs [nets, O] after the last row; the next row overwrites them."""

    @property
    def answer(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]:
        """
        Mean over nets of the outputs [O], or of their softmax if temperature > 0.
        """

class StreamFloat:
    """A network that learns at every step of one or many streams."""

    def __init__(self, settings: dict, scaled: object, instruction_set: str = '') -> None: ...

    def peek(self, stream: int) -> int:
        """Compute `outputs`, keep the state unchanged."""

    def advance(self, stream: int) -> int:
        """Run one step from `input` to `outputs`."""

    def learn(self, stream: int, weight: float, back: int) -> int:
        """
        Learn `target`, the target of the last step, or of one `back` steps before.
        """

    def step(self, stream: int, weight: float) -> int:
        """Advance, and learn unless `target` is NaN."""

    def run(self, streams: object, x: object, targets: object | None, weights: object | None, owners: object | None, backs: object | None, targets_first: bool, outputs: object, bounds: object | None) -> tuple[int, int]:
        """Process rows in order; return how many were processed, and an outcome."""

    def recall(self, stream: int) -> int:
        """Write `outputs` and `bounds` of the last step."""

    def reset(self, stream: int) -> int:
        """Reset a stream."""

    def parts(self) -> dict:
        """Name of each part of the state -> (one per stream, shape)."""

    def read(self, name: str, stream: int, to: object) -> None: ...

    def write(self, name: str, stream: int, source: object) -> None: ...

    def flags(self) -> list[int]:
        """For each stream: 0 unused, 1 used, 3 waiting for a target."""

    def set_flags(self, stream: int, flags: int) -> None: ...

    def finite(self) -> bool:
        """Whether all weights and running gradients are finite."""

    @property
    def rate(self) -> float: ...

    @rate.setter
    def rate(self, arg: float, /) -> None: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def lost(self) -> float:
        """Number of targets that came too late."""

    @property
    def input(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def target(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def outputs(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def bounds(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

class StreamDouble:
    """A network that learns at every step of one or many streams."""

    def __init__(self, settings: dict, scaled: object, instruction_set: str = '') -> None: ...

    def peek(self, stream: int) -> int:
        """Compute `outputs`, keep the state unchanged."""

    def advance(self, stream: int) -> int:
        """Run one step from `input` to `outputs`."""

    def learn(self, stream: int, weight: float, back: int) -> int:
        """
        Learn `target`, the target of the last step, or of one `back` steps before.
        """

    def step(self, stream: int, weight: float) -> int:
        """Advance, and learn unless `target` is NaN."""

    def run(self, streams: object, x: object, targets: object | None, weights: object | None, owners: object | None, backs: object | None, targets_first: bool, outputs: object, bounds: object | None) -> tuple[int, int]:
        """Process rows in order; return how many were processed, and an outcome."""

    def recall(self, stream: int) -> int:
        """Write `outputs` and `bounds` of the last step."""

    def reset(self, stream: int) -> int:
        """Reset a stream."""

    def parts(self) -> dict:
        """Name of each part of the state -> (one per stream, shape)."""

    def read(self, name: str, stream: int, to: object) -> None: ...

    def write(self, name: str, stream: int, source: object) -> None: ...

    def flags(self) -> list[int]:
        """For each stream: 0 unused, 1 used, 3 waiting for a target."""

    def set_flags(self, stream: int, flags: int) -> None: ...

    def finite(self) -> bool:
        """Whether all weights and running gradients are finite."""

    @property
    def rate(self) -> float: ...

    @rate.setter
    def rate(self, arg: float, /) -> None: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def lost(self) -> float:
        """Number of targets that came too late."""

    @property
    def input(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def target(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def outputs(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def bounds(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

panel_words: int = 128

def draw_panel(key: int, stream: int, attempt: int, number: int, words: object, instruction_set: str = '') -> None:
    """Write the words [128] of a panel of Philox 4x32-10."""

def gaussians(words: object, deviation: float, values: object, instruction_set: str = '') -> None:
    """Turn whole panels of words [n] into Gaussians [n] with mean 0."""

def draw_gaussians(key: int, stream: int, deviation: float, values: object, instruction_set: str = '') -> None:
    """Draw Gaussians [n] with mean 0 from one stream."""

def draw_lengths(key: int, least: int, most: int, offsets: object, instruction_set: str = '') -> None:
    """
    Write offsets [N + 1] of sequences whose lengths are uniform on least to most.
    """

def draw_geometric_lengths(key: int, least: int, offsets: object, instruction_set: str = '') -> None:
    """
    Write offsets [N + 1] of lengths least + k, with probability 0.1 * 0.9^k.
    """

def draw_pairs(key: int, offsets: object, inputs: object, targets: object, *, length: int, product: bool, hide_value: bool, hide_marker: bool, skip_first: bool, second_counts: bool, instruction_set: str = '') -> None:
    """
    Draw inputs [steps, 2] and targets [N, 1] of the adding or the multiplication problem.
    """

def draw_two_classes(key: int, offsets: object, inputs: object, targets: object, *, informative: int, noisy: bool, deviation: float, first_goal: float, second_goal: float, target_deviation: float, instruction_set: str = '') -> None:
    """Draw inputs [steps, 1] and targets [N, 1] of the 2-sequence problem."""

def draw_latched(key: int, offsets: object, inputs: object, targets: object, *, wide: bool, deviation: float, goal: float, instruction_set: str = '') -> None:
    """
    Draw inputs [steps, 3 if wide else 1] and targets [N, 1] of the latch problem.
    """

def draw_ones(key: int, offsets: object, inputs: object, targets: object, *, pause: int, noise: float, instruction_set: str = '') -> None:
    """Draw inputs [steps, 1] and targets [N, 1] of the parity problem."""

def draw_lags(key: int, p: int, first_target: int, inputs: object, targets: object, target_steps: object, instruction_set: str = '') -> None:
    """
    Draw inputs [N (p + 1)] of Experiment 2b, with targets [N (p - first_target)].
    """

def draw_long_lags(key: int, offsets: object, p: int, inputs: object, targets: object, instruction_set: str = '') -> None:
    """Draw inputs [steps] and targets [N] of Experiment 2c."""

def draw_order(key: int, offsets: object, places: Sequence[tuple[int, int]], inputs: object, targets: object, instruction_set: str = '') -> None:
    """
    Draw inputs [steps] and targets [N] of Experiment 6; places are (first, last) steps.
    """

def draw_picks(key: int, count: int, picks: object, instruction_set: str = '') -> None:
    """Draw numbers [N] that are uniform on 0 to count - 1."""

def copy_strings(symbols: object, set_offsets: object, picks: object, offsets: object, inputs: object, targets: object, target_steps: object) -> None:
    """
    Copy strings of a set, with the next symbol as the target of every step but the last.
    """

def walk_strings(after: object, symbols: object, offsets: object, states: object) -> int:
    """
    Write the state of an automaton after each step; return the first illegal step, if any, else the number of steps.
    """

def judge_strings(after: object, symbols: object, offsets: object, target_steps: object, target_offsets: object, outputs: object, right: object) -> int:
    """
    Write whether all legal next symbols have the largest outputs (float32) at all targets of a string; return what walk_strings returns.
    """

def judge_strings_double(after: object, symbols: object, offsets: object, target_steps: object, target_offsets: object, outputs: object, right: object) -> int:
    """The same for outputs in float64."""

class CascadeBatch:
    """
    The distinct sequences of an epoch of cascade-correlation, and the activations of hidden units; carrousel/kernels/native/cascade.py makes the arguments.
    """

    def __init__(self, arrays: dict, instruction_set: str = '') -> None: ...

    def grow(self, weights: object, tanh: bool) -> None:
        """Add a hidden unit."""

    def train_outputs(self, weights: object, offset: float, errors: object, slopes: object, sums: object) -> None:
        """Write errors of outputs and slopes of their weights."""

    def train_pool(self, weights: object, errors: object, tanh: bool, normalised: bool, merits: object, slopes: object) -> None:
        """Write correlations of candidates and slopes of their weights."""

    def predict(self, weights: object, outputs: object) -> None:
        """Write the outputs at all targets."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""

def distinct_sequences(inputs: object, offsets: object, targets: object, target_offsets: object, target_steps: object, which: object) -> bytes:
    """
    Write to `which` the place of each sequence among the distinct ones, longest first; return these and how often each occurs.
    """

class Neighbours:
    """The nearest of recent rows."""

    def __init__(self, inputs: int, values: int, streams: int, rows: int, k: int, instruction_set: str = '') -> None: ...

    def mean(self, x: object, to: object) -> float:
        """Write the mean of the nearest targets, return the sum of weights."""

    def keep(self, stream: int) -> None:
        """Keep the row of the last mean."""

    def learn(self, stream: int, target: object) -> None: ...

class ClassExperts:
    """Experts for classes and symbols, mixed with a network."""

    def __init__(self, settings: dict, instruction_set: str = '') -> None: ...

    def look(self, stream: int, symbol: int, x: object | None, net: object, mixed: object) -> None:
        """Write mixed probabilities, change nothing."""

    def keep(self, stream: int) -> None:
        """Advance by the step of the last look."""

    def learn(self, stream: int, target: int, weight: float = 1.0) -> None:
        """Learn the class of the kept step."""

    def reset(self, stream: int) -> None:
        """Reset a stream."""

    def copy(self, source: int, to: int) -> None:
        """Copy the state of a stream."""

    def parts(self) -> dict:
        """Name of each part of the state -> (one per stream, shape)."""

    def read(self, name: str, stream: int, to: object) -> None: ...

    def write(self, name: str, stream: int, source: object) -> None: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def experts(self) -> int: ...
