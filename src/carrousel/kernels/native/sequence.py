"""Compiled sequence kernels: calls, and the layout of their tape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from carrousel import _native
from carrousel.contracts import CELLS, Recurrence
from carrousel.errors import SettingError
from carrousel.kernels.described import described_cell

WINDOW_BYTES: int = _native.sequence_window_bytes
"""Bytes of net inputs per window of steps, chosen to fit into the caches of two cores."""

WINDOW_ROWS: int = _native.sequence_window_rows
"""Minimum of steps times sequences per window."""

Stepper: TypeAlias = _native.StepFloat | _native.StepDouble

UnmaskedLayer: TypeAlias = _native.UnmaskedLayerFloat | _native.UnmaskedLayerDouble

_DTYPES = ("float32", "float64")
_UNMASKED = {"float32": _native.UnmaskedLayerFloat, "float64": _native.UnmaskedLayerDouble}
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
_NORMS: int = _native.sequence_norms


def is_compiled(recurrence: Recurrence, dtype: str) -> bool:
    """Return whether a cell is compiled for a data type ("float32" or "float64").

    >>> is_compiled(Recurrence("gru", 4), "float32"), is_compiled(Recurrence("gru", 4), "float16")
    (True, False)
    """
    if recurrence.cell in CELLS:
        return dtype in _DTYPES
    cell = described_cell(recurrence.cell)
    return dtype in cell.forward and dtype in cell.backward


@lru_cache(maxsize=256)
def _description(recurrence: Recurrence, dtype: str) -> dict[str, Any]:
    first, *others = recurrence.product_rows
    products: list[dict[str, int]] = []
    if recurrence.cell in CELLS:
        kind, tape, forward, backward = _KINDS[recurrence.cell], 0, 0, 0
    else:
        cell = described_cell(recurrence.cell)
        kind, tape = _DESCRIBED, cell.tape
        forward, backward = cell.forward[dtype], cell.backward[dtype]
        products = [
            {"rows": rows, "source": one.forward[dtype], "back": one.backward[dtype]}
            for rows, one in zip(others, cell.sources, strict=True)
        ]
    return {
        "recurrent": int(recurrence.reads_product),
        "first_rows": first,
        "products": products,
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


def unmasked_layer(recurrence: Recurrence, dtype: str) -> UnmaskedLayer:
    """Create the kernel of one direction of one layer without masks and recomputation.

    Args:
        recurrence: equations and sizes.
        dtype: "float32" or "float64".
    """
    return _UNMASKED[dtype](_description(recurrence, dtype))


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
_SCALES = ("s_ih", "s_hh", "s_hr")
_STEPS = ("flags", "keep_h", "keep_s")
_TAPE = ("states", "gates", "extra", "marks")
_GRADIENTS = ("x", *_WEIGHTS[:-1])
_ABSENT = dict.fromkeys(
    (
        *_WEIGHTS,
        *_SCALES,
        *_STEPS,
        *_TAPE,
        "d_out",
        "d_states",
        *(f"d_{name}" for name in _GRADIENTS),
    )
)
_SETTINGS = {
    "threads": 1,
    "cut": 0,
    "reverse": False,
    "recompute": 0,
    "window": 0,
    "samples": 0,
    "storage": "",
    "zone_h": 0.0,
    "zone_s": 0.0,
    "instruction_set": "",
}


def forward(recurrence: Recurrence, dtype: str, call: Mapping[str, Any]) -> None:
    """Run one direction of one layer; writes ``out``, the last ``h`` and ``s``, and the tape.

    Args:
        recurrence: equations and sizes.
        dtype: "float32" or "float64", the type of every array that is not uint8.
        call: arguments by name. Arrays are contiguous and support DLPack or the buffer protocol.

            - The fields of ``LayerInputs``, with the shapes stated there.
            - Results: ``out [T, B, H]``, ``h [B, H]``, ``s [B, D*C]``.
            - Wanted parts of the tape: ``states [T, B, D*C]``, ``gates [T, B, gates_width]``,
              ``extra [T, B, extra_width]``; or ``marks [segments, B, H + D*C]`` with ``recompute``.
            - Settings: ``threads``, ``cut``, ``reverse``, ``recompute``, ``zone_h``, ``zone_s``,
              ``window`` (steps per window; 0: chosen by the kernel), ``instruction_set``.
            - ``storage``: type of the matrices ``w_ih``, ``w_hh`` and ``w_hr``; only for the
              forward pass in float32. "": that of the other arrays. "bfloat16" or "float16": their
              bits as uint16. "int8": with a scale for each row, ``s_ih [U]``, ``s_hh [U]`` and
              ``s_hr [H]``, and factors are rounded to int8 row by row.

            Omitted arrays are absent; omitted settings have their defaults. See also
            ``native/sequence/run.h``.

    Raises:
        SettingError: the kernel rejects an array or a number, which the message names.
    """
    _run(_native.sequence_forward, recurrence, dtype, call)


def backward(recurrence: Recurrence, dtype: str, call: Mapping[str, Any]) -> None:
    """Compute the gradient by all inputs of :func:`forward`.

    Args:
        recurrence: equations and sizes.
        dtype: as in :func:`forward`.
        call: as in :func:`forward`, with its tape, without ``h`` and ``s``, and with:

            - ``dh [B, H]``, ``ds [B, D*C]``: errors of the last state, overwritten by those of the
              first.
            - ``d_out [T, B, H]``, ``d_states [T, B, D*C]``: errors of the results.
            - ``d_x``: written. ``d_w_ih [samples or 1, U, I]``, likewise ``d_w_hh``, ``d_bias`` and
              ``d_w_hr``: added to. ``d_unit``, ``d_ln_ih``, ``d_ln_hh``, ``d_ln_c``, ``d_fresh_h``
              and ``d_fresh_s``, in the shapes of the inputs: added to.
            - ``samples``: number of equal parts of the batch with separate gradients of weights.

    Raises:
        SettingError: the kernel rejects an array or a number, which the message names.
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
    storage: str = "",
    instruction_set: str = "",
) -> Stepper:
    """Create a kernel that computes one step per call; see ``native/step/step.h``.

    Args:
        recurrence: equations and sizes of every layer.
        dtype: "float32" or "float64".
        weights: for each layer, the weights by their names in ``LayerInputs`` (no ``drop``), None
            where they do not apply. They are copied.
        batch: ``B``.
        inputs: ``I`` of the first layer; the other layers read the output of the layer below.
        zone_h, zone_s: shares of the old value that zoneout mixes in.
        storage: as in :func:`forward`; the matrices in ``weights`` have this type.
        instruction_set: "" for the best.

    Raises:
        SettingError: the kernel rejects an array or a number, which the message names.
    """
    try:
        return _STEPPERS[dtype](
            _description(recurrence, dtype),
            [dict(layer) for layer in weights],
            batch,
            inputs,
            zone_h,
            zone_s,
            storage,
            instruction_set,
        )
    except ValueError as error:
        raise SettingError(f"step kernel: {error}") from error


@lru_cache(maxsize=256)
def extra_parts(recurrence: Recurrence, sources: bool, norms: bool = False) -> dict[str, slice]:
    """Return the columns of the extra tape by name: ``Extra`` in ``native/sequence/sequence.h``.

    Args:
        recurrence: equations and sizes.
        sources: whether ``flags`` or ``drop`` are given.
        norms: whether the kernel normalises ``w_ih x``.

    >>> extra_parts(Recurrence("lstm", 4, projection=2), sources=True)
    {'output': slice(0, 4, None), 'source': slice(4, 6, None)}

    The last part with layer normalisation is its means and rates: ``Norm`` in the same file.
    """
    widths = {
        "product": recurrence.n_net_inputs * recurrence.layer_norm,
        "recurrent": recurrence.units * (recurrence.cell == "gru" and not recurrence.layer_norm),
        "output": recurrence.units * (recurrence.projection > 0),
        "inputs": recurrence.n_net_inputs * norms,
        "source": recurrence.n_sources * sources,
        "vectors": recurrence.units * (len(recurrence.product_rows) - 1),
        "norms": _NORMS * recurrence.layer_norm,
    }
    parts, start = {}, 0
    for name, width in widths.items():
        if width:
            parts[name] = slice(start, start + width)
            start += width
    return parts


def extra_width(recurrence: Recurrence, sources: bool, norms: bool = False) -> int:
    """Return the number of columns of the extra tape."""
    return max((part.stop for part in extra_parts(recurrence, sources, norms).values()), default=0)


def gates_width(recurrence: Recurrence) -> int:
    """Return the number of columns of the gates' tape: ``U``, or the tape of a described cell."""
    if recurrence.cell in CELLS:
        return recurrence.n_net_inputs
    return described_cell(recurrence.cell).tape * recurrence.units


def has_own_errors(recurrence: Recurrence) -> bool:
    """Return whether errors of ``w_hh h`` differ from those of ``w_ih x``."""
    return recurrence.layer_norm or recurrence.cell == "gru" or recurrence.cell not in CELLS
