"""One step of an any-time net and of its features, in constant memory.

Everything here repeats, for one row, what :class:`carrousel.estimators.net.net.AnytimeNet` and
:class:`carrousel.estimators.net.features.Features` compute for whole batches.
:func:`check_structure` refuses a net with parts that are unknown here.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from torch import Tensor, nn

from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.net import AnytimeNet
from carrousel.nn import LSTM, step
from carrousel.shapes import Array, Floats

PARTS: dict[str, type[nn.Module]] = {
    "embedding": nn.Embedding,
    "convolution": nn.Linear,
    "norm": nn.LayerNorm,
    "lstm": LSTM,
    "dropout": nn.Dropout,
    "readout": nn.Linear,
}
"""The parts of a net that :class:`NetStep` computes."""


def check_structure(net: AnytimeNet) -> None:
    """Check that a net consists of the parts that :class:`NetStep` computes.

    Raises:
        SettingError: the net reads series from their end, or has other parts.
    """
    if net.config.bidirectional:
        raise SettingError(
            "the net is bidirectional: its second direction starts at the end of a series",
            argument="bidirectional",
            got=True,
            fix="train with bidirectional=False",
        )
    parts = {name: type(part) for name, part in net.named_children()}
    wrong = sorted(name for name, kind in parts.items() if PARTS.get(name) is not kind)
    own = sorted(name for name, _ in net.named_parameters(recurse=False))
    widths = (net.readout.in_features, 2 * net.lstm.hidden_size + net.lstm.input_size)
    if wrong or own or widths[0] != widths[1]:
        raise SettingError(
            f"the net has parts that a live step does not compute: {wrong + own or widths}",
            argument="ensemble",
        )


class NetStep:
    """One step of a net: from the inputs of a row to the outputs.

    The last ``window`` inputs are in a ring of twice that length, in which each row is written
    twice. They are then contiguous at any time. Means are sums (float64) over the number of steps.

    Args:
        net: a trained net. Its weights are copied.

    Attributes:
        outputs: ``[O]`` (float32), which the next step overwrites.
    """

    def __init__(self, net: AnytimeNet) -> None:
        check_structure(net)
        c = net.config
        self._embedding = None if net.embedding is None else _array(net.embedding.weight)
        width = c.n_inputs if self._embedding is None else self._embedding.shape[1]
        self._has_window = net.convolution is not None and net.norm is not None
        if net.convolution is not None and net.norm is not None:
            self._load_window(net.convolution, net.norm, c.window, width)
        self._stepper = step(net.lstm.eval())
        self._x, self._h = self._stepper.input[0], self._stepper.output[0]
        self._advance = self._stepper.advance
        states, inner = len(self._h), len(self._x)
        self._sums = np.zeros(states + inner)
        self._sum_h, self._sum_x = self._sums[:states], self._sums[states:]
        self._read = np.zeros(2 * states + inner, np.float32)  # h, mean of h, mean of x
        self._read_h, self._means = self._read[:states], self._read[states:]
        self._w, self._b = _array(net.readout.weight), _array(net.readout.bias)
        self.outputs = np.zeros(len(self._b), np.float32)
        self.n_steps = 0

    def _load_window(self, convolution: nn.Linear, norm: nn.LayerNorm, k: int, width: int) -> None:
        w, b = _array(convolution.weight, np.float64), _array(convolution.bias, np.float64)
        # The norm subtracts the mean over filters, which is linear: it is folded into the weights.
        self._window_w = np.ascontiguousarray(w - w.mean(axis=0), np.float32)
        self._window_b = np.asarray(b - b.mean(), np.float32)
        self._gain, self._shift, self._eps = _array(norm.weight), _array(norm.bias), norm.eps
        self._n_filters = len(b)
        ring = np.zeros((2 * k, width), np.float32)
        self._rows = [ring[n] for n in range(2 * k)]
        self._windows = [ring[n + 1 : n + 1 + k].reshape(-1) for n in range(k)]
        self._ring, self._k, self._at = ring, k, 0

    def reset(self) -> None:
        """Begin a new series."""
        self._stepper.reset()
        self._sums[:] = 0.0
        self.n_steps = 0
        if self._has_window:
            self._ring[:] = 0.0

    def run(self, inputs: Annotated[Array, "F"]) -> Annotated[Floats, "O"]:
        """Run one step.

        Args:
            inputs: of the net, as :class:`Features` makes them; for symbols, one number.
        """
        if self._embedding is not None:
            inputs = self._embedding[int(inputs[0])]
        x = self._x
        if self._has_window:
            at = self._at
            self._rows[at][:] = inputs
            self._rows[at + self._k][:] = inputs
            np.dot(self._window_w, self._windows[at], out=x)
            x += self._window_b
            x *= (float(x.dot(x)) / self._n_filters + self._eps) ** -0.5
            x *= self._gain
            x += self._shift
            np.maximum(x, 0.0, out=x)
            self._at = at + 1 if at + 1 < self._k else 0
        else:
            x[:] = inputs
        self._advance()
        self.n_steps += 1
        self._sum_h += self._h
        self._sum_x += x
        self._read_h[:] = self._h
        np.multiply(self._sums, 1.0 / self.n_steps, out=self._means, casting="same_kind")
        np.dot(self._w, self._read, out=self.outputs)
        self.outputs += self._b
        return self.outputs


class FeatureStep:
    """Inputs of a net from one row at a time, with gaps and irregular times.

    Args:
        features: fitted features.

    Attributes:
        inputs: ``[F]`` (float32), which the next row overwrites; for symbols ``[1]`` (int64).
    """

    def __init__(self, features: Features) -> None:
        self._features = f = features
        n = 1 if f.n_symbols else len(f.mean)
        self.inputs = np.zeros(f.n_inputs, np.int64 if f.n_symbols else np.float32)
        self._values, self._ages = self.inputs[:n], self.inputs[n : 2 * n]
        self._z, self._carried, self._seen_at = np.zeros(n), np.zeros(n), np.zeros(n)
        self._mean, self._scale = np.asarray(f.mean), np.asarray(f.scale)
        self._shape = (n,)
        self.reset()

    def reset(self) -> None:
        """Begin a new series."""
        self._carried[:] = 0.0
        self._seen_at[:] = -1.0
        self._start: float | None = None
        self._time, self._since = 0.0, -1.0

    def run(self, row: Any, time: float | None = None) -> Annotated[Array, "F"]:
        """Convert one row.

        Args:
            row: ``[I]``, NaN where a value is missing; the number of a symbol, -1: missing.
            time: of the row, larger than the one before; None: one unit later.

        Raises:
            ShapeError: the row has more or fewer values than the series of training.
            DataError: a value is infinite, a symbol has no number, or time does not increase.
        """
        f = self._features
        if f.n_symbols:
            return self._symbol(row)
        row = np.asarray(row, np.float64)
        if row.shape != self._shape and not (row.ndim == 0 and self._shape == (1,)):
            raise ShapeError(
                f"row has shape {row.shape}, expected {self._shape}: one value for each channel",
                argument="row",
            )
        z = self._z
        np.subtract(row, self._mean, out=z)
        z /= self._scale
        size = float(z.dot(z))
        if not size < np.inf and np.isinf(row).any():
            raise DataError(
                f"row has an infinite value in channel {int(np.isinf(row).argmax())}",
                argument="row",
                fix="pass NaN for a missing value",
            )
        since = self._clock(time)
        if size == size:
            self._carried[:] = z
            self._seen_at.fill(since)
            self._values[:] = z
            self._ages.fill(0.0)
        else:
            seen = z == z
            np.copyto(self._carried, z, where=seen)
            self._seen_at[seen] = since
            self._values[:] = self._carried
            self._ages[:] = np.log1p(since - self._seen_at)
        return self.inputs

    def _clock(self, time: float | None) -> float:
        """Return usual steps since the first row; write the input of irregular times."""
        before = self._since
        if time is not None and not np.isfinite(time):
            raise DataError(argument="time", got=time, expected="a finite number")
        if time is None or not self._features.timed:
            self._since = before + 1.0 if self._start is not None else 0.0
            self._start = 0.0 if self._start is None else self._start
        elif self._start is None:
            self._start, self._since = float(time), 0.0
            self._time = self._start
        else:
            time = float(time)
            if not time > self._time:
                raise DataError(
                    f"time is {time!r} after {self._time!r}, expected a larger number",
                    argument="time",
                )
            self._time, self._since = time, (time - self._start) / self._features.unit
        if self._features.timed:
            self.inputs[-1] = 0.0 if before < 0.0 else np.log1p(max(self._since - before, 0.0))
        return self._since

    def _symbol(self, number: Any) -> Annotated[Array, "1"]:
        n = int(number)
        if not -1 <= n < self._features.n_symbols:
            raise DataError(
                f"the number of a symbol is {n}, expected -1 (missing) to "
                f"{self._features.n_symbols - 1}",
                argument="row",
            )
        self.inputs[0] = n + 1
        return self.inputs


def _array(tensor: Tensor, dtype: Any = np.float32) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy(), dtype, order="C")
