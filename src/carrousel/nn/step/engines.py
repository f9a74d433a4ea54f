"""Engines of a stepper: the compiled step, or plain torch if no compiled code exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.errors import SettingError
from carrousel.kernels.autograd.compiled import lent
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, layer
from carrousel.kernels.autograd.stored import arrays_of, check_storable, store
from carrousel.kernels.native.sequence import is_compiled, open_step
from carrousel.nn.weights import LayerWeights


@runtime_checkable
class StepEngine(Protocol):
    """Layers with copies of weights, a state, and fixed buffers for input and output.

    Attributes:
        input, output: buffers ``[B, I]`` and ``[B, O]``, whose addresses never change.
        run: runs one step from ``input`` to ``output``.
        prepare: computes the part of the next step that does not depend on its input.
        is_compiled: whether a step is one call of compiled code.

    States are ``h [layers, B, H]`` and ``s [layers, B, D * C]``.
    """

    input: Tensor
    output: Tensor
    run: Callable[[], None]
    prepare: Callable[[], None]
    is_compiled: bool

    def load(self, weights: list[LayerWeights]) -> None: ...
    def reset(self, row: int | None) -> None: ...
    def read(self) -> tuple[Tensor, Tensor]: ...
    def write(self, h: Tensor, s: Tensor) -> None: ...


def open_engine(
    recurrence: Recurrence,
    weights: list[LayerWeights],
    batch: int,
    zones: tuple[float, float],
    storage: str | None = None,
) -> StepEngine:
    """Return the fastest engine for weights that are detached and of one type and device.

    Raises:
        SettingError: ``storage`` is given, and these weights cannot be stored so.
    """
    w = weights[0].w_ih
    if storage:
        if w.device.type != "cpu" or w.dtype != torch.float32:
            raise SettingError(
                f"storage is {storage!r}, and the module is {w.dtype} on {w.device}, expected "
                "float32 on the CPU",
                argument="storage",
                got=storage,
                fix="call module.float().cpu() first",
            )
        check_storable(recurrence)
        return CompiledEngine(recurrence, weights, batch, zones, storage)
    one_product = not recurrence.kind.products
    if one_product and w.device.type == "cpu" and is_compiled(recurrence, _name(w.dtype)):
        return CompiledEngine(recurrence, weights, batch, zones)
    return PlainEngine(recurrence, weights, batch, zones)


class CompiledEngine:
    """Engine around the step of ``native/step/step.h``; its tensors are views of native memory."""

    is_compiled = True

    def __init__(
        self,
        recurrence: Recurrence,
        weights: list[LayerWeights],
        batch: int,
        zones: tuple[float, float],
        storage: str | None = None,
    ) -> None:
        w_ih = weights[0].w_ih
        self.recurrence, self.dtype, self.storage = recurrence, w_ih.dtype, storage
        self.native = open_step(
            recurrence,
            _name(w_ih.dtype),
            self._arrays(weights),
            batch=batch,
            inputs=w_ih.shape[1],
            zone_h=zones[0],
            zone_s=zones[1],
            storage=storage or "",
        )
        self.input = torch.from_numpy(self.native.input)
        self.output = torch.from_numpy(self.native.output)
        self.run, self.prepare = self.native.run, self.native.prepare
        self.shape = (len(weights), batch)

    def load(self, weights: list[LayerWeights]) -> None:
        self.native.load(self._arrays(weights))

    def _arrays(self, weights: list[LayerWeights]) -> list[dict[str, Any]]:
        given = [one._asdict() for one in weights]
        if self.storage:
            given = [store(one, self.storage) for one in given]
        return [arrays_of(one) for one in given]

    def reset(self, row: int | None) -> None:
        self.native.reset(row)

    def read(self) -> tuple[Tensor, Tensor]:
        h = torch.empty(*self.shape, self.recurrence.n_sources, dtype=self.dtype)
        s = torch.empty(*self.shape, self.recurrence.n_states, dtype=self.dtype)
        self.native.read_state(lent(h), lent(s))
        return h, s

    def write(self, h: Tensor, s: Tensor) -> None:
        h, s = (one.resolve_neg().contiguous() for one in (h, s))
        self.native.write_state(lent(h), lent(s))


class PlainEngine:
    """Engine that calls ``layer`` once per layer and step: any type and device, but slower."""

    is_compiled = False

    def __init__(
        self,
        recurrence: Recurrence,
        weights: list[LayerWeights],
        batch: int,
        zones: tuple[float, float],
    ) -> None:
        self.recurrence = recurrence
        self.options = LayerOptions(zone_h=zones[0], zone_s=zones[1])
        w_ih, layers = weights[0].w_ih, len(weights)
        self.input = w_ih.new_zeros(batch, w_ih.shape[1])
        self.output = w_ih.new_zeros(batch, recurrence.n_outputs)
        self.h = w_ih.new_zeros(layers, batch, recurrence.n_sources)
        self.s = w_ih.new_zeros(layers, batch, recurrence.n_states)
        self.load(weights)
        self.reset(None)

    def load(self, weights: list[LayerWeights]) -> None:
        self.weights = [
            LayerWeights(*(None if part is None else part.clone() for part in one))  # pyright: ignore[reportArgumentType]
            for one in weights
        ]

    @torch.no_grad()
    def run(self) -> None:
        x = self.input
        for index, weights in enumerate(self.weights):
            result = layer(
                LayerInputs(
                    x=x.unsqueeze(0), h0=self.h[index], s0=self.s[index], **weights._asdict()
                ),
                self.recurrence,
                self.options,
            )
            self.h[index], self.s[index] = result.h, result.s
            x = result.h[:, : self.recurrence.n_outputs]
        self.output.copy_(x)

    def prepare(self) -> None:
        """No-op: this engine cannot split a step."""

    def reset(self, row: int | None) -> None:
        rows = slice(None) if row is None else row
        for index, weights in enumerate(self.weights):
            for state, fresh in ((self.h, weights.fresh_h), (self.s, weights.fresh_s)):
                state[index, rows] = 0.0 if fresh is None else fresh

    def read(self) -> tuple[Tensor, Tensor]:
        return self.h.clone(), self.s.clone()

    def write(self, h: Tensor, s: Tensor) -> None:
        self.h.copy_(h)
        self.s.copy_(s)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
