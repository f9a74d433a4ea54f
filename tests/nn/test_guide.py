"""The examples of docs/nn.md run."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")  # used by torch.onnx.export

PAGE = Path(__file__).parents[2] / "docs" / "nn.md"


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of torch.onnx.export
@pytest.mark.filterwarnings("ignore:.*shares the same shape constraints:UserWarning")  # the same
def test_examples_run():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 60
    assert found.failed == 0
