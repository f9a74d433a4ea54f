"""``nn.step``: steppers give the same outputs as modules that process whole sequences."""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from carrousel import nn
from carrousel.errors import InputError, SettingError
from carrousel.kernels.autograd.dispatch import plain_layer
from carrousel.nn.step import engines
from carrousel.nn.step.step import step
from support.case import case
from support.nn.deployed import MODULES, drawn, earned, make, run_sequence, stacked


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


every_module = pytest.mark.parametrize("name", MODULES)
T, B = 50, 3


def run_steps(stepper: nn.Stepper, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([stepper(one).clone() for one in x])


@every_module
def test_steps_give_the_outputs_of_the_sequence(name):
    module = make(name).double()
    for batch in (1, B):
        with case(batch):
            check_steps(module, batch)


def check_steps(module, batch):
    x = torch.randn(T, batch, module.input_size, dtype=torch.float64)
    want, state = run_sequence(module, x)
    stepper = step(module, batch)
    assert stepper.is_compiled
    # Layer normalisation of a narrow layer may divide by a small number.
    torch.testing.assert_close(run_steps(stepper, x), want, rtol=1e-9, atol=1e-9)
    for one, other in zip(stacked(module, stepper.state), state, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@every_module
def test_float32_error_is_at_most_twice_that_of_torch(name):
    module = make(name)
    x = torch.randn(1000, 1, module.input_size)
    exact, allowed = earned(name, x)[0]
    error = (run_steps(step(module), x) - exact).abs().max()
    assert error <= allowed


@every_module
def test_plain_engine_gives_the_same_outputs(name, monkeypatch):
    monkeypatch.setattr(engines, "is_compiled", lambda *_: False)
    monkeypatch.setattr(engines, "layer", plain_layer)
    module = make(name).double()
    x = torch.randn(7, B, module.input_size, dtype=torch.float64)
    stepper = step(module, B)
    assert not stepper.is_compiled
    want, _ = run_sequence(module, x)
    torch.testing.assert_close(run_steps(stepper, x), want, rtol=1e-9, atol=1e-9)
    before = stacked(module, stepper.state)
    stepper.reset(1)
    fresh = stacked(module, step(module, B).state)
    for new, old, start in zip(stacked(module, stepper.state), before, fresh, strict=True):
        assert torch.equal(new[:, ::2], old[:, ::2])
        assert torch.equal(new[:, 1], start[:, 1])
    stepper.prepare()
    stepper.state = stepper.state
    again = step(module, B)
    again.state = stepper.state
    torch.testing.assert_close(stepper(x[0]).clone(), again(x[0]))


def test_half_precision_uses_the_plain_engine():
    module = nn.LSTM(3, 4, dtype=torch.bfloat16)
    stepper = step(module)
    assert not stepper.is_compiled
    x = torch.randn(5, 1, 3, dtype=torch.bfloat16)
    want, _ = run_sequence(module, x)
    # The stepper rounds states to 8 bits after every step; a whole sequence does not.
    torch.testing.assert_close(run_steps(stepper, x), want, rtol=0, atol=2e-2)


def test_forms_of_the_input():
    stepper = step(drawn(nn.LSTM(3, 4)))
    x = torch.randn(3)
    y = stepper(x).clone()
    assert y.shape == (4,)
    stepper.reset()
    torch.testing.assert_close(stepper(x[None]), y[None])
    stepper.reset()
    torch.testing.assert_close(stepper(torch.randn(3, 2)[:, 0].copy_(x)), y)
    stepper.reset()
    torch.testing.assert_close(stepper(x.clone().requires_grad_()), y)
    stepper.reset()
    stepper.input[...] = x.numpy()
    stepper.advance()
    np.testing.assert_array_equal(stepper.output[0], y.numpy())


def test_output_is_the_buffer_or_out():
    stepper = step(drawn(nn.GRU(3, 4)), 2)
    x = torch.randn(2, 3)
    first = stepper(x)
    kept, out = first.clone(), torch.empty(2, 4)
    assert stepper(x, out) is out
    assert stepper(x).data_ptr() == first.data_ptr()
    assert not torch.equal(first, kept)
    stepper.reset()
    torch.testing.assert_close(stepper(x, out=out), kept)
    assert not stepper(x).requires_grad


def test_prepare_does_not_change_results():
    module = drawn(nn.LSTM(3, 4, num_layers=2, layer_norm=True))
    x = torch.randn(9, 1, 3)
    plain, prepared = step(module), step(module)
    for one in x:
        y = plain(one)
        torch.testing.assert_close(prepared(one), y, rtol=0, atol=0)
        prepared.prepare()
        prepared.prepare()
    prepared.state = plain.state
    torch.testing.assert_close(prepared(x[0]), plain(x[0]), rtol=0, atol=0)


def test_reset_of_one_sequence():
    module = drawn(nn.LSTM(3, 4, num_layers=2, initial_state="learned"))
    stepper, alone = step(module, B), step(module)
    x = torch.randn(4, B, 3)
    whole = run_steps(step(module, B), torch.cat([x, x]))
    run_steps(stepper, x)
    stepper.reset(1)
    again = run_steps(stepper, x)
    torch.testing.assert_close(again[:, 1:2], run_steps(alone, x[:, 1:2]))
    torch.testing.assert_close(again[:, ::2], whole[len(x) :, ::2])  # the others continue


def test_states_of_module_and_stepper_are_interchangeable():
    module = drawn(nn.LSTM(3, 4, num_layers=2, proj_size=2))
    x = torch.randn(8, B, 3)
    with torch.no_grad():
        _, state = module(x[:4])
        want, last = module(x[4:], state)
    stepper = step(module, B)
    stepper.state = state
    torch.testing.assert_close(run_steps(stepper, x[4:]), want)
    torch.testing.assert_close(stepper.state, last)
    copied = stepper.state
    stepper(x[0])
    torch.testing.assert_close(copied, last)  # a copy, which later steps do not change


def test_refresh_copies_the_current_weights():
    module, x = drawn(nn.GRU(3, 4)), torch.randn(4, 1, 3)
    stepper = step(module)
    first = run_steps(stepper, x)
    drawn(module, seed=1)
    stepper.reset()
    torch.testing.assert_close(run_steps(stepper, x), first)
    stepper.refresh()
    stepper.reset()
    torch.testing.assert_close(run_steps(stepper, x), run_sequence(module, x)[0])


def test_inference_mode_inside_and_out():
    module, x = drawn(nn.LSTM(3, 4)), torch.randn(1, 3)
    with torch.inference_mode():
        stepper = step(module)
        y = stepper(x).clone()
    stepper.reset()
    torch.testing.assert_close(stepper(x), y.clone())
    with torch.inference_mode():
        stepper(x + 1)


def test_stepper_is_freed():
    stepper = step(nn.LSTM(3, 4))
    engine = weakref.ref(stepper._engine)
    buffer = stepper(torch.zeros(3))
    del stepper
    gc.collect()
    assert engine() is None
    assert torch.isfinite(buffer).all()  # the buffer stays valid


WRONG_INPUTS: list[Any] = [
    torch.zeros(2, 3),
    torch.zeros(1, 4),
    torch.zeros(4),
    torch.zeros(1, 1, 3),
    torch.zeros(()),
    torch.zeros(1, 3, dtype=torch.float64),
    torch.zeros(1, 3, dtype=torch.int64),
    np.zeros((1, 3), np.float32),
    [[0.0, 0.0, 0.0]],
    None,
    1.0,
]


def test_wrong_inputs():
    stepper = step(drawn(nn.LSTM(3, 4)))
    before = stepper.state
    for x in WRONG_INPUTS:
        with case(x), pytest.raises(InputError, match=r"x is .*expected a tensor \(B, I\)"):
            stepper(x)
    with pytest.raises(InputError, match=r"and type torch\.float64.*\.to\(torch\.float32\)"):
        stepper(torch.zeros(1, 3, dtype=torch.float64))
    outs: list[Any] = [torch.zeros(4), torch.zeros(2, 4), torch.zeros(1, 4).double()]
    for out in [*outs, np.zeros((1, 4)), 1]:
        with case(out), pytest.raises(InputError, match=r"out is .*expected a tensor \(B, O\)"):
            stepper(torch.zeros(1, 3), out)
    torch.testing.assert_close(stepper.state, before, rtol=0, atol=0)


WRONG_STATES: list[Any] = [
    None,
    torch.zeros(1, 1, 4),
    (torch.zeros(1, 1, 4),),
    (torch.zeros(1, 1, 4), torch.zeros(1, 4)),
    (torch.zeros(1, 2, 4), torch.zeros(1, 1, 4)),
    (torch.zeros(1, 1, 4), torch.zeros(1, 1, 4).double()),
    (torch.zeros(1, 1, 4), None),
]


def test_wrong_states():
    for state in WRONG_STATES:
        with case(state):
            stepper = step(nn.LSTM(3, 4))
            with pytest.raises(InputError, match="state"):
                stepper.state = state
            assert not any(part.any() for part in stepper.state)


def test_wrong_modules_and_sizes():
    with pytest.raises(SettingError, match="bidirectional"):
        step(nn.LSTM(3, 4, bidirectional=True))
    with pytest.raises(TypeError, match=r"Linear, expected an LSTM"):
        step(torch.nn.Linear(3, 4))  # pyright: ignore[reportArgumentType]
    random: list[dict[str, Any]] = [
        {"zoneout": 0.1},
        {"recurrent_dropout": 0.1},
        {"dropout": 0.1, "num_layers": 2},
    ]
    for settings in random:
        module = nn.LSTM(3, 4, **settings)
        with pytest.raises(SettingError, match=f"{next(iter(settings))}.*module.eval"):
            step(module)
        step(module.eval())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(nn.LSTM(3, 4))  # training mode, but without random numbers
    for batch in (0, -1, 2**21, 1.5, True, None):
        with pytest.raises(SettingError, match="batch_size"):
            step(nn.LSTM(3, 4), batch)  # pyright: ignore[reportArgumentType]
    for index in (-1, 2, 1.0, "0"):
        with pytest.raises(SettingError, match="index"):
            step(nn.LSTM(3, 4), 2).reset(index)  # pyright: ignore[reportArgumentType]
