"""The compiled sequence kernels: what they are told of a layer, and where their tape keeps what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from carrousel import _native
from carrousel.contracts import CELLS, Recurrence
from carrousel.errors import SettingError
from carrousel.kernels.described import described_cell

WINDOW_BYTES: int = _native.sequence_window_bytes
"""Net inputs of the steps walked at a time: few enough for the caches of two cores."""

WINDOW_ROWS: int = _native.sequence_window_rows
"""Steps times sequences of such a stretch, at least."""

Stepper = _native.StepFloat | _native.StepDouble

_DTYPES = ("float32", "float64")
_STEPPERS = {"float32": _native.StepFloat, "float64": _native.StepDouble}
_KINDS = {
    name: number
    for number, name in enumerate(
        (
            "lstm",
            "lstm97",
            "peephole",
            "coupled",
            "no_output_gate",
            "gru",
            "rnn_tanh",
            "rnn_relu",
        )
    )
}
_DESCRIBED = len(_KINDS)


def is_compiled(recurrence: Recurrence, dtype: str) -> bool:
    """Whether there is machine code for a cell in this precision ("float32", "float64").

    >>> is_compiled(Recurrence("gru", 4), "float32"), is_compiled(Recurrence("gru", 4), "float16")
    (True, False)
    """
    if recurrence.cell in CELLS:
        return dtype in _DTYPES
    cell = described_cell(recurrence.cell)
    return bool(cell.forward.get(dtype) and cell.backward.get(dtype))


@lru_cache(maxsize=256)
def _description(recurrence: Recurrence, dtype: str) -> dict[str, Any]:
    if recurrence.cell in CELLS:
        kind, tape, forward, backward = _KINDS[recurrence.cell], 0, 0, 0
    else:
        cell = described_cell(recurrence.cell)
        kind, tape = _DESCRIBED, cell.tape
        forward, backward = cell.forward[dtype], cell.backward[dtype]
    return {
        "kind": kind,
        "units": recurrence.units,
        "sources": recurrence.n_sources,
        "net_inputs": recurrence.n_net_inputs,
        "states": len(recurrence.kind.states),
        "unit_parameters": len(recurrence.kind.unit_parameters),
        "block_size": recurrence.block_size,
        "g_range": recurrence.g_range,
        "h_range": recurrence.h_range,
        "projection": int(recurrence.projection > 0),
        "gate_sources": int(recurrence.gate_sources),
        "layer_norm": int(recurrence.layer_norm),
        "tape": tape,
        "forward": forward,
        "backward": backward,
    }


_WEIGHTS = (
    "w_ih",
    "w_hh",
    "bias",
    "unit",
    "w_hr",
    "ln_ih",
    "ln_hh",
    "ln_c",
    "fresh_h",
    "fresh_s",
    "drop",
)
_STEPS = ("flags", "keep_h", "keep_s")
_TAPE = ("states", "gates", "extra", "marks")
_GRADIENTS = ("x", *_WEIGHTS[:-1])
_ABSENT = dict.fromkeys(
    (*_WEIGHTS, *_STEPS, *_TAPE, "d_out", "d_states", *(f"d_{name}" for name in _GRADIENTS))
)
_SETTINGS = {
    "threads": 1,
    "cut": 0,
    "reverse": False,
    "recompute": 0,
    "window": 0,
    "samples": 0,
    "zone_h": 0.0,
    "zone_s": 0.0,
    "instruction_set": "",
}


def forward(recurrence: Recurrence, dtype: str, call: Mapping[str, Any]) -> None:
    """Run one direction of one layer; writes ``out``, last ``h`` and ``s``, and the tape.

    Args:
        recurrence: equations and sizes.
        dtype: "float32" or "float64", of every array that is not uint8.
        call: arrays, contiguous, of anything that speaks DLPack or the buffer protocol: those of
            ``LayerInputs`` by name, ``out``, ``h``, ``s``; and the parts of the tape that are
            wanted: ``states``, ``gates``, ``extra``, or ``marks`` with ``recompute``. Settings:
            ``threads``, ``cut``, ``reverse``, ``recompute``, ``zone_h``, ``zone_s``; ``window``,
            steps walked at a time (0: as the kernel likes); ``instruction_set``. Whatever is left
            out is absent or at its default. Shapes stand in ``native/sequence/run.h``.

    Raises:
        SettingError: the kernel refuses an array or a number; its sentence says which.
    """
    _run(_native.sequence_forward, recurrence, dtype, call)


def backward(recurrence: Recurrence, dtype: str, call: Mapping[str, Any]) -> None:
    """Errors of everything that went into :func:`forward`.

    Args:
        recurrence: equations and sizes.
        dtype: as in :func:`forward`.
        call: as in :func:`forward`, with its results in place of ``h`` and ``s``: ``dh`` and
            ``ds``, errors of the last state, become those of the first. ``d_out`` and ``d_states``
            are errors that come; ``d_x``, ``d_w_ih [samples or 1, N, I]``, likewise ``d_w_hh``,
            ``d_bias``, ``d_w_hr``, and ``d_unit``, ``d_ln_hh``, ``d_ln_c``, ``d_fresh_h``,
            ``d_fresh_s``, each of them added to (``d_x``: written), go. ``samples``: the batch is
            so many parts of one size, each with gradients of weights of its own.

    Raises:
        SettingError: the kernel refuses an array or a number; its sentence says which.
    """
    _run(_native.sequence_backward, recurrence, dtype, call)


def _run(kernel: Any, recurrence: Recurrence, dtype: str, call: Mapping[str, Any]) -> None:
    steps, batch, inputs = call["x"].shape
    sources = call.get("flags") is not None or call.get("drop") is not None
    sizes = {"steps": steps, "batch": batch, "inputs": inputs, "sources": sources}
    try:
        kernel(dtype, _description(recurrence, dtype), {**_ABSENT, **_SETTINGS, **sizes, **call})
    except ValueError as error:
        raise SettingError(f"sequence kernel: {error}") from error


def open_step(
    recurrence: Recurrence,
    dtype: str,
    weights: Iterable[Mapping[str, Any]],
    *,
    batch: int,
    inputs: int,
    zone_h: float = 0.0,
    zone_s: float = 0.0,
    instruction_set: str = "",
) -> Stepper:
    """Copy and pack the weights of all layers, for one step a call; see ``native/step/step.h``.

    Each layer has weights by the names of ``LayerInputs`` but ``drop``; what does
    not apply is None. The first reads ``inputs`` numbers, every other one what that below shows.

    Raises:
        SettingError: the kernel refuses an array or a number; its sentence says which.
    """
    try:
        return _STEPPERS[dtype](
            _description(recurrence, dtype),
            [dict(layer) for layer in weights],
            batch,
            inputs,
            zone_h,
            zone_s,
            instruction_set,
        )
    except ValueError as error:
        raise SettingError(f"step kernel: {error}") from error


@lru_cache(maxsize=256)
def extra_parts(recurrence: Recurrence, sources: bool, norms: bool = False) -> dict[str, slice]:
    """Columns of the extra tape by name, as ``Extra`` of ``native/sequence/sequence.h`` lays them out.

    ``sources``: flags or ``drop`` are given. ``norms``: the kernel normalises ``w_ih x`` itself.

    >>> extra_parts(Recurrence("lstm", 4, projection=2), sources=True)
    {'output': slice(0, 4, None), 'source': slice(4, 6, None)}
    """
    widths = {
        "product": recurrence.n_net_inputs * recurrence.layer_norm,
        "recurrent": recurrence.units * (recurrence.cell == "gru" and not recurrence.layer_norm),
        "output": recurrence.units * (recurrence.projection > 0),
        "inputs": recurrence.n_net_inputs * norms,
        "source": recurrence.n_sources * sources,
    }
    parts, start = {}, 0
    for name, width in widths.items():
        if width:
            parts[name] = slice(start, start + width)
            start += width
    return parts


def extra_width(recurrence: Recurrence, sources: bool, norms: bool = False) -> int:
    """Columns of the extra tape."""
    return max((part.stop for part in extra_parts(recurrence, sources, norms).values()), default=0)


def gates_width(recurrence: Recurrence) -> int:
    """Columns of the gates' tape: one a net input, or what a described cell keeps."""
    if recurrence.cell in CELLS:
        return recurrence.n_net_inputs
    return described_cell(recurrence.cell).tape * recurrence.units


def has_own_errors(recurrence: Recurrence) -> bool:
    """Whether errors of ``w_hh h`` differ from those of ``w_ih x``."""
    return recurrence.layer_norm or recurrence.cell == "gru" or recurrence.cell not in CELLS
