"""Shapes that contradict themselves raise an exception and change no weight."""

from __future__ import annotations

import numpy as np
import pytest

from support.case import case
from support.kernels.native_calls import Call, count_of, fresh, put, refused, run, simple

pytestmark = pytest.mark.native

SHAPE = ("inputs", "outputs", "blocks", "block_size", "kind", "g", "h", "output_gate",
         "forget_gate", "fed_back", "receivers", "biased_groups", "direct", "united",
         "output_bias", "symbols", "classes")  # fmt: skip


@pytest.mark.parametrize("name", SHAPE)
def test_numbers_of_the_shape(name):
    for value in (-1, 2**24 + 1, 2**62, 2**63, -(2**70), 1.5, "1", None, [1]):
        call = fresh()
        put("shape", name, value=value)(call)
        with case(value):
            refused(call)


def test_missing_numbers_of_the_shape():
    for name in SHAPE:
        call = fresh()
        del call["shape"][name]
        with case(name):
            refused(call)


def test_unchanged_calls_with_simple_units_run():
    for wiring in ("full", "direct", "united"):
        run(simple(wiring))


CONTRADICTIONS: dict[str, tuple[Call, dict[str, int]]] = {
    "united cells": (fresh(), {"united": 1}),
    "cells fed back to nobody": (fresh(), {"receivers": 0}),
    "cells that receive nothing": (fresh(), {"fed_back": 0}),
    "absent forget gates fed back": (fresh(), {"fed_back": 15}),
    "absent forget gates as receivers": (fresh(), {"receivers": 2}),
    "absent forget gates with a bias": (fresh(), {"biased_groups": 2}),
    "absent output gates": (fresh(), {"output_gate": 0}),
    "simple units with cells' settings": (fresh(), {"kind": 1}),
    "simple units with output gates": (simple(), {"output_gate": 1}),
    "simple units with forget gates": (simple(), {"forget_gate": 1}),
    "simple units in blocks": (simple(), {"blocks": 1, "block_size": 3}),
    "simple units without recurrence": (simple(), {"fed_back": 0, "receivers": 0}),
    "simple units, layered": (simple("direct"), {"fed_back": 0, "receivers": 0}),
    "simple units with the bias of gates": (simple(), {"biased_groups": 1}),
    "united and direct": (simple("united"), {"direct": 1}),
    "more outputs than units": (simple("united"), {"outputs": 4}),
    "fewer units than outputs": (simple("united"), {"blocks": 1}),
    "united with a bias of outputs": (simple("united"), {"output_bias": 1}),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_contradictory_shapes(what):
    """Weights and data fit the shape, so nothing else is wrong."""
    call, changes = CONTRADICTIONS[what]
    call = {**call, "shape": {**call["shape"], **changes}}
    shape = call["shape"]
    call["weights"] = np.zeros((len(call["data"]), count_of(shape)), np.float32)
    call["data"] = [{**lane} for lane in call["data"]]
    if shape["outputs"] != 2:
        for lane in call["data"]:
            lane["targets"] = np.zeros((1, shape["outputs"]), np.float32)
            lane["target_steps"], lane["target_offsets"] = np.array([0]), np.array([0, 1, 1])
    match = "memory cells cannot|simple units must be|united outputs are|fed_back"
    refused(call, match)
