"""Writer of the nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from carrousel.contracts.recurrence import NORM_EPSILON

Names = list[str]


class Writer:
    """Collects nodes and constants; each value has a unique name."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._numbers: dict[tuple[float, ...], str] = {}
        self._count = 0

    def __call__(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        self._count += 1
        name = name or f"{op.lower()}_{self._count}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def split(self, value: str, widths: Sequence[int], axis: int) -> Names:
        """Split a value along an axis and return the names of the parts."""
        if len(widths) == 1:
            return [value]
        self._count += 1
        names = [f"split_{self._count}_{place}" for place in range(len(widths))]
        sizes = self.constant(np.asarray(widths, np.int64), f"widths_{self._count}")
        label = f"split_{self._count}"
        self.nodes.append(helper.make_node("Split", [value, sizes], names, name=label, axis=axis))
        return names

    def prune(self, results: Sequence[str]) -> None:
        """Remove nodes and constants that no result needs."""
        needed, kept = set(results), []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                kept.append(node)
        self.nodes = kept[::-1]
        self.constants = {name: one for name, one in self.constants.items() if name in needed}

    def constant(self, value: np.ndarray, name: str) -> str:
        """Add a constant under a name that is not in use, and return the name."""
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def number(self, value: float) -> str:
        """Return the name of a constant of the graph's type."""
        key = (value,)
        if key not in self._numbers:
            name = f"number_{len(self._numbers)}"
            self._numbers[key] = self.constant(np.asarray(value, self.dtype), name)
        return self._numbers[key]

    def indices(self, values: Sequence[int]) -> str:
        """Return the name of a constant list of whole numbers."""
        self._count += 1
        return self.constant(np.asarray(values, np.int64), f"indices_{self._count}")

    def norm(self, value: str, scale: str, shift: str = "") -> str:
        """Add a layer normalisation over the last axis."""
        inputs = (value, scale, shift) if shift else (value, scale)
        return self("LayerNormalization", *inputs, axis=-1, epsilon=NORM_EPSILON)
