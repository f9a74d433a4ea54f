"""The benchmark of whole layers: it tells right from wrong, and its page from its figures."""

from __future__ import annotations

import copy
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

cases = import_module("benchmarks.sequence.cases")
loops = import_module("benchmarks.sequence.loops")
missing = import_module("benchmarks.sequence.missed")
page = import_module("benchmarks.sequence.page")
parity = import_module("benchmarks.sequence.parity")
sections = import_module("benchmarks.sequence.sections")
sequence = import_module("benchmarks.sequence.__main__")
timing = import_module("benchmarks.sequence.timing")

SIZE = cases.Size(5, 3, 4, 6)
PLAN = timing.Plan(repeats=1, seconds=0.0, patience=1, wait=0.0)
DOCS = Path(__file__).parents[2] / "docs"
WRITTEN = [one for one in (cases.PLAIN, *cases.VARIANTS) if one.loop]


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


@pytest.mark.parametrize("variant", cases.VARIANTS, ids=lambda one: one.name)
def test_variants_pass_the_check(variant):
    if variant.equations:
        pytest.importorskip("numba")
    assert check(variant.make(SIZE), variant).holds


@pytest.mark.parametrize("variant", WRITTEN, ids=lambda one: one.name)
def test_written_loops_pass_the_check(variant):
    looped = loops.Looped(variant.make(SIZE), loops.LOOPS[variant.loop])
    have, want = parity.Contender(looped, SIZE), variant.make(SIZE)
    reference = parity.Reference(parity.Contender(loops.Plain(want), SIZE))
    assert reference.check(have).holds


def test_the_plain_path_is_another_path(monkeypatch):
    """Else a contender would be checked against itself."""
    calls = []
    monkeypatch.setattr(loops, "plain_layer", lambda *a: calls.append(a) or plain(*a))
    plain = import_module("carrousel.kernels.autograd.plain").plain_layer
    layer = cases.PLAIN.make(SIZE)
    x = torch.zeros(SIZE.T, SIZE.B, SIZE.I)
    layer(x)
    assert not calls
    loops.Plain(layer)(x)
    assert len(calls) == 1


@pytest.mark.parametrize("wrong", [1e-5, float("nan")])
@pytest.mark.parametrize("name", ["weight_hh_l0", "bias_ih_l0"])
def test_wrong_results_are_refused(name, wrong):
    layer = cases.PLAIN.make(SIZE)
    with torch.no_grad():
        getattr(layer, name)[2] += wrong
    assert not check(layer, cases.PLAIN).holds


def test_a_wrong_gradient_is_refused():
    class Cut(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = cases.PLAIN.make(SIZE)

        def forward(self, x: torch.Tensor) -> Any:
            output = self.layer(x)[0]
            return (torch.cat((output[:1].detach(), output[1:])),)

    assert not check(Cut(), cases.PLAIN).holds


def test_what_is_wrong_is_not_timed(monkeypatch):
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


def test_contenders_take_turns_and_have_patience(monkeypatch):
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    plan = timing.Plan(repeats=2, seconds=0.0, patience=3, wait=0.0)
    monkeypatch.setattr(timing, "_calls", lambda run, seconds: (1, False))
    found = timing.alternate(runs, plan)
    assert {len(made) for made in found.values()} <= set(range(2, 7))
    assert order == ["a", "b"] * len(found["a"])
    monkeypatch.setattr(timing, "_stretch", lambda run, *_: timing.Stretch(1.0, bool(run())))
    found = timing.alternate(runs, plan)
    assert {len(made) for made in found.values()} == {6}  # never undisturbed
    found = timing.alternate(runs, plan._replace(limit=0.0))
    assert {len(made) for made in found.values()} == {3}  # no time for more


def test_command_measures_merges_and_shows(tmp_path, capsys):
    file, text = tmp_path / "found.json", tmp_path / "found.md"
    file.write_text('{"memory": {"rows": [], "machine": {}, "plan": {}}}')
    quick = ["--quick", "--threads", "1", "--sections", "plain,loops"]
    assert sequence.main([*quick, "--json", str(file)]) == 0
    assert "T, B, I, H" in capsys.readouterr().out
    found = json.loads(file.read_text(encoding="utf-8"))
    assert list(found) == ["memory", "plain", "loops"]
    assert len(found["loops"]["rows"]) == 1 + len(sections.QUICK_VARIANTS)
    del found["memory"]
    file.write_text(json.dumps(found))
    assert sequence.main(["--from", str(file), "--markdown", str(text), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert "## Not reached" in text.read_text(encoding="utf-8")


def test_a_wrong_section_is_refused(capsys):
    with pytest.raises(SystemExit) as refused:
        sequence.main(["--sections", "plane"])
    assert refused.value.code == 2
    assert "'plane'" in capsys.readouterr().err


def test_what_falls_short_is_said():
    row = {"size": SIZE, "variant": "slow", "apart": False, "ratio": 1.31}
    apart = row | {"variant": "twice", "apart": True}
    [line] = missing.missed({"variants": {"rows": [row, apart]}})
    assert "slow" in line
    assert "twice" not in line
    wrong = {"size": SIZE, "parity": {"holds": False}}
    [line] = missing.missed({"plain": {"rows": [wrong]}})
    assert "too far off" in line


def test_the_published_page_is_made_from_the_published_figures():
    figures = json.loads((DOCS / "sequence.json").read_text(encoding="utf-8"))
    assert page.markdown(figures) == (DOCS / "sequence.md").read_text(encoding="utf-8")
    wrong = [row for row in figures["plain"]["rows"] if not row["parity"]["holds"]]
    assert not any("train" in row or "infer" in row for row in wrong)  # never timed
    others = [section for name, section in figures.items() if name != "plain"]
    assert all(sequence.verified(section) for section in others)
