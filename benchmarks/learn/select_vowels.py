"""Choose the settings of the experiment ``vowels`` without looking at its test utterances.

    python -m benchmarks.learn.select_vowels           cross-validate all settings
    python -m benchmarks.learn.select_vowels --test    run the experiment on its test utterances

The 270 training utterances are split into five parts of neighbours (each speaker's utterances 1 to
6, 7 to 12, ...). A setting learns from four parts and is scored on the fifth. Five parts and three
seeds are fifteen networks, which learn side by side in fifteen lanes. The results are saved to
``benchmarks/results/vowels.json``, from which ``python -m tools.pages`` writes ``docs/vowels.md``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from benchmarks.common.results import RESULTS, load, save

from carrousel.contracts import Cell, Init, Network, Training
from carrousel.learners import GradientLearner
from carrousel.tasks.vowels import JapaneseVowels

SAVED = RESULTS / "vowels.json"
FOLDS, SEEDS = 5, 3
UTTERANCES = 216
"""Training utterances of each fold."""
MARKS = (40, 80, 120, 160, 200, 240)
"""Rounds through the training utterances after which the nets are scored."""
SCORED = slice(3, None)
"""The marks whose mean accuracy is the score."""


@dataclass(frozen=True)
class Setting:
    """Settings to choose; the defaults are the centre of the search."""

    wiring: Literal["full", "layered"] = "layered"
    blocks: int = 64
    block_size: int = 1
    targets: Literal["every", "last"] = "last"
    rate: float = 0.1
    input_gate_bias: float | None = -2.0
    range: float = 0.1
    offset: float = 0.3
    jitter: float = 0.3

    def network(self) -> Network:
        """Build the network; all units have a bias."""
        start = () if self.input_gate_bias is None else (self.input_gate_bias,) * self.blocks
        return Network(
            n_inputs=12,
            n_outputs=9,
            cell=Cell(self.blocks, self.block_size),
            wiring=self.wiring,
            bias="all",
            init=Init(self.range, input_gate_bias=start),
        )

    def training(self) -> Training:
        """Plain gradient descent with one update after each utterance."""
        return Training(rate=self.rate)

    def task(self, fold: int) -> JapaneseVowels:
        """Learn four fifths of the training utterances and score the rest."""
        return JapaneseVowels(self.targets, self.offset, self.jitter, FOLDS, fold)

    def changes(self) -> str:
        """List the fields that differ from the centre."""
        centre = Setting()
        names = [f.name for f in fields(self) if getattr(self, f.name) != getattr(centre, f.name)]
        return ", ".join(f"{name} {getattr(self, name)}" for name in names) or "(the centre)"


WIDE = (
    Setting(),
    Setting(wiring="full", blocks=8),
    Setting(wiring="full", blocks=16),
    Setting(wiring="full", blocks=16, rate=0.2),
    Setting(wiring="full", blocks=32),
    Setting(blocks=16),
    Setting(blocks=32),
    Setting(blocks=32, block_size=2),
    Setting(blocks=16, block_size=4),
    Setting(targets="every", rate=0.01),  # about sixteen targets an utterance instead of one
    Setting(targets="every", rate=0.03),
    Setting(targets="every", rate=0.1),
    Setting(rate=0.5),
    Setting(input_gate_bias=None),
    Setting(input_gate_bias=-4.0),
    Setting(range=0.3),
    Setting(offset=0.0, jitter=0.0),
    Setting(offset=0.0),
    Setting(offset=0.6),
    Setting(jitter=0.0),
    Setting(jitter=0.6),
)
NEAR = tuple(
    Setting(rate=rate, input_gate_bias=bias, offset=offset)
    for rate, bias, offset in itertools.product((0.05, 0.1, 0.2), (-1.0, -2.0, -3.0), (0.3, 0.45))
)


class Scores(NamedTuple):
    """Scores of one setting on the utterances that were left out."""

    setting: Setting
    accuracy: np.ndarray  # [marks, folds, seeds]
    squared: np.ndarray  # [marks] squared error of an utterance, all outputs together
    seconds: float

    @property
    def score(self) -> float:
        """Mean accuracy over the last marks."""
        return float(self.accuracy[SCORED].mean())

    @property
    def spread(self) -> float:
        """Standard error of the score over seeds."""
        by_seed = self.accuracy[SCORED].mean(axis=(0, 1))
        return float(by_seed.std(ddof=1) / np.sqrt(SEEDS))


def cross_validate(setting: Setting) -> Scores:
    """Learn in fifteen lanes, and score the part left out at each mark."""
    lanes = list(itertools.product(range(FOLDS), range(SEEDS)))
    tasks = [setting.task(fold) for fold, _ in lanes]
    rngs = [np.random.Generator(np.random.SFC64([1999, fold, seed])) for fold, seed in lanes]
    learner = GradientLearner(setting.network(), setting.training(), len(lanes))
    for lane, rng in enumerate(rngs):
        learner.begin(lane, rng)
    tests = [task.test(rng, 1) for task, rng in zip(tasks, rngs, strict=True)]
    began, accuracy, squared = time.perf_counter(), [], []
    for rounds in np.diff((0, *MARKS)):
        n = int(rounds) * UTTERANCES
        learner.learn([task.sample(rng, n) for task, rng in zip(tasks, rngs, strict=True)])
        right, error = [], []
        for task, data, outputs in zip(tasks, tests, learner.predict(tests), strict=True):
            assert outputs is not None
            right.append(task.correct(outputs, data).mean())
            error.append(np.square(outputs - data.dense_targets()).sum() / len(outputs))
        accuracy.append(np.reshape(right, (FOLDS, SEEDS)))
        squared.append(np.mean(error))
    return Scores(setting, np.array(accuracy), np.array(squared), time.perf_counter() - began)


def row(scores: Scores) -> dict[str, Any]:
    """Scores of one setting as plain data; accuracies are percentages."""
    return {
        "changes": scores.setting.changes(),
        "accuracy": [round(100 * float(x), 1) for x in scores.accuracy.mean(axis=(1, 2))],
        "score": round(100 * scores.score, 2),
        "spread": round(100 * scores.spread, 2),
        "squared_error": round(float(scores.squared[SCORED].mean()), 4),
        "seconds": round(scores.seconds),
    }


def choose() -> dict[str, Any]:
    """Cross-validate all settings and choose the best one."""
    found: dict[str, list[Scores]] = {"wide": [], "near": []}
    for name, settings in (("wide", WIDE), ("near", NEAR)):
        for setting in settings:
            found[name].append(cross_validate(setting))
            print(json.dumps(row(found[name][-1])), flush=True)
    # The score counts utterances and has many ties; the squared error tells those nets apart.
    best = max(
        (*found["wide"], *found["near"]),
        key=lambda one: (round(one.score, 3), -one.squared[SCORED].mean()),
    )
    by_part = best.accuracy[SCORED].mean(axis=(0, 2))
    return {
        "marks": MARKS,
        "centre": ", ".join(f"{f.name} {getattr(Setting(), f.name)}" for f in fields(Setting)),
        **{name: [row(one) for one in scores] for name, scores in found.items()},
        "best": {
            "changes": best.setting.changes(),
            "score": round(100 * best.score, 1),
            "by_part": [round(100 * float(x), 1) for x in by_part],
        },
    }


def run_test() -> dict[str, Any]:
    """Run ten trials of the experiment on its test utterances."""
    from carrousel.experiments.beyond.vowels import VOWELS
    from carrousel.experiments.run.runner import run

    began = time.process_time()
    trials = run(VOWELS, trials=10)
    seconds = time.process_time() - began
    percent = [100 * trial.measures["accuracy"] for trial in trials]
    return {
        "sequences": VOWELS.budget,
        "weights": VOWELS.network.n_weights,
        "mean": round(float(np.mean(percent)), 2),
        "accuracy": [round(value, 1) for value in percent],
        "seconds": round(seconds),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--test", action="store_true", help="run the experiment on its test data")
    parser.add_argument(
        "--save", type=Path, default=SAVED, metavar="FILE", help=f"default: results/{SAVED.name}"
    )
    options = parser.parse_args()
    found = {"test": run_test()} if options.test else choose()
    save(options.save, load(options.save) | found)


if __name__ == "__main__":
    main()
