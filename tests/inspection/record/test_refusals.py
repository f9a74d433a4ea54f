"""What cannot be inspected is refused with a sentence that says what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

import carrousel.nn as cn
from carrousel.errors import CarrouselError, InputError
from carrousel.inspection import inspect, state
from carrousel.nn.quantized import quantize
from support.inspection.nets import B, H, I, T, data, read


def _fails(match: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(InputError, match=re.escape(match)):
        inspect(*arguments, **options)


def last(found: Any) -> torch.Tensor:
    return read(found[0][-1])


def test_models_that_hide_their_states_or_have_none() -> None:
    net, x = nn.LSTM(I, H).double(), data()
    _fails("no recurrent layer, cell or named state ran", nn.Linear(I, H).double(), x, torch.sum)
    _fails("expected a torch.nn.Module", 3, x, last)

    class Mine(nn.LSTM):
        pass

    _fails("a subclass, which may behave differently", Mine(I, H).double(), x, last)
    bound = nn.utils.parametrizations.weight_norm(nn.GRU(I, H).double(), "weight_hh_l0")
    _fails("parametrizations", bound, x, last)
    _fails("return_states=True", lambda x: cn.LSTM(I, H).double()(x, return_states=True), x, last)
    wrapped = nn.DataParallel(net)
    wrapped.device_ids = [0, 1]
    _fails("wrapped by DataParallel, which runs copies of it", wrapped, x, last)
    with torch.inference_mode():
        made = nn.LSTM(I, H).double()
    _fails("weight_ih_l0 was made in inference mode", made, x, last)
    _fails("on the meta device", nn.LSTM(I, H, device="meta"), x, last)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_compiled_layers_and_old_weight_norm_are_refused() -> None:
    old = nn.utils.weight_norm(nn.LSTM(I, H).double(), "weight_hh_l0")
    _fails(
        "0: the weights of the LSTM are parametrized, pruned, normalised",
        nn.Sequential(old),
        data(),
        last,
    )
    _fails("remove_parametrizations", nn.Sequential(old), data(), last)
    traced = torch.jit.trace(nn.Linear(I, H), torch.ones(1, I))
    _fails("compiled by TorchScript", traced, data(), last)
    scripted = torch.jit.script(nn.LSTM(I, H).double())
    _fails("compiled by TorchScript", nn.Sequential(scripted), data(), last)


def test_quantised_layers() -> None:
    net = nn.Sequential(quantize(cn.LSTM(I, H)))
    _fails("0 is quantised, so no errors flow through it", net, data().float(), last)


def test_losses() -> None:
    net, x = nn.LSTM(I, H).double(), data()
    _fails("the loss does not depend on any recurrent state", net, x, lambda _: torch.ones(()))
    _fails(
        "the loss does not depend on any recurrent state",
        *(net, x, lambda found: found[0].detach().sum()),
    )
    _fails("a tensor of shape (4, 3)", net, x, lambda found: found[0][-1])
    _fails("loss is 'float', expected a function that returns a scalar", net, x, lambda _: 3.0)
    _fails("expected a function of the output", net, x, 3)


def test_a_loss_without_a_derivative_is_told_from_one_that_does_not_depend() -> None:
    net = nn.Sequential(nn.LSTM(I, H).double())
    _fails(
        "the loss is 0 and its derivative is exactly zero",
        *(net, data(), lambda found: torch.relu(found[0] - 2.0).sum()),
    )


def test_empty_inputs() -> None:
    net, x = nn.LSTM(I, H).double(), data()
    _fails("a layer receives 0 sequences of 7 steps", net, x[:, :0], last)
    _fails("0 receives 4 sequences of 0 steps", nn.Sequential(net), x[:0], last)


def test_values_that_are_not_finite() -> None:
    net: Any = nn.LSTM(I, H).double()
    x = data()
    x[2, 1, 0] = torch.nan
    _fails(
        "inputs has 1 of 56 values that are not finite, the first at index (2, 1, 0)", net, x, last
    )
    _fails("inputs['input'] has 1 of 56", net, {"input": x}, last)
    with torch.no_grad():
        net.weight_hh_l0[1, 2] = torch.inf
    _fails("parameter weight_hh_l0 has 1 of 36 values that are not finite", net, data(), last)


def test_a_lag_that_the_data_cannot_show() -> None:
    net = nn.LSTM(I, H).double()
    _fails(f"the loss reads step {T - 1} (from 0) at the latest", net, data(), last, lag=T)
    assert inspect(net, data(), last, lag=T - 1).lag == T - 1
    with pytest.raises(CarrouselError, match="no tensor of the inputs has as many sequences"):
        inspect(net, data(), last, targets=torch.ones(B + 5))


def test_named_states_are_matrices() -> None:
    def loop(x: torch.Tensor) -> torch.Tensor:
        return state("loop", x[0, 0])

    with pytest.raises(InputError, match=r"expected a floating-point tensor \[B, H\]"):
        inspect(loop, data(), torch.sum)


def test_names_without_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find(name, *rest)
from carrousel import inspection
inspection.errors_by_lag, inspection.writes_of, inspection.credit_of_writes, inspection.Fault
try:
    inspection.inspect
except ImportError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MissingExtraError carrousel.inspection.inspect needs torch")
    assert "pip install 'carrousel[torch]'" in done.stdout
