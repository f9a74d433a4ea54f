"""Rows of the compatibility matrix: tools of torch that look for recurrent layers."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from support.nn.compatibility.cases import INPUTS, Case, f32, f64
from support.nn.modules import close


class Head(torch.nn.Module):
    """A layer and a linear layer; the input is padded."""

    def __init__(self, case: Case, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = case.module(dtype).eval()
        self.more: dict[str, Any] = {}
        if case.mode.feed == "lengths":
            self.more = {"lengths": torch.tensor(case.lengths(*case.leaf().shape[:2]))}
        width = self.layer(case.leaf(dtype=dtype), **self.more)[0].shape[-1]
        self.linear = torch.nn.Linear(width, 2, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.layer(x, **self.more)[0])


def traced_by_fx(case: Case) -> None:
    """The layer is one node of the graph."""
    net = Head(case, f64)
    traced = torch.fx.symbolic_trace(net)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == [
        "layer",
        "linear",
    ]
    close(traced(case.leaf()), net(case.leaf()))


def quantised(case: Case) -> None:
    """``quantize_dynamic`` of the layers of torch, to int8."""
    net = Head(case, f32)
    kinds = {torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends another package
        small = torch.ao.quantization.quantize_dynamic(net, kinds, dtype=torch.qint8)
    assert not list(small.layer.parameters()), "the layer is still in float"
    x = case.leaf(dtype=f32)
    torch.testing.assert_close(small(x), net(x), rtol=0, atol=0.05)


def malformed_packed(case: Case) -> None:
    """Batch sizes that increase, and sizes that are not those of the data, are refused."""
    module = case.module()
    for sizes in ([3, 4], [2, 2], [0, 6]):
        packed = PackedSequence(torch.randn(6, INPUTS, dtype=f64), torch.tensor(sizes))
        try:
            module(packed)
        except (ValueError, RuntimeError):
            continue
        raise AssertionError(f"batch sizes {sizes} of 6 rows are accepted")
