"""Memory plans against what torch allocates, and what a budget asks for."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from carrousel.shapes import SettingError  # noqa: E402

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
    """Within a tenth: plans count arrays, not the smaller ones within an operation."""
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
    assert peak_bytes(train) + there == pytest.approx(plan.peak_training, rel=0.1)
    module.eval()
    assert peak_bytes(run) + there == pytest.approx(plan.peak_inference, rel=0.1)


@pytest.mark.parametrize("name", MODULES)
def test_parts_add_up_and_grow(name):
    module = MODULES[name]()
    plan = module.memory_plan(T, B)
    parts = ("parameters", "gradients", "input", "tape", "handed", "states", "scratch")
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
