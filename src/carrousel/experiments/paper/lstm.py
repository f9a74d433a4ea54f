"""Every LSTM row of the paper's tables, by name, in their order (Tables 1 to 9).

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997. One row is one
literal :class:`carrousel.contracts.Experiment`. What the tables print is taken as it stands. Where
the paper is silent or contradicts itself, the choice is a field of task, network, training or stop
rule, and is listed, with its reason, among the row's ``readings``.

Names are those of Table 10, with one number for each row of the tables with figures: ``3a-1`` to
``3b-3`` follow Tables 4 and 5 downwards, ``5-1`` and ``5-2`` are the rows of Table 8.
"""

from __future__ import annotations

from collections.abc import Mapping

from carrousel.contracts import Experiment
from carrousel.experiments.paper.signals import ADDING, MULTIPLICATION, NOISE, ORDER
from carrousel.experiments.paper.symbols import LAGS, LONG_LAGS, REBER

LSTM_ROWS: Mapping[str, Experiment] = {
    row.name: row for row in (*REBER, *LAGS, *LONG_LAGS, *NOISE, *ADDING, *MULTIPLICATION, *ORDER)
}
"""The rows by name."""
