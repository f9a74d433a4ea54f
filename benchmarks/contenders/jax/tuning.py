"""Search for the fastest form and number of nets of the JAX program on this machine.

JAX itself is imported only to make a program, so that choices can be sent between processes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.contenders.jax.form import Form, Gradient
from benchmarks.contenders.padding import last_only
from benchmarks.lanes.cases import Case

if TYPE_CHECKING:
    from benchmarks.contenders.jax.cell import JaxCell


WIDTHS = (1, 16, 64, 256, 1024)
STEPS_OF_A_TRY = 2**17
STEPS_OF_A_CALL = 2**19
"""Time steps, over all nets, of one compiled call: enough to hide the cost of the call itself."""


class Choice(NamedTuple):
    """A form of the program and a number of nets."""

    form: Form
    lanes: int

    def make(self, case: Case, steps: int = STEPS_OF_A_CALL) -> JaxCell:
        """Return the contender."""
        from benchmarks.contenders.jax.cell import JaxCell

        sequences = int(steps / (self.lanes * case.task.mean_length))
        return JaxCell(case, self.form, self.lanes, min(max(sequences, 1), 512))


def forms(case: Case) -> list[Form]:
    """List all forms that can learn a case."""
    sample = case.task.sample(case.rng(), 4)
    gradients: list[Gradient] = ["traces" if last_only(sample) else "stream"]
    if case.training.update == "sequence":
        gradients.append("grad")
    ways = (False, True) if sample.symbolic else (False,)
    return [Form(gradient, one_hot) for gradient in gradients for one_hot in ways]


def tune(case: Case, widths: tuple[int, ...] = WIDTHS) -> dict[Choice, float]:
    """Time every form with a medium number of nets, and the two fastest forms with all numbers.

    Returns:
        Nanoseconds per net and time step of all tried choices, fastest first. They are rough: use
        them only to choose.
    """
    middle = widths[len(widths) // 2]
    tried = {Choice(form, middle): 0.0 for form in forms(case)}
    tried = {choice: _try(case, choice) for choice in tried}
    best = sorted(tried, key=tried.__getitem__)[:2]
    for width in widths:
        for choice in (Choice(one.form, width) for one in best):
            if choice not in tried:
                tried[choice] = _try(case, choice)
    return dict(sorted(tried.items(), key=lambda item: item[1]))


def _try(case: Case, choice: Choice) -> float:
    contender = choice.make(case, STEPS_OF_A_TRY)
    parts = contender.draw(case.rng())
    packed = contender.pack(parts)
    contender.learn(packed)  # compiles
    times = []
    for _ in range(3):
        began = time.process_time()  # other programs may use the core as well
        contender.learn(packed)
        times.append(time.process_time() - began)
    return 1e9 * min(times) / sum(part.n_steps for part in parts)
