"""Frozen descriptions and interfaces; nothing in this package computes.

- Network: :class:`Cell`, :class:`Simple`, :class:`Init`, :class:`Network`, :func:`parse_units`.
- Learning: :class:`Training`, :class:`RateFactors`, :class:`Batches`, :class:`Gradient`,
  :class:`Errors`, :class:`Kernel`, :class:`Learner`, :class:`Task`.
- Streams: :class:`Streaming`, :class:`StreamKernel`.
- Layers for whole batches: :class:`Recurrence`, :class:`CellKind`.
- Studies: :class:`Published`, :class:`Reading`, :class:`StopRule`, :class:`Experiment`,
  :class:`Trial`.

Numbers of equations and tables refer to Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural
Computation 9(8), 1997. Letters of shapes are those of :mod:`carrousel.shapes`.
"""

from __future__ import annotations

from carrousel.contracts.cells import SQUASHES as SQUASHES
from carrousel.contracts.cells import Cell as Cell
from carrousel.contracts.cells import Simple as Simple
from carrousel.contracts.cells import later as later
from carrousel.contracts.factors import EQUAL_RATES as EQUAL_RATES
from carrousel.contracts.factors import RateFactors as RateFactors
from carrousel.contracts.init import Init as Init
from carrousel.contracts.interfaces import Errors as Errors
from carrousel.contracts.interfaces import Kernel as Kernel
from carrousel.contracts.interfaces import Learner as Learner
from carrousel.contracts.interfaces import LearnerFactory as LearnerFactory
from carrousel.contracts.interfaces import MixedLearner as MixedLearner
from carrousel.contracts.interfaces import Task as Task
from carrousel.contracts.learning import TRUNCATED as TRUNCATED
from carrousel.contracts.learning import Batches as Batches
from carrousel.contracts.learning import Gradient as Gradient
from carrousel.contracts.learning import Training as Training
from carrousel.contracts.learning import Update as Update
from carrousel.contracts.network import CELL_WIRINGS as CELL_WIRINGS
from carrousel.contracts.network import SIMPLE_WIRINGS as SIMPLE_WIRINGS
from carrousel.contracts.network import Network as Network
from carrousel.contracts.network import Part as Part
from carrousel.contracts.network import Wiring as Wiring
from carrousel.contracts.recurrence import CELLS as CELLS
from carrousel.contracts.recurrence import CellKind as CellKind
from carrousel.contracts.recurrence import Recurrence as Recurrence
from carrousel.contracts.recurrence import describe_cell as describe_cell
from carrousel.contracts.recurrence import gradient_cut as gradient_cut
from carrousel.contracts.streaming import Head as Head
from carrousel.contracts.streaming import Optimizer as Optimizer
from carrousel.contracts.streaming import Rules as Rules
from carrousel.contracts.streaming import Streaming as Streaming
from carrousel.contracts.streaming import StreamKernel as StreamKernel
from carrousel.contracts.study import Ending as Ending
from carrousel.contracts.study import Exam as Exam
from carrousel.contracts.study import ExamData as ExamData
from carrousel.contracts.study import Experiment as Experiment
from carrousel.contracts.study import Memory as Memory
from carrousel.contracts.study import Published as Published
from carrousel.contracts.study import Reading as Reading
from carrousel.contracts.study import StopRule as StopRule
from carrousel.contracts.study import Trial as Trial
from carrousel.contracts.units import GROUPS as GROUPS
from carrousel.contracts.units import UNIT_SETS as UNIT_SETS
from carrousel.contracts.units import Group as Group
from carrousel.contracts.units import parse_units as parse_units

__all__ = [
    "CELLS",
    "CELL_WIRINGS",
    "EQUAL_RATES",
    "GROUPS",
    "SIMPLE_WIRINGS",
    "SQUASHES",
    "TRUNCATED",
    "UNIT_SETS",
    "Batches",
    "Cell",
    "CellKind",
    "Ending",
    "Errors",
    "Exam",
    "ExamData",
    "Experiment",
    "Gradient",
    "Group",
    "Head",
    "Init",
    "Kernel",
    "Learner",
    "LearnerFactory",
    "Memory",
    "MixedLearner",
    "Network",
    "Optimizer",
    "Part",
    "Published",
    "RateFactors",
    "Reading",
    "Recurrence",
    "Rules",
    "Simple",
    "StopRule",
    "StreamKernel",
    "Streaming",
    "Task",
    "Training",
    "Trial",
    "Update",
    "Wiring",
    "describe_cell",
    "gradient_cut",
    "later",
    "parse_units",
]
