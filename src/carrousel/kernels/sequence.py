"""The compiled sequence kernels: what they are told of a layer, and where their tape keeps what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from carrousel import _native
from carrousel.contracts import CELLS, Recurrence
from carrousel.kernels.described import described_cell
from carrousel.shapes import SettingError

Sequence = _native.SequenceFloat | _native.SequenceDouble

Stepper = _native.StepFloat | _native.StepDouble

_CLASSES = {"float32": _native.SequenceFloat, "float64": _native.SequenceDouble}
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
        return dtype in _CLASSES
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


def open_sequence(
    recurrence: Recurrence,
    dtype: str,
    weights: Mapping[str, Any],
    *,
    batch: int,
    threads: int,
    cut: int,
    learn: bool,
    sources: bool,
    h: Any,
    s: Any,
    instruction_set: str = "",
) -> Sequence:
    """Pack a layer's weights for one call; see ``native/sequence.h`` for every array.

    Arrays are anything contiguous in memory that speaks DLPack. ``h`` and ``s`` (for the way back:
    their errors) are read and written in place. ``sources``: flags or ``drop`` may be given.

    Raises:
        SettingError: the kernel refuses an array or a number; its sentence says which.
    """
    try:
        return _CLASSES[dtype](
            _description(recurrence, dtype),
            dict(weights),
            batch,
            threads,
            cut,
            learn,
            sources,
            h,
            s,
            instruction_set,
        )
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
    """Copy and pack the weights of all layers, for one step a call; see ``native/step.h``.

    Each layer has ``w_ih``, ``ln_ih`` and those of :func:`open_sequence` but ``drop``; what does
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
def extra_parts(recurrence: Recurrence, sources: bool) -> dict[str, slice]:
    """Columns of the extra tape by name, as ``Extra`` of ``native/sequence.h`` lays them out.

    >>> extra_parts(Recurrence("lstm", 4, projection=2), sources=True)
    {'output': slice(0, 4, None), 'source': slice(4, 6, None)}
    """
    widths = {
        "product": recurrence.n_net_inputs * recurrence.layer_norm,
        "recurrent": recurrence.units * (recurrence.cell == "gru" and not recurrence.layer_norm),
        "output": recurrence.units * (recurrence.projection > 0),
        "source": recurrence.n_sources * sources,
    }
    parts, start = {}, 0
    for name, width in widths.items():
        if width:
            parts[name] = slice(start, start + width)
            start += width
    return parts


def extra_width(recurrence: Recurrence, sources: bool) -> int:
    """Columns of the extra tape."""
    return max((part.stop for part in extra_parts(recurrence, sources).values()), default=0)


def gates_width(recurrence: Recurrence) -> int:
    """Columns of the gates' tape: one a net input, or what a described cell keeps."""
    if recurrence.cell in CELLS:
        return recurrence.n_net_inputs
    return described_cell(recurrence.cell).tape * recurrence.units


def has_own_errors(recurrence: Recurrence) -> bool:
    """Whether errors of ``w_hh h`` differ from those of ``w_ih x``."""
    return recurrence.layer_norm or recurrence.cell == "gru" or recurrence.cell not in CELLS
