"""Stepper: runs a module one step per call, for streams and control loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from carrousel.checks import check_choice, check_int
from carrousel.errors import InputError, OptionTypeError, SettingError
from carrousel.kernels.autograd.stored import STORAGES
from carrousel.nn.call.inputs import State, described
from carrousel.nn.cells import StepCell
from carrousel.nn.recurrent import Recurrent
from carrousel.nn.step.engines import CompiledEngine, open_engine
from carrousel.nn.weights import LayerWeights


class Stepper:
    """Runs a module one step per call and keeps its state; created by :func:`step`.

    Attributes:
        input: ``[B, I]``, the buffer that a step reads. A NumPy array for ``float32`` and
            ``float64`` on the CPU, else a tensor.
        output: ``[B, O]``, the buffer that a step writes.
        is_compiled: whether a step is one call of compiled code.
        storage: type in which the matrices of weights are stored; None: that of the module.
    """

    def __init__(
        self, module: Recurrent | StepCell, batch_size: int, storage: str | None = None
    ) -> None:
        self._module = module
        self.storage = storage
        self._is_stack = isinstance(module, Recurrent)
        with torch.inference_mode(False):  # inference tensors could not be written later
            weights = self._weights()
            self._engine = open_engine(
                module.recurrence, weights, batch_size, module.zoneout, storage
            )
        x, y = self._engine.input, self._engine.output
        self._dtype = x.dtype
        self._run = self._engine.run
        # Shape of x -> function that copies x in, and the tensor to return.
        self._forms = {tuple(x.shape): (x.copy_, y)}
        if batch_size == 1:
            self._forms[(x.shape[1],)] = (x[0].copy_, y[0])
        self.is_compiled = self._engine.is_compiled
        self.input = _as_numpy(x)
        self.output = _as_numpy(y)

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Run one step.

        Args:
            x: ``[B, I]``, or ``[I]`` with a batch of one, of the module's type.
            out: tensor to write the output to; None: the stepper's buffer.

        Returns:
            ``[B, O]`` (``[O]`` for ``[I]``): ``out``, or the stepper's buffer, **which the next
            step overwrites**. To keep the output, pass ``out`` or call ``.clone()``.

        Raises:
            InputError: ``x`` or ``out`` has the wrong shape or type.
        """
        try:
            copy_in, y = self._forms[x.shape]
            if x.dtype is not self._dtype:
                raise KeyError
        except (KeyError, AttributeError, TypeError):
            raise self._input_error("x", x, "I", self.input.shape) from None
        if out is not None and (
            not isinstance(out, Tensor) or out.shape != y.shape or out.dtype is not self._dtype
        ):
            raise self._input_error("out", out, "O", self.output.shape)
        copy_in(x.detach() if x.requires_grad else x)
        self._run()
        return y if out is None else out.copy_(y)

    def advance(self) -> None:
        """Run one step from :attr:`input` to :attr:`output`, without tensors."""
        self._run()

    def prepare(self) -> None:
        """Compute the products of state and weights for the next step in advance.

        Call it while waiting for the next input. The next step then takes about half as long, or
        less if the input is narrow. Results are the same.
        """
        self._engine.prepare()

    def reset(self, index: int | None = None) -> None:
        """Reset the state to zero or to the learned initial state.

        Args:
            index: index of one sequence of the batch; None: all.

        Raises:
            SettingError: there is no such sequence.
        """
        if index is not None:
            index = check_int("index", index, minimum=0, maximum=len(self.output) - 1)
        self._engine.reset(index)

    def refresh(self) -> None:
        """Copy the module's weights again after they have changed; keep the state."""
        self._engine.load(self._weights())

    @property
    def kernel(self) -> Any:
        """The compiled step, whose memory this stepper shares.

        Raises:
            SettingError: the step is not compiled.
        """
        if not isinstance(self._engine, CompiledEngine):
            raise SettingError("the step of this module is not compiled", argument="module")
        return self._engine.native

    @property
    def state(self) -> State:
        """A copy of the state in the form of the module's ``hx``; assign to set the state.

        ``h [layers, B, H]``, or a pair with ``c [layers, B, D * C]``; without ``layers`` for a
        cell.

        Raises:
            InputError: the new state has the wrong form, shape or type.
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
            raise InputError(
                f"state is {described(state)}, expected a pair of tensors (h, c)", argument="state"
            )

    def _read(self, name: str, value: Any, like: Tensor) -> Tensor:
        shape = like.shape if self._is_stack else like.shape[1:]
        if not isinstance(value, Tensor) or value.shape != shape or value.dtype is not self._dtype:
            raise InputError(
                f"state: {name} is {described(value)}, expected a tensor of shape "
                f"{tuple(shape)} and type {self._dtype}",
                argument="state",
            )
        return value.detach().to(like.device).reshape(like.shape)

    def _input_error(self, name: str, value: Any, width: str, shape: tuple[int, ...]) -> InputError:
        flat = f" or {(shape[1],)}" if shape[0] == 1 else ""
        given, fix = described(value), None
        if isinstance(value, np.ndarray):
            fix = "wrap it with torch.from_numpy, or use stepper.input, advance() and output"
        if isinstance(value, Tensor) and value.dtype is not self._dtype:
            given += f" and type {value.dtype}"
            fix = f"convert it with .to({self._dtype})"
        return InputError(
            f"{name} is {given}, expected a tensor (B, {width}) of shape "
            f"{tuple(shape)}{flat} and type {self._dtype}",
            argument=name,
            fix=fix,
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
        how += f", storage={self.storage!r}" if self.storage else ""
        return f"Stepper({self._module!r}, batch_size={len(self.output)}, {how})"


def step(
    module: Recurrent | StepCell, batch_size: int = 1, *, storage: str | None = None
) -> Stepper:
    """Create a stepper, which runs a module one step per call with low latency.

    Use it when samples arrive one at a time and each needs an output at once: audio, control
    loops, games, data feeds. The stepper copies the weights and keeps the state. It records nothing
    for gradients.

    *Latency.* A step of one sequence reads every weight once, so beyond about 30 units the caches
    limit its speed. A call with tensors adds about one microsecond, mostly for the copy of ``x``.
    ``stepper.input`` and ``stepper.output`` are NumPy arrays over the stepper's memory, and
    ``stepper.advance()`` runs a step from one to the other. ``stepper.prepare()`` computes the
    products with the state before the next input arrives. ``docs/step.md`` has measurements.

    *Threads.* A step runs on the calling thread, starts no other thread and holds the GIL.
    Steppers share nothing. A stepper may be used by one thread at a time.

    *Real time.* After construction, compiled steps allocate no memory, take no lock and make no
    system call. The Python code around them gives no such guarantee. Denormal numbers are not
    flushed to zero.

    Zoneout mixes the previous and the new state, as in evaluation.

    Args:
        module: an LSTM, GRU, RNN or one of their cells, with any options except
            ``bidirectional``. In training mode it must not have dropout or zoneout.
        batch_size: ``B``, number of sequences that advance together.
        storage: type in which the stepper keeps the matrices of weights. A step of one sequence
            takes about as long as reading them. None: the module's. Otherwise the module is
            float32, as are inputs, outputs, states, sums and all other parameters. ``"bfloat16"``:
            half the bytes; weights keep 8 significant bits. ``"float16"``: half the bytes, 11
            significant bits, not much faster. ``"int8"``: a quarter of the bytes; each row of a
            matrix has a scale, and inputs and hidden states are rounded to int8 as well, with a
            scale for each sequence and step (as :func:`carrousel.nn.quantize` does).

    Returns:
        A stepper: ``y = stepper(x)``. It holds a copy of the current weights.
        ``stepper.refresh()`` copies them again. Without compiled code (cells from equations without
        Numba, half precision, other devices) it runs in plain torch, many times slower.

    Raises:
        OptionTypeError: the argument is not a module of this package.
        SettingError: the module is bidirectional, or would draw random numbers; or ``storage`` is
            unknown or does not fit the module.

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
    batch_size = check_int("batch_size", batch_size, minimum=1, maximum=2**20)
    if storage is not None:
        storage = check_choice("storage", storage, STORAGES)
    return Stepper(module, batch_size, storage)


def check_deployable(module: object, call: str) -> None:
    """Check that a module can run step by step and is deterministic.

    Args:
        module: the module.
        call: name of the calling function, for messages.

    Raises:
        OptionTypeError: the argument is not a module of this package.
        SettingError: the module is bidirectional, or would draw random numbers.
    """
    if not isinstance(module, Recurrent | StepCell):
        raise OptionTypeError(
            f"{call}: module is a {type(module).__module__}.{type(module).__name__}, expected an "
            "LSTM, GRU, RNN, LSTMCell, GRUCell or RNNCell of carrousel.nn",
            argument="module",
            got=module,
            fix="pass one layer of a model; convert torch's layers with carrousel.nn.replace",
        )
    if getattr(module, "bidirectional", False):
        raise SettingError(
            f"{call}: the module is bidirectional, and its reverse direction starts at the end "
            "of a sequence",
            argument="module",
            got=module,
            fix="use a module with bidirectional=False",
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
            "would draw random numbers",
            argument="module",
            got=module,
            fix="call module.eval() first",
        )


def _as_numpy(buffer: Tensor) -> Any:
    """Return a NumPy view of a buffer if possible, else the buffer."""
    has_view = buffer.device.type == "cpu" and buffer.dtype in (torch.float32, torch.float64)
    return buffer.numpy() if has_view else buffer
