"""Base classes with the attributes and methods that torch's recurrent modules have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self, SupportsIndex

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.nn.drop_in import convert, privacy, quantize, tracers

PLAIN: Any = torch.nn.Module


class TorchModule(torch.nn.Module):
    """What the layers and the cells of torch have in common for other code."""

    TORCH: ClassVar[type[torch.nn.Module]]
    """The class of torch that this class replaces."""
    ARGUMENTS: ClassVar[dict[str, Any]]
    recurrence: Recurrence

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "TORCH" in vars(cls):
            quantize.register(cls, cls.TORCH)

    @classmethod
    def from_torch(cls, layer: torch.nn.Module, **options: Any) -> Self:
        """Convert a module of torch, with all its settings.

        The new module holds the same ``Parameter`` objects, so optimizers and tied weights stay
        valid. Training mode, hooks and additional attributes are those of ``layer``, which is not
        changed. Both modules share their dictionaries of hooks, so handles of hooks stay valid.

        Args:
            layer: a module of the class that this class replaces.
            **options: options of this class that torch's lacks. Parameters that they add are new.

        Raises:
            SettingError: ``layer`` is of another class or has parametrized, pruned or normalised
                weights, an option is one of torch's, or a cell has other weights than ``layer``.

        >>> from carrousel.nn import LSTM
        >>> theirs = torch.nn.LSTM(3, 4, batch_first=True)
        >>> ours = LSTM.from_torch(theirs, zoneout=0.1)
        >>> ours, ours.weight_hh_l0 is theirs.weight_hh_l0
        (LSTM(3, 4, batch_first=True, zoneout=0.1), True)
        """
        return convert.from_torch(cls, layer, options)

    def to_torch(self) -> torch.nn.Module:
        """Convert to a module of torch, with the same ``Parameter`` objects.

        Raises:
            SettingError: the module has options that torch lacks, or parametrized weights.

        >>> from carrousel.nn import GRU
        >>> GRU(3, 4, bidirectional=True).to_torch()
        GRU(3, 4, bidirectional=True)
        """
        return convert.to_torch(self)

    def register_full_backward_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register a hook as in torch; for hooks of opacus, prepare gradients of each sample."""
        handle = super().register_full_backward_hook(hook, prepend)
        return privacy.attach(self, hook, handle) if privacy.is_opacus(hook) else handle

    @property
    def qconfig(self) -> Any:
        """Configuration of ``torch.ao.quantization``, if it has set one."""
        return quantize.read(self)

    @qconfig.setter
    def qconfig(self, value: Any) -> None:
        quantize.write(self, value)

    @qconfig.deleter
    def qconfig(self) -> None:
        quantize.delete(self)

    def __prepare_scriptable__(self) -> torch.nn.Module:
        # torch.jit.script compiles what this returns.
        return tracers.scriptable(self)


class TorchCell(TorchModule, torch.nn.RNNCellBase):
    """An instance of ``torch.nn.RNNCellBase`` whose parameters a subclass creates."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)


class TorchLayer(TorchModule, torch.nn.RNNBase):
    """An instance of ``torch.nn.RNNBase`` whose parameters a subclass creates.

    It cannot be an instance of ``torch.nn.LSTM``, ``GRU`` or ``RNN``: ``torch.compile`` refuses
    these with ``fullgraph=True``.
    """

    _part_names: tuple[str, ...]

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    # torch keeps a second list of the weights in step with the parameters. Here the list is
    # computed when it is read, so these methods are those of every other module.
    __setattr__ = PLAIN.__setattr__
    __setstate__ = PLAIN.__setstate__
    _apply = PLAIN._apply
    _replicate_for_data_parallel = PLAIN._replicate_for_data_parallel

    def _slow_forward(self, *args: Any, **kwargs: Any) -> Any:
        # torch calls this while torch.jit records. Its old ONNX exporter passes keyword arguments
        # and their defaults by position.
        forward: Any = type(self).forward
        count = forward.__code__.co_argcount - 1
        options = dict(zip(forward.__kwdefaults__ or (), args[count:], strict=False)) | kwargs
        if "return_states" in options:
            options["return_states"] = bool(options["return_states"])
        return super()._slow_forward(*args[:count], **options)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def _init_flat_weights(self) -> None:
        """No-op: the list of weights is computed when it is read."""

    def _update_flat_weights(self) -> None:
        """No-op: the list of weights is computed when it is read."""

    def flatten_parameters(self) -> None:
        """No-op, for compatibility with torch: there is no flat copy of the weights."""

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def mode(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """torch's name of the equations: ``"LSTM"`` for each cell with states besides ``h``."""
        cell = self.recurrence.cell
        return "LSTM" if self.recurrence.n_states else MODES.get(cell, cell)

    @property
    def _all_weights(self) -> list[list[str]]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return [
            [name + suffix(layer, direction) for name in self._part_names]
            for layer in range(self.num_layers)
            for direction in range(self.num_directions)
        ]

    @property
    def _flat_weights_names(self) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return [name for part in self._all_weights for name in part]

    @property
    def _flat_weights(self) -> list[Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return FlatWeights(self)

    @_flat_weights.setter
    def _flat_weights(self, values: Sequence[Any]) -> None:
        for name, value in zip(self._flat_weights_names, values, strict=True):
            if getattr(self, name, None) is not value:
                setattr(self, name, value)

    def get_expected_hidden_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """Return the shape that ``h_0`` must have for an input."""
        return (
            self.num_layers * self.num_directions,
            self._batch(input, batch_sizes),
            self.recurrence.n_sources,
        )

    def get_expected_cell_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """Return the shape that ``c_0`` must have for an input."""
        rows, B, _ = self.get_expected_hidden_size(input, batch_sizes)
        return rows, B, self.recurrence.n_states

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Check input and state as torch does.

        Raises:
            ValueError: the types of input and weights differ.
            RuntimeError: a shape is wrong.
        """
        if not self.recurrence.n_states:
            super().check_forward_args(input, hidden, batch_sizes)
            return
        self.check_input(input, batch_sizes)
        sizes = (self.get_expected_hidden_size, self.get_expected_cell_size)
        for which, size in enumerate(sizes):
            message = f"Expected hidden[{which}] size {{}}, got {{}}"
            self.check_hidden_size(hidden[which], size(input, batch_sizes), message)

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """Reorder the sequences of a state; None: keep their order."""
        if permutation is None:
            return hx
        if isinstance(hx, Tensor):
            return hx.index_select(1, permutation)
        return tuple(state.index_select(1, permutation) for state in hx)

    def _batch(self, input: Tensor, batch_sizes: Tensor | None) -> int:
        if batch_sizes is not None:
            return int(batch_sizes[0])
        return input.size(0 if self.batch_first else 1)


MODES = {"gru": "GRU", "rnn_tanh": "RNN_TANH", "rnn_relu": "RNN_RELU"}


class FlatWeights(list[Any]):
    """The weights of a layer in the order of its state dictionary.

    An assignment to an element sets the parameter of the layer.
    """

    def __init__(self, layer: TorchLayer) -> None:
        self._layer, self._names = layer, layer._flat_weights_names
        super().__init__(getattr(layer, name, None) for name in self._names)

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        names = self._names[index]
        pairs = [(names, value)] if isinstance(names, str) else zip(names, value, strict=True)
        for name, one in pairs:
            setattr(self._layer, name, one)
        super().__setitem__(index, value)


def suffix(layer: int, direction: int) -> str:
    """Return the end of the names of the parameters of one direction of one layer.

    >>> suffix(1, 1)
    '_l1_reverse'
    """
    return f"_l{layer}" + "_reverse" * direction
