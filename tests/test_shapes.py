from __future__ import annotations

from carrousel import shapes


def test_gate_order_is_that_of_torch():
    assert shapes.GATE_ORDER == ("input", "forget", "cell", "output")
