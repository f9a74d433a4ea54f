"""Names of gradients: parsed, written, and refused."""

from __future__ import annotations

from typing import get_args

import pytest

from carrousel.contracts import Gradient, Streaming
from carrousel.contracts.learning import Kind
from carrousel.errors import SettingError, UnknownNameError
from support.case import case

NAMES = (
    *("truncated", "immediate", "bptt", "bptt:7", "bptt:7:3", "rtrl"),
    *("sparse:1", "sparse:40", "snap:1", "snap:3", "uoro"),
)


def test_names_are_parsed_and_written():
    for name in NAMES:
        assert Gradient.named(name).name == name
    assert {Gradient.named(name).kind for name in NAMES} == set(get_args(Kind))


def test_other_names_are_refused_with_the_nearest():
    for name, near in {"sparce:4": "sparse:k", "immediat": "immediate", "rtl": "rtrl"}.items():
        with case(name), pytest.raises(UnknownNameError, match=near):
            Gradient.named(name)


def test_numbers_that_are_missing_or_wrong():
    for name, match in {
        "sparse": "needs a number; use 'sparse:4'",
        "snap": "needs a number; use 'snap:1'",
        "sparse:0": "depth is 0",
        "immediate:1": "has no number",
        "rtrl:3": "has no number",
        "sparse:4:2": "has no stride",
    }.items():
        with case(name), pytest.raises(SettingError, match=match):
            Gradient.named(name)


def test_streams_take_every_gradient_that_goes_forward():
    for name in NAMES:
        if name.startswith("bptt"):
            with pytest.raises(SettingError, match="'sparse:4'"):
                Streaming(gradient=name)
        else:
            assert Streaming(gradient=name).gradient == name


def test_endless_digits_are_no_gradient():
    with pytest.raises(UnknownNameError, match="is unknown"):
        Gradient.named("bptt:" + "9" * 5000)
