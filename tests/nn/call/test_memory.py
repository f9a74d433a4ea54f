"""Memory plans against the memory of torch's allocator and of processes, and with budgets."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from carrousel.errors import SettingError  # noqa: E402
from support.case import case  # noqa: E402

T, B = 200, 16
MODULES = {
    "LSTM": lambda: nn.LSTM(8, 64),
    "three": lambda: nn.LSTM(8, 64, 3),
    "bidirectional": lambda: nn.LSTM(8, 64, 2, bidirectional=True),
    "float64": lambda: nn.LSTM(8, 64, dtype=torch.float64),
    "1997": lambda: nn.LSTM(8, 64, cell="lstm97", block_size=4, gate_sources=True),
    "normed": lambda: nn.LSTM(8, 64, layer_norm=True),
    "projected": lambda: nn.LSTM(8, 64, proj_size=16),
    "noisy": lambda: nn.LSTM(8, 64, 2, zoneout=0.1, recurrent_dropout=0.1),
    "recomputed": lambda: nn.LSTM(8, 64, 2, recompute=20),
    "GRU": lambda: nn.GRU(8, 64),
    "RNN": lambda: nn.RNN(8, 64, 2),
}


def peak_bytes(call) -> int:
    """Peak memory of torch's allocator during a call, minus its memory before the call."""
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
def test_plans_agree_with_torchs_allocator(name):
    """Without the work space of the kernel, which torch's allocator does not count.

    The tolerance is 10 %, because plans ignore small temporary arrays.
    """
    torch.manual_seed(0)
    module, x = MODULES[name](), torch.randn(T, B, 8)
    x = x.to(module.weight_ih_l0.dtype)
    plan = module.memory_plan(T, B)
    module(x[:2])  # allocates what is allocated only once

    def train():
        out = module(x)[0]
        out.backward(torch.ones_like(out))

    @torch.no_grad()
    def run():
        module(x)

    before = plan.parameters + plan.input
    assert peak_bytes(train) + before == pytest.approx(plan.peak_training - plan.kernel, rel=0.1)
    module.eval()
    planned = plan.peak_inference - plan.kernel_inference
    assert peak_bytes(run) + before == pytest.approx(planned, rel=0.1)


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
call(2, 1, True)  # allocates and loads what is needed only once
before = status("VmRSS")
print(json.dumps([peak(*one) for one in calls]))
"""

on_linux = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc"
)


def resident(module: str, *calls: tuple[int, int, bool]) -> list[int]:
    """Memory growth of a new process, without parameters, after each call.

    A call is ``(T, B, training)``, and each must need more memory than the one before.
    """
    arguments = (module, json.dumps(calls))
    found = subprocess.run(
        (sys.executable, "-c", RESIDENT, *arguments), capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


@on_linux
def test_plans_agree_with_resident_memory():
    """The tolerance is 15 %; measured differences were below 4 %.

    Pages are whole, freed memory may stay, and threads may share a batch in smaller parts than the
    plan assumes. Large arrays keep these effects small.
    """
    kind, T, B = "nn.LSTM(64, 128, 2, layer_norm=True)", 1000, 16
    inference, training = resident(kind, (T, B, False), (T, B, True))
    plan = eval(kind).memory_plan(T, B)
    assert inference == pytest.approx(plan.peak_inference - plan.parameters, rel=0.15)
    assert training == pytest.approx(plan.peak_training - plan.parameters, rel=0.15)


@on_linux
def test_recomputed_long_sequence_stays_within_its_plan():
    (grown,) = resident('nn.LSTM(8, 64, recompute="auto")', (20_000, 4, True))
    plan = nn.LSTM(8, 64, recompute="auto").memory_plan(20_000, 4)
    assert grown < plan.peak_training
    assert grown < nn.LSTM(8, 64).memory_plan(20_000, 4).peak_training / 3


@on_linux
def test_recomputed_memory_grows_like_the_square_root_of_the_steps():
    """Four times the steps give twice the segments of twice the length, so twice the memory.

    Input, output and its errors do not count; a narrow projection keeps them small.
    """
    calls = ((5000, 16, True), (20_000, 16, True))
    grown = resident('nn.LSTM(1, 256, proj_size=1, recompute="auto")', *calls)
    short, long = (peak - 3 * T * B * 4 for peak, (T, B, _) in zip(grown, calls, strict=True))
    assert 1.5 * short < long < 2.1 * short


def test_parts_add_up_and_grow():
    for name, create in MODULES.items():
        with case(name):
            check_parts(create())


def check_parts(module):
    plan = module.memory_plan(T, B)
    parts = ("parameters", "gradients", "input", "tape", "copies", "states", "scratch", "kernel")
    joined = plan.output if module.bidirectional else 0
    assert plan.peak_training == sum(getattr(plan, part) for part in parts) + joined
    assert plan.peak_inference < plan.peak_training
    assert plan.parameters == sum(p.numel() * p.element_size() for p in module.parameters())
    assert plan.fits
    for longer in (module.memory_plan(2 * T, B), module.memory_plan(T, 2 * B)):
        for field in dataclasses.fields(plan):
            assert getattr(longer, field.name) >= getattr(plan, field.name)


def test_tape_of_a_plain_layer_has_gates_states_and_outputs():
    size = 4 * T * B
    assert nn.LSTM(8, 64).memory_plan(T, B).tape == (4 + 1 + 1) * 64 * size
    assert nn.GRU(8, 64).memory_plan(T, B).tape == (3 + 1 + 1) * 64 * size
    assert nn.RNN(8, 64).memory_plan(T, B).tape == (1 + 1) * 64 * size
    ragged = nn.LSTM(8, 64).memory_plan(T, B, ragged=True).tape
    assert ragged == (4 + 1 + 1 + 1) * 64 * size + T * B


def test_budget_gives_the_longest_segments_that_fit():
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


def test_too_small_a_budget_gives_the_smallest_plan():
    module = nn.LSTM(8, 64)
    plan = module.memory_plan(1000, 16, budget=1000)
    assert not plan.fits
    assert "(over budget)" in str(plan)
    others = [nn.LSTM(8, 64, recompute=k).memory_plan(1000, 16) for k in (0, 500, 100, 32)]
    assert plan.peak_training <= min(other.peak_training for other in others)


def test_kernel_needs_weights_a_window_and_a_segment():
    """The window is as long as the call. Sizes are those of ``native/sequence/run.cc``."""
    few, B = 20, 8
    whole, recomputed = (nn.LSTM(8, 64, recompute=n).memory_plan(few, B) for n in (0, 5))
    packed, window = 4 * 256 * (64 + 8 + 1), 4 * few * B * 256
    assert packed + window < whole.kernel_inference < 1.3 * (packed + window)
    assert whole.kernel > whole.kernel_inference
    assert recomputed.kernel_inference == whole.kernel_inference
    segment = 4 * 5 * B * (256 + 64)
    assert packed + segment < recomputed.kernel - whole.kernel < 1.3 * (packed + segment)
    ragged = nn.LSTM(8, 64).memory_plan(few, B, ragged=True)
    assert ragged.kernel - whole.kernel == 4 * few * B * 8


def test_auto_is_about_the_square_root_of_the_steps():
    plan = nn.LSTM(8, 64, recompute="auto").memory_plan(1000, 16)
    assert plan.recompute == 32
    assert plan.tape < nn.LSTM(8, 64).memory_plan(1000, 16).tape / 4


def test_plan_is_printed_as_a_table():
    text = str(nn.LSTM(8, 64, recompute=10).memory_plan(1000, 16))
    assert text.startswith("memory of 1000 steps of 16 sequences, recompute=10")
    assert "MiB" in text.splitlines()[0]
    rows = [line.split()[0] for line in text.splitlines()[1:]]
    names = [field.name for field in dataclasses.fields(nn.MemoryPlan)]
    assert rows == names[3:-1]


def test_sizes_are_positive_whole_numbers():
    for name, value in (("T", 0), ("B", -3), ("budget", -1)):
        arguments: dict[str, Any] = {"T": 3, "B": 2, name: value}
        with case(name), pytest.raises(SettingError, match=f"{name} is"):
            nn.LSTM(8, 64).memory_plan(**arguments)
