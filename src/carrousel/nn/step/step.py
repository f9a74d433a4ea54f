"""One step a call, for streams and control loops: a module's weights, packed, with a state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from carrousel.checks import check_int
from carrousel.errors import InputError, OptionTypeError, SettingError
from carrousel.nn.call.inputs import State, described
from carrousel.nn.cells import StepCell
from carrousel.nn.recurrent import Recurrent
from carrousel.nn.step.engines import open_engine
from carrousel.nn.weights import LayerWeights


class Step:
    """A module that runs one step a call and keeps its state; made by :func:`step`.

    Attributes:
        input: ``[B, I]``, the buffer a step reads; an array of NumPy on the CPU's float types.
        output: ``[B, O]``, the buffer a step writes.
        is_compiled: whether a step is one call of compiled code.
    """

    def __init__(self, module: Recurrent | StepCell, batch_size: int) -> None:
        self._module = module
        self._is_stack = isinstance(module, Recurrent)
        with torch.inference_mode(False):  # buffers made inside it could not be written outside
            weights = self._weights()
            self._engine = open_engine(module.recurrence, weights, batch_size, module.zoneout)
        x, y = self._engine.input, self._engine.output
        self._dtype = x.dtype
        self._run = self._engine.run
        # Shape of x: how it is taken, and what is handed back.
        self._doors = {tuple(x.shape): (x.copy_, y)}
        if batch_size == 1:
            self._doors[(x.shape[1],)] = (x[0].copy_, y[0])
        self.is_compiled = self._engine.is_compiled
        self.input = _shown(x)
        self.output = _shown(y)

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Run one step.

        Args:
            x: ``[B, I]``, or ``[I]`` with a batch of one; of the module's type.
            out: where the output goes; None: the stepper's own buffer.

        Returns:
            ``[B, O]`` (``[O]`` for ``[I]``): ``out``, or the stepper's own buffer, **which the
            next step overwrites**. To keep it, pass ``out`` or call ``.clone()``.

        Raises:
            InputError: wrong shape or type.
        """
        try:
            take, y = self._doors[x.shape]
            if x.dtype is not self._dtype:
                raise KeyError
        except (KeyError, AttributeError, TypeError):
            raise self._refusal("x", x, "I", self.input.shape) from None
        if out is not None and (
            not isinstance(out, Tensor) or out.shape != y.shape or out.dtype is not self._dtype
        ):
            raise self._refusal("out", out, "O", self.output.shape)
        take(x.detach() if x.requires_grad else x)
        self._run()
        return y if out is None else out.copy_(y)

    def advance(self) -> None:
        """Run one step from :attr:`input` to :attr:`output`; the way without any tensor."""
        self._run()

    def prepare(self) -> None:
        """Do now what of the next step needs no input: the products of state and weights.

        Call it in the time left after a step; the next one then takes about half as long from
        input to output (less where the input is narrow). Results are the same.
        """
        self._engine.prepare()

    def reset(self, index: int | None = None) -> None:
        """Start anew from zero or the learned initial state.

        Args:
            index: one sequence of the batch; None: all.
        """
        if index is not None:
            index = check_int("index", index, minimum=0, maximum=len(self.output) - 1)
        self._engine.reset(index)

    def refresh(self) -> None:
        """Copy the module's weights again, after they have changed; the state stays."""
        self._engine.load(self._weights())

    @property
    def state(self) -> State:
        """A copy of the state in the module's form: ``h [layers, B, K]``, or ``(h, c)``.

        Without ``layers`` for a cell. It is what the module takes as ``hx``, and may be set.
        """
        h, s = self._engine.read()
        if not self._is_stack:
            h, s = h[0], s[0]
        return (h, s) if self._module.recurrence.n_states else h

    @state.setter
    def state(self, state: State) -> None:
        h, s = self._engine.read()
        if not self._module.recurrence.n_states:
            self._engine.write(self._read("h", state, h), s)
        elif isinstance(state, tuple | list) and len(state) == 2:
            self._engine.write(self._read("h", state[0], h), self._read("c", state[1], s))
        else:
            raise InputError(f"state is {described(state)}, expected a pair of tensors (h, c)")

    def _read(self, name: str, value: Any, like: Tensor) -> Tensor:
        shape = like.shape if self._is_stack else like.shape[1:]
        if not isinstance(value, Tensor) or value.shape != shape or value.dtype is not self._dtype:
            raise InputError(
                f"state: {name} is {described(value)}, expected a tensor of shape "
                f"{tuple(shape)} and type {self._dtype}"
            )
        return value.detach().to(like.device).reshape(like.shape)

    def _refusal(self, name: str, value: Any, width: str, shape: tuple[int, ...]) -> InputError:
        flat = f" or {(shape[1],)}" if shape[0] == 1 else ""
        hint = ""
        if isinstance(value, np.ndarray):
            hint = "; wrap it by torch.from_numpy, or use stepper.input, advance() and output"
        return InputError(
            f"{name} is {described(value)}, expected a tensor (B, {width}) of shape "
            f"{tuple(shape)}{flat} and type {self._dtype}{hint}"
        )

    @torch.no_grad()
    def _weights(self) -> list[LayerWeights]:
        layers = self._module.num_layers if isinstance(self._module, Recurrent) else 1
        return [
            LayerWeights(*(None if part is None else part.detach() for part in one))  # pyright: ignore[reportArgumentType]
            for one in (self._module.layer_weights(index, 0) for index in range(layers))
        ]

    def __repr__(self) -> str:
        how = "compiled" if self.is_compiled else "plain"
        return f"Step({self._module!r}, batch_size={len(self.output)}, {how})"


def step(module: Recurrent | StepCell, batch_size: int = 1) -> Step:
    """Make what runs a module one step a call, as fast as this machine can.

    For whoever gets one sample at a time and must answer at once: audio, control loops, games,
    feeds. The weights are copied and laid out for products of one row; the state stays inside.
    Nothing is recorded for gradients.

    *Latency.* A step of one sequence reads every weight once, so beyond some 30 units it is bound
    by the caches: 16 inputs and 128 units are 288 KB of ``float32`` and take about three
    microseconds. A call with tensors adds one and a half, most of it torch's copy of ``x``;
    ``stepper.input``, ``stepper.advance()`` and ``stepper.output`` (arrays of NumPy over the
    stepper's own memory) add a few tenths. ``stepper.prepare()``, called while the next input is
    awaited, takes the products with the state out of the time between input and output.
    ``docs/step.json`` has figures of ours and others'.

    *Threads.* A step runs on the thread that calls, starts no other and holds the GIL. Steppers
    share nothing; one stepper serves one thread at a time.

    *Real time.* After construction compiled steps allocate nothing, take no lock and make no
    system call. Python around them gives no such promise. Denormal numbers are computed with, not
    flushed to zero.

    Zoneout mixes old and new state, as it does in evaluation.

    Args:
        module: an LSTM, GRU, RNN or one of their cells, with any options but ``bidirectional``.
            In training mode it must not have dropout or zoneout.
        batch_size: ``B``, sequences that advance together.

    Returns:
        A stepper: ``y = stepper(x)``. Its weights are those of now; ``stepper.refresh()`` copies
        them again. Where there is no compiled code (cells from equations without Numba, half
        precision, other devices) it runs in plain torch, many times slower.

    Raises:
        OptionTypeError: no module of this package.
        SettingError: a bidirectional module, or one that would draw random numbers.

    >>> from carrousel.nn import LSTM
    >>> lstm = LSTM(3, 4).eval()
    >>> stepper = step(lstm)
    >>> xs = torch.randn(7, 1, 3)
    >>> ys = torch.stack([stepper(x).clone() for x in xs])
    >>> with torch.no_grad():
    ...     output, (h_n, c_n) = lstm(xs)
    >>> torch.allclose(ys, output, atol=1e-6), torch.allclose(stepper.state[1], c_n, atol=1e-6)
    (True, True)

    Without tensors:

    >>> stepper.reset()
    >>> stepper.input[:] = 0.5
    >>> stepper.advance()
    >>> stepper.output.shape
    (1, 4)
    """
    check_deployable(module, "step")
    return Step(module, check_int("batch_size", batch_size, minimum=1, maximum=2**20))


def check_deployable(module: object, call: str) -> None:
    """Refuse what cannot run one step at a time, or not twice alike."""
    if not isinstance(module, Recurrent | StepCell):
        raise OptionTypeError(
            f"{call}: module is a {type(module).__module__}.{type(module).__name__}, expected an "
            "LSTM, GRU, RNN, LSTMCell, GRUCell or RNNCell of carrousel.nn"
        )
    if getattr(module, "bidirectional", False):
        raise SettingError(
            f"{call}: the module is bidirectional, and its reverse direction starts at a "
            "sequence's end, which no step knows; use a module with bidirectional=False"
        )
    names = ("dropout", "recurrent_dropout", "zoneout")
    random = [
        f"{name}={getattr(module, name)}"
        for name in names
        if (value := getattr(module, name, 0.0)) and value != (0.0, 0.0)
    ]
    if module.training and random:
        raise SettingError(
            f"{call}: the module is in training mode with {', '.join(random)}, so every step "
            "would draw random numbers; call module.eval() first"
        )


def _shown(buffer: Tensor) -> Any:
    """A buffer as an array where NumPy can see it."""
    is_seen = buffer.device.type == "cpu" and buffer.dtype in (torch.float32, torch.float64)
    return buffer.numpy() if is_seen else buffer
