"""Everything that was measured in one inspection, as the rules of verdicts see it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from carrousel.inspection.measures.dynamics import dynamics
from carrousel.inspection.measures.gradients import gradients
from carrousel.inspection.measures.memory import memories
from carrousel.inspection.measures.reach import reaches
from carrousel.inspection.measures.saturation import Saturation, saturations
from carrousel.inspection.measures.targets import Targets, targets
from carrousel.inspection.measures.trial_steps import TrialSteps, trial_steps
from carrousel.inspection.measures.units import units
from carrousel.inspection.measures.usage import Usage, usage
from carrousel.inspection.record.recording import Recording
from carrousel.inspection.results.dynamics import Dynamics
from carrousel.inspection.results.gradients import Gradients
from carrousel.inspection.results.memory import UnitMemory, UsedMemory, log_grid
from carrousel.inspection.results.reach import Reach
from carrousel.inspection.results.units import Units


@dataclass(frozen=True)
class Asked:
    """What the caller said about the task and the training.

    Args:
        lag: time lag of the task in steps; None: unknown.
        clip: largest norm of a gradient in training; None: no clipping.
        truncation: steps of truncated backpropagation; None: not truncated.
        optimizer: the optimizer of the training; None: unknown.
        batch_size: number of sequences in the data of the call; None: unknown.
    """

    lag: int | None = None
    clip: float | None = None
    truncation: int | None = None
    optimizer: object | None = None
    batch_size: int | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """Measures of one recorded call.

    Args:
        recording: the call.
        asked: what the caller said.
        flows: errors of the read step, for each track.
        reach, used, unit_memory, units, dynamics, gradients, usage, saturations, targets,
            trial: see the measures.
    """

    recording: Recording
    asked: Asked
    flows: list[tuple[Tensor, Tensor]]
    reach: list[Reach]
    used: UsedMemory | None
    unit_memory: list[UnitMemory]
    units: list[Units]
    dynamics: list[Dynamics]
    gradients: Gradients
    usage: Usage
    saturations: list[Saturation]
    targets: Targets | None
    trial: TrialSteps | None


def gather(recording: Recording, asked: Asked) -> Evidence:
    """Measure everything."""
    flows = recording.flow()
    longest = max(int(source.steps.max()) for source in recording.sources)
    used, unit_memory = None, list[UnitMemory]()
    if recording.sources[0].track.n_sequences > 1 and longest > 0:
        used, unit_memory = memories(recording, log_grid(longest - 1, asked.lag))
    return Evidence(
        recording,
        asked,
        flows,
        reaches(recording, flows),
        used,
        unit_memory,
        units(recording),
        dynamics(recording, flows),
        gradients(recording, asked.clip),
        usage(recording),
        saturations(recording),
        targets(recording, asked.lag),
        trial_steps(recording, asked.optimizer, asked.clip),
    )
