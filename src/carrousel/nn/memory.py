"""How many bytes a call of a recurrent module will need, said before it is made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from carrousel.shapes import check_int

if TYPE_CHECKING:
    from carrousel.nn.recurrent import Recurrent

MIB = 2**20


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a call of ``T`` steps and ``B`` sequences needs.

    Attributes:
        recompute: steps of a segment whose tape is computed anew on the way back; 0: none.
        parameters, gradients: the weights, and what the way back adds to.
        input, output: of the whole module.
        tape: what forward keeps for the way back, the outputs of every layer included.
        handed: copies of outputs on their way from layer to layer.
        states: first and last states.
        scratch: the most that one layer's way back needs besides.
        peak_training, peak_inference: the most that exists at one time.
        fits: whether training stays within the budget that was asked for.

    >>> print(MemoryPlan(100, 8, 0, 4096, 4096, 1 << 20, 1 << 20, 6 << 20, 0, 0, 0, 7 << 20,
    ...                  3 << 20, True))  # doctest: +NORMALIZE_WHITESPACE
    memory of 100 steps of 8 sequences  MiB
    parameters                         0.00
    gradients                          0.00
    input                              1.00
    output                             1.00
    tape                               6.00
    handed                             0.00
    states                             0.00
    scratch                            0.00
    peak_training                      7.00
    peak_inference                     3.00
    """

    T: int
    B: int
    recompute: int
    parameters: int
    gradients: int
    input: int
    output: int
    tape: int
    handed: int
    states: int
    scratch: int
    peak_training: int
    peak_inference: int
    fits: bool

    def __str__(self) -> str:
        title = f"memory of {self.T} steps of {self.B} sequences"
        if self.recompute:
            title += f", recompute={self.recompute}"
        if not self.fits:
            title += " (over budget)"
        names = [field.name for field in dataclasses.fields(self)][3:-1]
        rows = [(name, f"{getattr(self, name) / MIB:.2f}") for name in names]
        wide = max(len(value) for _, value in rows)
        lines = [f"{title}  {'MiB':>{wide}}"]
        lines += [f"{name:<{len(title)}}  {value:>{wide}}" for name, value in rows]
        return "\n".join(lines)


def plan_memory(
    module: Recurrent, T: int, B: int, *, ragged: bool = False, budget: int | None = None
) -> MemoryPlan:
    """Plan a call of ``T`` steps and ``B`` sequences; see :meth:`Recurrent.memory_plan`.

    With a budget, the longest segment that fits is proposed, because a longer one keeps fewer
    states at its ends; all segments cost the same time, that of one more forward pass. Where
    nothing fits, the plan is the smallest there is, and says so.

    Raises:
        SettingError: ``T``, ``B`` or ``budget`` is no positive whole number.
    """
    T = check_int("T", T, minimum=1)
    B = check_int("B", B, minimum=1)
    if budget is None:
        own = module.recompute
        segment = math.ceil(math.sqrt(T)) if isinstance(own, str) else own
        return _plan(module, T, B, ragged, segment, None)
    budget = check_int("budget", budget, minimum=1)
    plans = [_plan(module, T, B, ragged, segment, budget) for segment in _segments(T)]
    return next((plan for plan in plans if plan.fits), min(plans, key=lambda p: p.peak_training))


def _segments(T: int) -> Iterator[int]:
    """No recomputation, then lengths from long to short: the shortest for each number of segments
    up to the square root of ``T``, beyond which segments are all but ends."""
    yield 0
    for number in range(2, math.isqrt(T) + 2):
        if T > 1:
            yield math.ceil(T / number)


def _plan(
    module: Recurrent, T: int, B: int, ragged: bool, segment: int, budget: int | None
) -> MemoryPlan:
    recurrence, directions = module.recurrence, module.num_directions
    weights = [weight for layer in module.all_weights for weight in layer]
    size = weights[0].element_size()
    N, K = recurrence.n_net_inputs, recurrence.n_sources
    S, shown = recurrence.n_states, recurrence.n_outputs
    every = module.num_layers * directions
    step = size * B  # bytes of one number for all sequences of the batch
    kept = N + S
    kept += N * recurrence.layer_norm
    kept += recurrence.units * (recurrence.cell == "gru")
    kept += recurrence.units * bool(recurrence.projection)
    kept += K * bool(ragged or module.recurrent_dropout)
    length = min(segment, T) if segment else T
    alive = 1 if segment else every  # only the segment being computed anew has a tape
    ends = math.ceil(T / segment) * (K + S) * step * every if segment else 0
    tape = kept * length * step * alive + ends + T * K * step * every
    tape += T * B * every * (K * (module.zoneout[0] > 0) + S * (module.zoneout[1] > 0))
    tape += T * B * directions * ragged
    wide = T * directions * shown * step
    copies = (directions == 2) + 2 * (module.dropout > 0)
    handed = (module.num_layers - 1) * copies * wide
    below = directions * shown * (module.num_layers > 1)
    scratch = step * (length * N + T * (K + below))
    states = 2 * every * (K + S) * step
    parameters = sum(weight.numel() for weight in weights) * size
    given = T * module.input_size * step
    joined = wide if directions == 2 else 0  # one direction's outputs are the module's, uncopied
    training = 2 * parameters + given + tape + handed + joined + states + scratch
    between = wide if module.num_layers > 1 else 0
    passing = step * T * N + between + wide + joined
    return MemoryPlan(
        T=T,
        B=B,
        recompute=segment,
        parameters=parameters,
        gradients=parameters,
        input=given,
        output=wide,
        tape=tape,
        handed=handed,
        states=states,
        scratch=scratch,
        peak_training=training,
        peak_inference=parameters + given + states + passing,
        fits=budget is None or training <= budget,
    )
