"""Comparison of gradients: the adding problem with a lag of at least 50 steps, two networks.

Task, memory cells and settings are those of row ``4-1`` of the paper, with cell outputs in
[-1, 1]. The network of simple units has about as many weights. The rows of one network differ in
the gradient alone, so they show which gradients can bridge the lag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from carrousel.contracts import (
    Cell,
    Experiment,
    Init,
    Network,
    Published,
    Reading,
    Simple,
    Training,
)
from carrousel.experiments.paper.signals import ADDING
from carrousel.experiments.stopping import RecentTraining

GRADIENTS = ("truncated", "bptt", "bptt:20", "bptt:100", "rtrl", "snap:1", "uoro")
"""The gradients compared."""

_PAPER = ADDING[0]
_CELLS = replace(_PAPER.network, cell=Cell(blocks=2, block_size=2, g="[-2,2]", h="[-1,1]"))
NETS: Mapping[str, tuple[Network, Training]] = {
    "lstm": (_CELLS, Training(rate=0.5, output_derivative=False)),
    "simple": (
        Network(2, 1, Simple(8, "tanh"), bias="all", init=Init(0.3)),
        Training(rate=0.1, output_derivative=False),
    ),
}
"""Two layers of 8 hidden units: 93 weights, and 97."""

_NET = Reading(
    "network, training",
    "one rate and one initial range for all gradients",
    "memory cells use those of row 4-1, simple units rate 0.1 and range [-0.3, 0.3]. With "
    "back-propagation, simple units solved none of 16 trials within 100,000 sequences at rate 0.1, "
    "and none at 0.02",
)

GRADIENT_ROWS: Mapping[str, Experiment] = {
    row.name: row
    for net, (network, training) in NETS.items()
    for gradient in GRADIENTS
    for row in [
        Experiment(
            name=f"adding/{net}-{gradient.replace(':', '-')}",
            title=f"adding problem, T = 100, {net}, {gradient}",
            task=_PAPER.task,
            network=network,
            learner=gradient,
            training=training,
            stop=RecentTraining(window=2000, wrong_at_most=0, mean_below=0.01),
            budget=740_000,
            published=Published("beyond the paper", None, None, None, trials=10),
            readings=(_NET,),
            test_size=2560,
        )
    ]
}
"""The rows by name: ``adding/NET-GRADIENT``."""
