"""Mutations of the kernels, and the test files of which one must fail for each."""

from __future__ import annotations

from mutants.lists.lanes import LANES
from mutants.lists.mutant import ROOT as ROOT
from mutants.lists.mutant import TESTS as TESTS
from mutants.lists.mutant import Mutant as Mutant
from mutants.lists.reference import REFERENCE, STREAM_REFERENCE
from mutants.lists.rooms import (
    CASCADE,
    CHUNKER,
    LIVE,
    PRODUCTS,
    RULES,
    SAMPLE,
    SEQUENCE,
    STREAM,
    UNMASKED,
)


def _tests(folder: str, *names: str) -> list[str]:
    return [f"{folder}/test_{name}.py" for name in names]


REFERENCE_LISTS = {
    REFERENCE: [
        *_tests("kernels/reference", "gradient", "training"),
        *_tests("learners/gradient", "truncated"),
        *_tests("kernels", "gradients_learn", "gradients", "gradients_forward"),
    ],
    STREAM_REFERENCE: _tests("kernels/reference", "stream", "running", "least_squares", "mixture"),
}
NATIVE_LISTS = {
    LANES: [
        *_tests("kernels/native", "accuracy", "paths", "wiring"),
        *_tests("native/lanes", "identity", "hostile", "gradient", "shapes"),
    ],
    CASCADE: _tests("kernels/native", "cascade"),
    SEQUENCE: _tests("native/sequence", "parity", "refusals", "numbers", "described"),
    UNMASKED: _tests("native/sequence", "unmasked"),
    PRODUCTS: _tests("kernels/autograd", "described"),
    STREAM: _tests(
        "native/stream",
        "bound",
        "parity",
        "state",
        "refusals",
        "hostile",
        "divergence",
        "delays",
        "rules_state",
    ),
    RULES: _tests("native/stream", "rules", "behaviour", "rules_state"),
    CHUNKER: _tests("native/chunker", "parity", "hostile"),
    LIVE: _tests("native/step", "live"),
    SAMPLE: [*_tests("native/sample", "drawn", "refusals"), *_tests("tasks", "reber")],
}
