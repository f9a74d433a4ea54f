"""Memory plans against what torch allocates, what is resident, and what a budget asks for."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from carrousel.errors import SettingError  # noqa: E402

T, B = 200, 16
MODULES = {
    "LSTM": lambda: nn.LSTM(8, 64),
    "three": lambda: nn.LSTM(8, 64, 3),
    "both ways": lambda: nn.LSTM(8, 64, 2, bidirectional=True),
    "float64": lambda: nn.LSTM(8, 64, dtype=torch.float64),
    "1997": lambda: nn.LSTM(8, 64, cell="lstm97", block_size=4, gate_sources=True),
    "normed": lambda: nn.LSTM(8, 64, layer_norm=True),
    "projected": lambda: nn.LSTM(8, 64, proj_size=16),
    "noisy": lambda: nn.LSTM(8, 64, 2, zoneout=0.1, recurrent_dropout=0.1),
    "anew": lambda: nn.LSTM(8, 64, 2, recompute=20),
    "GRU": lambda: nn.GRU(8, 64),
    "RNN": lambda: nn.RNN(8, 64, 2),
}


def peak_bytes(call) -> int:
    """The most that torch's allocator held at one time during a call, above what it held before."""
    with torch.profiler.profile(profile_memory=True) as profile:
        call()
    events = profile.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = most = 0
    for _, change in changes:
        held += change
        most = max(most, held)
    return most


@pytest.mark.parametrize("name", MODULES)
def test_plans_are_what_torch_allocates(name):
    """All but the kernel's own memory, which torch does not see.

    Within a tenth: plans count arrays, not the smaller ones within an operation.
    """
    torch.manual_seed(0)
    module, x = MODULES[name](), torch.randn(T, B, 8)
    x = x.to(module.weight_ih_l0.dtype)
    plan = module.memory_plan(T, B)
    module(x[:2])  # what is made once, is

    def train():
        out = module(x)[0]
        out.backward(torch.ones_like(out))

    @torch.no_grad()
    def run():
        module(x)

    there = plan.parameters + plan.input
    assert peak_bytes(train) + there == pytest.approx(plan.peak_training - plan.kernel, rel=0.1)
    module.eval()
    planned = plan.peak_inference - plan.kernel_inference
    assert peak_bytes(run) + there == pytest.approx(planned, rel=0.1)


RESIDENT = """
import json, sys
import torch
from carrousel import nn

def status(field):
    for line in open("/proc/self/status"):
        if line.startswith(field):
            return int(line.split()[1]) * 1024

def call(T, B, train):
    x = torch.randn(T, B, module.input_size)
    with torch.set_grad_enabled(train):
        out = module(x)[0]
    if train:
        out.backward(torch.ones_like(out))

def peak(T, B, train):
    call(T, B, train)
    return status("VmHWM") - before

torch.set_num_threads(1)
module, calls = eval(sys.argv[1]), json.loads(sys.argv[2])
call(2, 1, True)  # what is made or loaded once, is
before = status("VmRSS")
print(json.dumps([peak(*one) for one in calls]))
"""

on_linux = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc"
)


def resident(module: str, *calls: tuple[int, int, bool]) -> list[int]:
    """How far a fresh process grew, besides parameters, by calls of ``T`` steps and ``B``
    sequences, with training or without; each call must need more than the one before."""
    arguments = (module, json.dumps(calls))
    found = subprocess.run(
        (sys.executable, "-c", RESIDENT, *arguments), capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


@on_linux
def test_plans_are_what_is_resident():
    """Within 15 %: pages are whole, freed memory may stay, and batches are shared out finer than
    the plan says. All was within 4 % where it was measured; arrays are large for that reason."""
    kind, T, B = "nn.LSTM(64, 128, 2, layer_norm=True)", 1000, 16
    inference, training = resident(kind, (T, B, False), (T, B, True))
    plan = eval(kind).memory_plan(T, B)
    assert inference == pytest.approx(plan.peak_inference - plan.parameters, rel=0.15)
    assert training == pytest.approx(plan.peak_training - plan.parameters, rel=0.15)


@on_linux
def test_a_long_sequence_made_anew_stays_within_its_plan():
    (grown,) = resident('nn.LSTM(8, 64, recompute="auto")', (20_000, 4, True))
    plan = nn.LSTM(8, 64, recompute="auto").memory_plan(20_000, 4)
    assert grown < plan.peak_training
    assert grown < nn.LSTM(8, 64).memory_plan(20_000, 4).peak_training / 3


@on_linux
def test_what_is_made_anew_grows_like_the_root_of_the_steps():
    """Four times the steps, twice the segments and twice their length: at most twice the memory
    besides input, output and its errors, which a narrow projection keeps small."""
    calls = ((5000, 16, True), (20_000, 16, True))
    grown = resident('nn.LSTM(1, 256, proj_size=1, recompute="auto")', *calls)
    short, long = (peak - 3 * T * B * 4 for peak, (T, B, _) in zip(grown, calls, strict=True))
    assert 1.5 * short < long < 2.1 * short


@pytest.mark.parametrize("name", MODULES)
def test_parts_add_up_and_grow(name):
    module = MODULES[name]()
    plan = module.memory_plan(T, B)
    parts = ("parameters", "gradients", "input", "tape", "handed", "states", "scratch", "kernel")
    joined = plan.output if module.bidirectional else 0
    assert plan.peak_training == sum(getattr(plan, part) for part in parts) + joined
    assert plan.peak_inference < plan.peak_training
    assert plan.parameters == sum(p.numel() * p.element_size() for p in module.parameters())
    assert plan.fits
    for longer in (module.memory_plan(2 * T, B), module.memory_plan(T, 2 * B)):
        for field in dataclasses.fields(plan):
            assert getattr(longer, field.name) >= getattr(plan, field.name)


def test_the_tape_of_a_plain_layer_is_gates_states_outputs():
    size = 4 * T * B
    assert nn.LSTM(8, 64).memory_plan(T, B).tape == (4 + 1 + 1) * 64 * size
    assert nn.GRU(8, 64).memory_plan(T, B).tape == (3 + 1 + 1) * 64 * size
    assert nn.RNN(8, 64).memory_plan(T, B).tape == (1 + 1) * 64 * size
    ragged = nn.LSTM(8, 64).memory_plan(T, B, ragged=True).tape
    assert ragged == (4 + 1 + 1 + 1) * 64 * size + T * B


def test_a_budget_proposes_the_longest_segments_that_fit():
    module = nn.LSTM(8, 64, 3)
    whole = module.memory_plan(10_000, 16)
    assert module.memory_plan(10_000, 16, budget=whole.peak_training) == whole
    plans = []
    least = module.memory_plan(10_000, 16, budget=1).peak_training
    for share in (0.9, 0.2, 0.05, 0.0):
        budget = int(least + share * (whole.peak_training - least))
        plan = module.memory_plan(10_000, 16, budget=budget)
        assert plan.fits
        assert plan.peak_training <= budget
        module.recompute = plan.recompute
        assert module.memory_plan(10_000, 16) == plan
        plans.append(plan.recompute)
    assert plans == sorted(plans, reverse=True)
    assert plans[0] > plans[-1] > 0


def test_a_budget_too_small_gets_the_smallest_plan():
    module = nn.LSTM(8, 64)
    plan = module.memory_plan(1000, 16, budget=1000)
    assert not plan.fits
    assert "(over budget)" in str(plan)
    others = [nn.LSTM(8, 64, recompute=k).memory_plan(1000, 16) for k in (0, 500, 100, 32)]
    assert plan.peak_training <= min(other.peak_training for other in others)


def test_the_kernel_holds_weights_a_window_and_a_segment():
    """Of a window as long as the call; counted by what ``native/sequence/run.cc`` makes."""
    few, B = 20, 8
    whole, anew = (nn.LSTM(8, 64, recompute=n).memory_plan(few, B) for n in (0, 5))
    packed, window = 4 * 256 * (64 + 8 + 1), 4 * few * B * 256
    assert packed + window < whole.kernel_inference < 1.3 * (packed + window)
    assert whole.kernel > whole.kernel_inference
    assert anew.kernel_inference == whole.kernel_inference
    segment = 4 * 5 * B * (256 + 64)
    assert packed + segment < anew.kernel - whole.kernel < 1.3 * (packed + segment)
    ragged = nn.LSTM(8, 64).memory_plan(few, B, ragged=True)
    assert ragged.kernel - whole.kernel == 4 * few * B * 8


def test_auto_is_about_the_root_of_the_steps():
    plan = nn.LSTM(8, 64, recompute="auto").memory_plan(1000, 16)
    assert plan.recompute == 32
    assert plan.tape < nn.LSTM(8, 64).memory_plan(1000, 16).tape / 4


def test_a_plan_reads_as_a_table():
    text = str(nn.LSTM(8, 64, recompute=10).memory_plan(1000, 16))
    assert text.startswith("memory of 1000 steps of 16 sequences, recompute=10")
    assert "MiB" in text.splitlines()[0]
    rows = [line.split()[0] for line in text.splitlines()[1:]]
    names = [field.name for field in dataclasses.fields(nn.MemoryPlan)]
    assert rows == names[3:-1]


@pytest.mark.parametrize("wrong", [{"T": 0}, {"B": -3}, {"budget": -1}])
def test_sizes_are_positive_whole_numbers(wrong):
    (name,) = wrong
    with pytest.raises(SettingError, match=f"{name} is"):
        nn.LSTM(8, 64).memory_plan(**{"T": 3, "B": 2, **wrong})
