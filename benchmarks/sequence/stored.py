"""The section ``stored``: inference with weights in fewer bits, verified against float64."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from benchmarks.sequence.cases import PLAIN, QUICK_SIZE, Size, data, torch_twin
from benchmarks.sequence.timing import Plan, alternate, ratios, summary

from carrousel import nn

STORED_SIZES = (
    Size(128, 1, 128, 128),
    Size(128, 32, 64, 64),
    Size(128, 32, 128, 128),
    Size(128, 64, 256, 256),
    Size(100, 1, 512, 512),
    Size(100, 64, 512, 512),
)
CONTENDERS = {
    "carrousel float32": 1e-5,
    "carrousel bfloat16": 0.01,
    "carrousel int8": 0.02,
    "torch float32": 1e-5,
    "torch int8": 0.05,
}
"""Largest allowed difference of an output from float64, by contender, in the order of the table."""


def stored(size: Size, plan: Plan, quick: bool) -> Iterator[dict[str, Any]]:
    """Time the inference of the plain cell with stored weights, all in the same rounds."""
    layer = PLAIN.make(size)
    x = data(QUICK_SIZE if quick else size, size.H)[0].detach()
    with torch.inference_mode():
        want = copy.deepcopy(layer).double()(x.double())[0]
        calls = _calls(layer, size, x)
        errors = {name: float((call().double() - want).abs().max()) for name, call in calls.items()}
        good = {name: call for name, call in calls.items() if errors[name] <= CONTENDERS[name]}
        times = {name: summary(made) for name, made in alternate(good, plan).items()}
    for name, error in errors.items():
        bound = CONTENDERS[name]
        parity = {"error": error, "bound": bound, "holds": error <= bound}
        row: dict[str, Any] = {"size": list(size), "contender": name, "parity": parity}
        if name in times and "carrousel float32" in times:
            row |= {"time": times[name], **ratios(times["carrousel float32"], times[name])}
        yield row


def _calls(layer: Any, size: Size, x: torch.Tensor) -> dict[str, Callable[[], torch.Tensor]]:
    half, small = copy.deepcopy(layer).bfloat16(), nn.quantize(layer)
    twin = torch_twin(layer, "LSTM", size)
    halves = x.bfloat16()
    calls = {
        "carrousel float32": lambda: layer(x)[0],
        "carrousel bfloat16": lambda: half(halves)[0],
        "carrousel int8": lambda: small(x)[0],
        "torch float32": lambda: twin(x)[0],
    }
    if (theirs := _torch_int8(twin)) is not None:
        calls["torch int8"] = lambda: theirs(x)[0]
    return calls


def _torch_int8(twin: torch.nn.Module) -> Any:
    """Torch's dynamic quantisation; None if this build of torch has no engine for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        try:
            model = torch.ao.quantization.quantize_dynamic(
                torch.nn.Sequential(twin), {torch.nn.LSTM}, dtype=torch.qint8
            )
        except RuntimeError:
            return None
    return model[0]
