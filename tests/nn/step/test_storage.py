"""``nn.step`` with stored weights: as the module whose weights are rounded in the same way."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from carrousel import nn
from carrousel.errors import SettingError, UnknownNameError
from carrousel.nn.step.step import step
from support.case import case
from support.nn.deployed import MODULES, make

T, B = 30, 3


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def run(stepper: nn.Stepper, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([stepper(one).clone() for one in x])


def rounded(module: torch.nn.Module, dtype: torch.dtype) -> Any:
    """A float32 copy with the matrices of weights rounded to a type of 16 bits."""
    twin = copy.deepcopy(module)
    for name, parameter in twin.named_parameters():
        if name.startswith(("weight_ih", "weight_hh", "weight_hr")):
            parameter.data = parameter.data.to(dtype).float()
    return twin


@pytest.mark.parametrize("name", MODULES)
def test_halves_equal_the_module_with_rounded_weights(name):
    module = make(name).float()
    for batch in (1, B):
        for dtype in (torch.bfloat16, torch.float16):
            storage = str(dtype).removeprefix("torch.")
            x = torch.randn(T, batch, module.input_size)
            have = run(step(module, batch, storage=storage), x)
            with case(batch, storage):
                want = run(step(rounded(module, dtype), batch), x)
                torch.testing.assert_close(have, want, rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["LSTM", "GRU", "RNN"])
def test_int8_is_near_the_module_and_equal_to_quantize(family):
    module = getattr(nn, family)(24, 40, num_layers=2)
    x = torch.randn(T, B, 24)
    have = run(step(module, B, storage="int8"), x)
    with torch.no_grad():
        want, _ = module(x)
    assert 1e-5 < (have - want).abs().max() < 0.03
    # A number between two multiples may be rounded either way.
    torch.testing.assert_close(have, nn.quantize(module)(x)[0], rtol=0, atol=5e-3)


@pytest.mark.parametrize("units", [8, 64, 256])
def test_new_nets_keep_the_bounds_of_the_guide(units):
    """The largest errors of ``docs/nn.md``, over 200 steps against float64."""
    for family, int8 in (("LSTM", 0.02), ("GRU", 0.02), ("RNN", 0.03)):
        module = getattr(nn, family)(16, units)
        x = torch.randn(200, 1, 16)
        with torch.no_grad():
            want, _ = copy.deepcopy(module).double()(x.double())
        for storage, bound in (("bfloat16", 0.01), ("float16", 0.001), ("int8", int8)):
            with case(family, storage):
                error = (run(step(module, storage=storage), x) - want).abs().max()
                assert bound / 50 < error < bound


def test_refresh_and_state():
    module = nn.GRU(5, 16)
    stepper = step(module, storage="bfloat16")
    x = torch.randn(1, 5)
    before = stepper(x).clone()
    with torch.no_grad():
        for name in ("weight_hh_l0", "weight_ih_l0"):
            module.get_parameter(name).neg_()
    stepper.reset()
    stepper.refresh()
    assert not torch.equal(stepper(x), before)
    other = step(module, storage="bfloat16")
    other.state = stepper.state
    torch.testing.assert_close(other(x).clone(), stepper(x), rtol=0, atol=0)
    assert "storage='bfloat16'" in repr(stepper)
    assert stepper.is_compiled


def test_wrong_storages():
    module = nn.LSTM(3, 4)
    for wrong in ("float32", "int4", "", 8, torch.int8):
        with case(wrong), pytest.raises(UnknownNameError, match="storage"):
            step(module, storage=wrong)  # pyright: ignore[reportArgumentType]
    for other in (nn.LSTM(3, 4).double(), nn.LSTM(3, 4).bfloat16(), nn.LSTM(3, 4, device="meta")):
        with pytest.raises(SettingError, match=r"float32 on the CPU.*module.float"):
            step(other, storage="int8")
    weight = module.get_parameter("weight_hh_l0")
    with torch.no_grad():
        weight[0, 0] = 1e6
    with pytest.raises(SettingError, match=r"1e\+06 is too large for float16"):
        step(module, storage="float16")
    with torch.no_grad():
        weight[0, 0] = float("nan")
    with pytest.raises(SettingError, match="infinite or NaN"):
        step(module, storage="int8")


def negated(tensor: torch.Tensor) -> torch.Tensor:
    """A view with the same values whose memory holds the other sign."""
    return torch._neg_view(-tensor.detach())  # pyright: ignore[reportPrivateImportUsage]


def test_tensors_that_torch_negates_later():
    module, x = nn.LSTM(3, 8), torch.randn(T, 1, 3)
    expected = [run(step(module), x), run(step(module, storage="int8"), x)]
    twin = copy.deepcopy(module)
    for name, parameter in module.named_parameters():
        setattr(twin, name, torch.nn.Parameter(negated(parameter)))
    stepper = step(twin)
    state = stepper.state
    stepper(x[1])
    h, c = state
    stepper.state = negated(h), negated(c)
    assert torch.equal(run(stepper, x), expected[0])
    assert torch.equal(run(step(twin, storage="int8"), negated(x)), expected[1])
    assert torch.equal(nn.quantize(twin)(negated(x))[0], nn.quantize(module)(x)[0])
