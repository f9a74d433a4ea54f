"""RecurrentPPO of sb3-contrib: two layers called with T = 1 in rollouts, and with sequences.

    python -m foreign.packages.sb3_contrib

times the whole of ``learn`` and prints one line of JSON.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_contrib import RecurrentPPO

from carrousel import nn
from foreign.check import Outcome

SWAP = "`nn.replace` on `model.policy` (`MlpLstmPolicy`)"
TOLERANCES = {
    "rewards and lengths of all episodes": 0.0,
    "weights of the policy": 1e-5,
    "losses of the last update": 1e-5,
    "values and actions of the trained policy": 1e-5,
}

UNITS, STEPS, REPEATS = (64, 256), 1024, 7
"""Sizes of the layers (256 is the default of RecurrentPPO), steps of the environment."""


class Positions(gymnasium.ObservationWrapper):
    """CartPole without velocities, so that the policy needs its memory."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return observation[[0, 2]]


def agent(ours: bool, units: int = 256, **options: Any) -> RecurrentPPO:
    """An agent whose policy has the layers of torch, or ours with the same weights."""
    options["policy_kwargs"] = {"lstm_hidden_size": units}
    model = RecurrentPPO("MlpLstmPolicy", Positions(), seed=0, device="cpu", **options)
    if ours:
        nn.replace(model.policy)
    return model


def run(ours: bool) -> Outcome:
    model = agent(ours, units=64, n_steps=64, batch_size=32, n_epochs=3)
    model.learn(256)
    logged = model.logger.name_to_value
    observations = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    values = {
        "rewards and lengths of all episodes": [
            (episode["r"], episode["l"]) for episode in model.ep_info_buffer or ()
        ],
        "weights of the policy": [weight.flatten() for weight in model.policy.parameters()],
        "losses of the last update": [
            logged[f"train/{name}"] for name in ("value_loss", "entropy_loss", "loss")
        ],
        "values and actions of the trained policy": _played(model, observations),
    }
    return Outcome(model.policy, values)


def _played(model: RecurrentPPO, observations: np.ndarray) -> list[Any]:
    """Step through observations; returns actions and states."""
    state, played = None, []
    for observation in observations:
        action, state = model.predict(observation, state, deterministic=True)
        played += [action, *state]
    return played


def speed(units: int) -> dict[str, Any]:
    """Time ``learn`` with both libraries in alternation, in seconds of the process."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for repeat in range(REPEATS + 1):
        for ours in (False, True):
            model = agent(ours, units)
            start = time.process_time()
            model.learn(STEPS)
            if repeat:  # the first is a warm-up
                times[ours].append(time.process_time() - start)
    ratios = [a / b for a, b in zip(times[True], times[False], strict=True)]
    return {
        "units": units,
        "torch_s": round(statistics.median(times[False]), 3),
        "carrousel_s": round(statistics.median(times[True]), 3),
        "ratio": [round(float(q), 3) for q in np.quantile(ratios, (0.25, 0.5, 0.75))],
    }


def main() -> None:
    torch.set_num_threads(1)
    rows = [speed(units) for units in UNITS]
    print(json.dumps({"steps": STEPS, "repeats": REPEATS, "rows": rows}))


if __name__ == "__main__":
    main()
