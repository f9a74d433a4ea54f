"""Recorded errors are those of automatic differentiation of a plain loop, for every net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from carrousel.inspection.record import fused, recorder
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import Recording, record
from support.inspection.leaves import errors_by_leaves
from support.inspection.nets import NETS, Net


def _assert_equal(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    if not expected.numel():
        return
    scale = max(1e-300, float(expected.abs().max()))
    np.testing.assert_allclose(found.numpy() / scale, expected.numpy() / scale, rtol=0, atol=1e-12)


def _compare(recording: Recording, errors: Any) -> None:
    expected = errors_by_leaves(recording.subject)
    by_key: dict[Any, list[int]] = {}
    for n, track in enumerate(recording.tracks):
        by_key.setdefault(track.key, []).append(n)
    assert set(by_key) == set(expected)
    for key, some in by_key.items():
        for which in (0, 1):
            ours = torch.cat([errors[n][which] for n in some])
            _assert_equal(ours, expected[key][which])
        mask = torch.cat([recording.tracks[n].mask() for n in some])
        assert torch.equal(mask, expected[key][2])


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_errors_of_the_whole_loss_are_those_of_a_plain_loop(net: Net) -> None:
    torch.manual_seed(3)
    recording = record(Subject(*net()))
    _compare(recording, recording.total())


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_fused_path_agrees_with_single_steps(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(4)
    subject = Subject(*net())
    first = record(subject)
    monkeypatch.setattr(recorder, "fits_fused", lambda *_: False)
    second = record(subject)
    np.testing.assert_allclose(float(first.loss.detach()), float(second.loss.detach()), rtol=1e-13)
    for one, other in ((first.flow(), second.flow()), (first.total(), second.total())):
        for ours, theirs in zip(one, other, strict=True):
            _assert_equal(ours[0], theirs[0])
            _assert_equal(ours[1], theirs[1])
    for one, other in zip(first.tracks, second.tracks, strict=True):
        mask = one.mask()
        for name, gate in one.local.gates.items():
            _assert_equal(gate[mask], other.local.gates[name][mask])
        ours, theirs = one.local.keeps, other.local.keeps
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            _assert_equal(ours[mask], theirs[mask])
    for name, gradient in first.weights.items():
        if gradient is not None:
            _assert_equal(gradient, second.weights[name])


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_gradients_of_weights_are_those_of_the_model_itself(net: Net) -> None:
    torch.manual_seed(5)
    subject = Subject(*net())
    found = record(subject).weights
    with subject.kept():
        named = {n: p for n, p in subject.module.named_parameters() if p.requires_grad}
        expected = torch.autograd.grad(subject.value(), list(named.values()), allow_unused=True)
    for gradient, theirs in zip(found.values(), expected, strict=True):
        assert (gradient is None) == (theirs is None)
        if gradient is not None:
            _assert_equal(gradient, theirs)


def test_segments_that_are_computed_again_give_the_same_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nets: list[Callable[..., Any]] = [
        net for net in NETS if "zone" in net.__name__ or "reset" in net.__name__
    ]
    assert len(nets) >= 2
    for net in nets:
        torch.manual_seed(6)
        subject = Subject(*net())
        first = record(subject)
        flow = first.flow()
        monkeypatch.setattr(recorder, "SEGMENT_BYTES", 1)
        for ours, theirs in zip(record(subject).flow(), flow, strict=True):
            _assert_equal(ours[0], theirs[0])
            _assert_equal(ours[1], theirs[1])


def test_some_nets_take_the_fused_path_and_some_do_not() -> None:
    counts = set()
    for net in NETS:
        calls = record(Subject(*net())).recorder
        counts.add(bool(calls.fused))
    assert counts == {True, False}
    assert fused.FusedCall
