"""Every planted fault is named, and sound nets get no verdict."""

from __future__ import annotations

import pytest
import torch

from carrousel.inspection.verdicts.rules import RULES
from inspection.verdicts.confusion import report
from inspection.verdicts.faulty import FAULTY
from inspection.verdicts.nets import Given
from inspection.verdicts.sound import SOUND


@pytest.mark.parametrize("key", FAULTY)
def test_planted_fault_is_named_and_nothing_else(key: str) -> None:
    for seed in (0, 1):
        found = report(FAULTY[key], seed)
        assert {fault.name for fault in found.faults} == {key.split(":")[0]}, seed
        for fault in found.faults:
            assert any(c.isdigit() for c in fault.evidence) or "zero" in fault.evidence
            assert fault.evidence.endswith(".")
            assert fault.remedy.endswith(".")


@pytest.mark.parametrize("key", SOUND)
def test_sound_net_has_no_fault(key: str) -> None:
    for seed in (0, 1):
        found = report(SOUND[key], seed)
        assert not found.faults, seed
        assert found.sentence().startswith("Sound: ")


def test_every_rule_has_a_planted_fault() -> None:
    named = {key.split(":")[0] for key in FAULTY}
    assert len(named) >= 12
    assert len(RULES) <= len(named)


@pytest.mark.parametrize("key", ["state_kept: lstm attribute", "learning_rate: sgd with schedule"])
def test_inspection_leaves_the_net_and_its_optimizer_alone(key: str) -> None:
    torch.manual_seed(0)
    given: Given = FAULTY[key]()
    before = {name: value.clone() for name, value in given.module.state_dict().items()}
    given_state = {**given.module.__dict__}
    report(lambda: given, 0)
    for name, value in given.module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert given.module.__dict__ == given_state
    optimizer = given.arguments.get("optimizer")
    assert optimizer is None or not optimizer.state
