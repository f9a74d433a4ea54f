"""Every LSTM row of the paper's tables, by name, in their order (Tables 1 to 9).

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997. Each row is a
literal :class:`carrousel.contracts.Experiment` with the settings that the tables print. Where the
paper is silent or contradicts itself, the choice is a field of the task, network, training or stop
rule. The row's ``readings`` list these choices with their reasons.

Names are those of Table 10, followed by the number of the row in its table: ``3a-1`` to ``3b-3``
are the rows of Tables 4 and 5 from top to bottom, ``5-1`` and ``5-2`` the rows of Table 8.
"""

from __future__ import annotations

from collections.abc import Mapping

from carrousel.contracts import Experiment
from carrousel.experiments.paper.lags import LAGS, LONG_LAGS
from carrousel.experiments.paper.noise import NOISE
from carrousel.experiments.paper.reber import REBER
from carrousel.experiments.paper.signals import ADDING, MULTIPLICATION, ORDER

LSTM_ROWS: Mapping[str, Experiment] = {
    row.name: row for row in (*REBER, *LAGS, *LONG_LAGS, *NOISE, *ADDING, *MULTIPLICATION, *ORDER)
}
"""The rows by name."""
