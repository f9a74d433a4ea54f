"""Saving and loading modules: safetensors files with a header of class and arguments."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carrousel.checks import check_int
from carrousel.errors import CarrouselError, MissingExtraError, SettingError
from carrousel.errors import CheckpointError as CheckpointError
from carrousel.files import checksum as crc32
from carrousel.files import read_whole, write_whole
from carrousel.nn.cells import GRUCell, LSTMCell, RNNCell, StepCell
from carrousel.nn.equations.equations import Equations
from carrousel.nn.gru import GRU
from carrousel.nn.lstm import LSTM
from carrousel.nn.options import CellObject
from carrousel.nn.recurrent import Recurrent
from carrousel.nn.rnn import RNN

Module = Recurrent | StepCell
KINDS: Mapping[str, Callable[..., Module]] = {
    kind.__name__: kind for kind in (LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell)
}
KEY = "carrousel.nn"
FORMAT = 1


def save(module: Module, path: str | os.PathLike[str]) -> None:
    """Write a module of this package to a file: constructor arguments and weights, no code.

    The file is in the safetensors format. Other tools can read its weights under the names of the
    state dictionary. The file is replaced atomically: after a crash, ``path`` holds the old file or
    the new one.

    Args:
        module: an LSTM, GRU, RNN or one of their cells. Of a model that contains one, save the
            ``state_dict`` or the layer.
        path: name of the file; an existing file is replaced.

    Raises:
        SettingError: the module is of another class.
        UnwritableError: the file cannot be written.
        MissingExtraError: safetensors is not installed.

    >>> import tempfile, torch
    >>> from carrousel import nn
    >>> lstm = nn.LSTM(3, 4, cell="peephole")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nn.save(lstm, f"{folder}/lstm.safetensors")
    ...     again = nn.load(f"{folder}/lstm.safetensors")
    >>> again, torch.equal(again.weight_peephole_l0, lstm.weight_peephole_l0)
    (LSTM(3, 4, cell=peephole), True)
    """
    name = type(module).__name__
    if KINDS.get(name) is not type(module):
        raise SettingError(
            f"module is a {type(module).__module__}.{name}, expected a class of carrousel.nn: "
            + ", ".join(KINDS),
            argument="module",
            fix="save the state_dict() of other modules with torch.save",
        )
    settings = module.settings()
    if "cell" in settings:
        settings["cell"] = _cell_header(settings["cell"])
    tensors = {name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()}
    header = {"format": FORMAT, "class": name, "settings": settings}
    header["crc32"] = checksum(header, tensors)
    write_whole(Path(path), _safetensors().save(tensors, {KEY: json.dumps(header)}))


def load(path: str | os.PathLike[str], *, device: Any = None) -> Any:
    """Read a module that :func:`save` wrote. No code from the file is run.

    Args:
        path: the file.
        device: device of the new module; None: the CPU.

    Returns:
        A module of the saved class, arguments, type and weights. A cell given by equations is
        derived again from the equations in the file.

    Raises:
        CheckpointError: the file is of another kind, damaged, or of a newer version.
        FileNotFoundError: there is no such file.
        MissingExtraError: a package that the module needs is not installed.

    See :func:`save` for an example.
    """
    header, data = _read(path)
    kind, settings = KINDS[header["class"]], dict(header["settings"])
    if isinstance(settings.get("zoneout"), list):
        settings["zoneout"] = tuple(settings["zoneout"])
    try:
        tensors = _safetensors().load(data)
    except Exception as error:  # the reader raises errors of several kinds
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if header.get("crc32") != checksum(header, tensors):
        raise CheckpointError(f"{path} is damaged: the checksum does not match its contents")
    dtypes = {tensor.dtype for tensor in tensors.values()}
    if len(dtypes) != 1 or not next(iter(dtypes)).is_floating_point:
        raise CheckpointError(f"{path} has weights of types {dtypes}, expected one float type")
    try:
        # On the meta device, a module of any size takes no memory until the weights are assigned.
        if check_int("num_layers", settings.get("num_layers", 1), minimum=1) > len(tensors):
            raise SettingError(f"num_layers is more than the {len(tensors)} tensors in the file")
        if isinstance(settings.get("cell"), dict):
            settings["cell"] = Equations(**settings["cell"])
        module = kind(**settings, dtype=dtypes.pop(), device="meta")
        module.load_state_dict({name: t.clone() for name, t in tensors.items()}, assign=True)
    except MissingExtraError:
        raise
    except (CarrouselError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path} contradicts itself: {error}") from error
    return module.to(device)


def checksum(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> int:
    """Return the CRC-32 of a header without its checksum, and of all weights sorted by name."""
    # Tensor.numpy() would keep the storage of the caller's weights from resizing.
    bits = {name: t.contiguous().flatten().view(torch.uint8) for name, t in tensors.items()}
    return crc32(header, {name: np.from_dlpack(one) for name, one in bits.items()})


def _cell_header(cell: str | CellObject) -> str | dict[str, Any]:
    """Return the header entry of a cell: its name, or its equations."""
    if isinstance(cell, Equations):
        functions = [name for name, value in cell.initial.items() if callable(value)]
        if functions:
            raise SettingError(
                f"the initial value of {functions[0]!r} is a function, and the file contains no "
                "code",
                argument="module",
                fix="give the cell numbers or ranges, or save the module's state_dict()",
            )
        header = {
            "name": cell.name,
            "net_inputs": cell.net_inputs,
            "equations": cell.equations,
            "states": cell.kind.states,
            "unit_parameters": cell.unit_parameters,
        }
        more = {"scalars": cell.scalars, "initial": cell.initial}
        return header | {name: part for name, part in more.items() if part}
    return cell if isinstance(cell, str) else cell.recurrence_name


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], bytes]:
    """Read a file; return its header, which is checked, and its bytes."""
    instead = "load weights of torch.nn modules with load_state_dict"
    header, data = read_whole(path, KEY, FORMAT, writer="carrousel.nn.save", instead=instead)
    name, settings = header.get("class"), header.get("settings")
    if name not in KINDS or not isinstance(settings, dict):
        raise CheckpointError(f"{path} contains a {name!r}, expected one of {', '.join(KINDS)}")
    return header, data


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingExtraError(
            "carrousel.nn.save and load need safetensors, which is not installed",
            fix="pip install 'carrousel[torch]'",
        ) from error
    return safetensors.torch
