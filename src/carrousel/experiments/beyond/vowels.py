"""Real speech, learned by the algorithm of the paper.

The task is to tell nine speakers of a Japanese vowel apart
(:class:`carrousel.tasks.vowels.JapaneseVowels`). The settings were chosen by cross-validation
within the training utterances. ``docs/vowels.md`` has the table, and
``benchmarks/learn/select_vowels.py`` computes it. No choice made use of the test utterances.
"""

from __future__ import annotations

from carrousel.contracts import (
    Cell,
    Experiment,
    Init,
    Network,
    Published,
    Reading,
    Training,
)
from carrousel.experiments.stopping import AfterTraining
from carrousel.tasks.vowels import JapaneseVowels

ROUNDS = 200
BLOCKS = 64

VOWELS = Experiment(
    name="vowels",
    title="Japanese vowels: which of nine men speaks",
    task=JapaneseVowels(targets="last", offset=0.3, jitter=0.3),
    network=Network(
        n_inputs=12,
        n_outputs=9,
        cell=Cell(blocks=BLOCKS, block_size=1, g="[-2,2]", h="[-1,1]"),
        wiring="layered",
        bias="all",
        init=Init(0.1, input_gate_bias=(-3.0,) * BLOCKS),
    ),
    learner="truncated",
    training=Training(rate=0.2),
    stop=AfterTraining(sequences=ROUNDS * 270),
    budget=ROUNDS * 270,
    published=Published(
        table="beyond the paper",
        success_percent=None,
        sequences=None,
        weights=None,
        trials=10,
        others={
            "accuracy of FCN": 0.993,
            "accuracy of ResNet": 0.992,
            "accuracy of TWIESN": 0.965,
            "accuracy of 1NN-DTW_D": 0.949,
        },
    ),
    readings=(
        Reading(
            "published",
            "accuracies that others report for the same 270 training and 370 test utterances",
            "the paper has no real data. FCN, ResNet and TWIESN (an echo state network) are from "
            "Ismail Fawaz et al. 2019, means of ten runs; 1NN-DTW_D is from Bagnall et al. 2018",
        ),
        Reading(
            "network, training, task",
            "chosen by cross-validation within the 270 training utterances",
            "docs/vowels.md lists the settings that were tried",
        ),
    ),
)
"""Speaker identification; ``published.others`` holds accuracies by others on the same split."""
