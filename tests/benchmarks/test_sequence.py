"""Benchmark of whole layers: verification, timing rules, and the command line."""

from __future__ import annotations

import copy
import json
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch

cases = import_module("benchmarks.sequence.cases")
loops = import_module("benchmarks.sequence.loops")
missing = import_module("benchmarks.sequence.missed")
parity = import_module("benchmarks.sequence.parity")
sections = import_module("benchmarks.sequence.sections")
sequence = import_module("benchmarks.sequence.__main__")
timing = import_module("benchmarks.sequence.timing")
RESULTS = import_module("benchmarks.common.results").RESULTS

SIZE = cases.Size(5, 3, 4, 6)
PLAN = timing.Plan(repeats=1, seconds=0.0, patience=1, wait=0.0)


@pytest.fixture(autouse=True)
def _few_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check(layer: Any, variant: Any) -> Any:
    trusted = variant.make(SIZE)
    arguments = variant.arguments(SIZE)
    reference = parity.Reference(parity.Contender(loops.Plain(trusted), SIZE, arguments))
    return reference.check(parity.Contender(layer, SIZE, arguments))


def test_variants_pass_verification():
    pytest.importorskip("numba")  # for cells from equations
    for variant in cases.VARIANTS:
        found = check(variant.make(SIZE), variant)
        # With vectors of 8 numbers, layer normalisation exceeds the limit for timing by a half.
        assert found.error64 <= parity.EXACT, (variant.name, found)
        assert found.excess <= 2, (variant.name, found)


def test_written_loops_pass_verification():
    written = [one for one in (cases.PLAIN, *cases.VARIANTS) if one.loop]
    assert len(written) > 1
    for variant in written:
        looped = loops.Looped(variant.make(SIZE), loops.LOOPS[variant.loop])
        reference = parity.Reference(parity.Contender(loops.Plain(variant.make(SIZE)), SIZE))
        found = reference.check(parity.Contender(looped, SIZE))
        assert found.holds, (variant.name, found)


def test_the_plain_path_is_another_path(monkeypatch):
    """Otherwise a contender would be verified against itself."""
    calls = []
    monkeypatch.setattr(loops, "plain_layer", lambda *a: calls.append(a) or plain(*a))
    plain = import_module("carrousel.kernels.autograd.plain").plain_layer
    layer = cases.PLAIN.make(SIZE)
    x = torch.zeros(SIZE.T, SIZE.B, SIZE.I)
    layer(x)
    assert not calls
    loops.Plain(layer)(x)
    assert len(calls) == 1


def test_wrong_results_are_refused():
    assert check(cases.PLAIN.make(SIZE), cases.PLAIN).holds
    for name in ("weight_hh_l0", "bias_ih_l0"):
        for wrong in (1e-5, float("nan")):
            layer = cases.PLAIN.make(SIZE)
            with torch.no_grad():
                getattr(layer, name)[2] += wrong
            assert not check(layer, cases.PLAIN).holds, (name, wrong)


def test_a_wrong_gradient_is_refused():
    class Cut(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = cases.PLAIN.make(SIZE)

        def forward(self, x: torch.Tensor) -> Any:
            output = self.layer(x)[0]
            return (torch.cat((output[:1].detach(), output[1:])),)

    assert not check(Cut(), cases.PLAIN).holds


def test_a_wrong_contender_is_not_timed(monkeypatch):
    def spoilt(module: Any, family: str, size: Any) -> Any:
        twin = copy.deepcopy(module)
        with torch.no_grad():
            twin.weight_ih_l0 *= 1.01
        return twin

    monkeypatch.setattr(sections, "torch_twin", spoilt)
    [row] = sections.plain(SIZE, PLAN, True)
    assert not row["parity"]["holds"]
    assert "train" not in row
    assert not sequence.verified({"rows": [row]})


def test_operations_by_hand():
    """Four net inputs a unit, from four inputs and six units; a multiply-add is two operations."""
    assert cases.operations(cases.PLAIN.make(SIZE), SIZE) == 2 * 5 * 3 * (24 * 4 + 24 * 6)


def test_disturbed_stretches_do_not_count():
    made = [timing.Stretch(0.001 * n, True) for n in (1, 2, 3)]
    found = timing.summary([*made, timing.Stretch(9.0, False)])
    np.testing.assert_allclose([found["median"], found["least"], found["calm"]], [2, 1, 0.75])
    # with two undisturbed ones alone, all count
    found = timing.summary([*made[:2], timing.Stretch(9.0, False)])
    np.testing.assert_allclose(found["median"], 2)


def test_contenders_take_turns_until_enough_stretches_are_undisturbed(monkeypatch):
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    plan = timing.Plan(repeats=2, seconds=0.0, patience=3, wait=0.0)
    monkeypatch.setattr(timing, "_calls", lambda run, seconds: (1, False))
    found = timing.alternate(runs, plan)
    assert {len(made) for made in found.values()} <= set(range(2, 7))
    assert order == ["a", "b"] * len(found["a"])
    monkeypatch.setattr(timing, "_stretch", lambda run, *_: timing.Stretch(1.0, bool(run())))
    found = timing.alternate(runs, plan)
    assert {len(made) for made in found.values()} == {6}  # all rounds: none undisturbed
    found = timing.alternate(runs, plan._replace(limit=0.0))
    assert {len(made) for made in found.values()} == {3}  # no time for more


def test_command_measures_merges_and_shows(tmp_path, capsys):
    file = tmp_path / "found.json"
    file.write_text('{"memory": {"rows": [], "machine": {}, "plan": {}}}')
    quick = ["--quick", "--threads", "1", "--sections", "plain,loops"]
    assert sequence.main([*quick, "--json", str(file)]) == 0
    assert "T, B, I, H" in capsys.readouterr().out
    found = json.loads(file.read_text(encoding="utf-8"))
    assert list(found) == ["memory", "plain", "loops"]
    assert len(found["loops"]["rows"]) == 1 + len(sections.QUICK_VARIANTS)
    del found["memory"]
    file.write_text(json.dumps(found))
    assert sequence.main(["--from", str(file), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert list(missing.absent(found))  # sizes that a quick run does not measure


def test_a_wrong_section_is_refused(capsys):
    with pytest.raises(SystemExit) as refused:
        sequence.main(["--sections", "plane"])
    assert refused.value.code == 2
    assert "'plane'" in capsys.readouterr().err


def test_missed_aims_are_listed():
    row = {"size": SIZE, "variant": "slow", "apart": False, "ratio": 1.31}
    apart = row | {"variant": "twice", "apart": True}
    [line] = missing.missed({"variants": {"rows": [row, apart]}})
    assert "slow" in line
    assert "twice" not in line
    wrong = {"size": SIZE, "parity": {"holds": False}}
    [line] = missing.missed({"plain": {"rows": [wrong]}})
    assert "wrong results" in line


def test_saved_results_have_no_times_of_wrong_contenders():
    figures = json.loads((RESULTS / "sequence.json").read_text(encoding="utf-8"))
    wrong = [row for row in figures["plain"]["rows"] if not row["parity"]["holds"]]
    assert not any("train" in row or "infer" in row for row in wrong)
    others = [section for name, section in figures.items() if name != "plain"]
    assert all(sequence.verified(section) for section in others)
