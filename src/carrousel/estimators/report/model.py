"""Sections on the model: learning curves, size and speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from carrousel.errors import SettingError
from carrousel.estimators.data.series import Series
from carrousel.estimators.report.parts import Figure, Section, Table, plain, spread
from carrousel.words import count, duration, number

if TYPE_CHECKING:
    from carrousel.estimators.net.ensemble import Ensemble
    from carrousel.estimators.net.train import Epoch

POINTS = 200
"""Points of a learning curve at most."""
STEPS_TIMED = 20_000
"""Steps that are read to measure the speed, at most, unless one series is longer."""
STEPS_PUSHED = 500
"""Steps that are pushed one by one to measure the speed."""


def learning_section(histories: Sequence[Sequence[Epoch]]) -> Section | None:
    """Return the learning curves of all members; None where no history was kept.

    Args:
        histories: one for each member.
    """
    lines: list[dict[str, Any]] = []
    for m, history in enumerate(histories):
        some = [history[k] for k in spread(len(history), POINTS)]
        held = [epoch for epoch in history if epoch.held is not None]
        if not history:
            continue
        lines.append(
            {
                **{"name": "learned", "x": [e.step for e in some], "group": "learned"},
                **{"y": plain([e.loss for e in some]), "colour": "--ours", "first": not lines},
                **{"faded": len(histories) > 1, "text": [f"member {m + 1}"] * len(some)},
            }
        )
        if held:
            held = [held[k] for k in spread(len(held), POINTS)]
            first = not any(line["group"] == "held out" for line in lines)
            lines.append(
                {
                    **{"name": "held out", "x": [e.step for e in held], "group": "held out"},
                    **{"y": plain([e.held for e in held]), "colour": "--paper", "first": first},
                    **{"faded": len(histories) > 1, "text": [f"member {m + 1}"] * len(held)},
                }
            )
    if not lines:
        return None
    data = {
        "lines": lines,
        "x": {"title": "updates"},
        "y": {"title": "loss", "log": _wide([y for line in lines for y in line["y"]])},
    }
    text = (
        "Mean loss of the series of an epoch, with the random gaps of training, and of the series "
        "held out, without them. The last weights are kept, unless at least 20 held-out series "
        "were clearly better predicted before."
    )
    return Section("learning", "Learning curves", text, (Figure("lines", data, text),))


def _wide(losses: Sequence[float | None]) -> bool:
    """Whether losses are positive and differ so much that a logarithmic axis shows them better."""
    known = [loss for loss in losses if loss is not None]
    return bool(known) and min(known) > 0 and max(known) > 20 * min(known)


def n_weights(ensemble: Ensemble) -> int:
    """Return the number of weights of all members."""
    return sum(w.numel() for member in ensemble.members for w in member.net.parameters())


def microseconds_whole(model: Any, series: Series, clock: Callable[[], float]) -> float:
    """Return the time of a step when whole series are predicted together, in microseconds.

    Args:
        model: the fitted estimator; all its nets count.
        series: some of them are predicted.
        clock: returns seconds.
    """
    fits = int(np.searchsorted(np.cumsum(series.lengths), STEPS_TIMED, side="right"))
    some = series.take(np.arange(max(1, min(fits, len(series)))))
    model.predict(some.take(np.arange(1)))  # buffers are allocated
    began = clock()
    model.predict(some)
    return 1e6 * (clock() - began) / some.n_steps


def microseconds_live(
    ensemble: Ensemble, series: Series, clock: Callable[[], float]
) -> float | None:
    """Return the time of a step that arrives alone, in microseconds; None for both directions."""
    from carrousel.estimators.anytime.stream import LiveSeries

    try:
        live = LiveSeries(ensemble)
    except SettingError:  # the nets need whole series
        return None
    rows = series.values[: series.offsets[1]]
    live.push(rows[0])
    pushed, began = 0, clock()
    while pushed < STEPS_PUSHED:
        live.reset()
        for row in rows[: STEPS_PUSHED - pushed]:
            live.push(row)
            pushed += 1
    return 1e6 * (clock() - began) / pushed


def model_section(
    ensemble: Ensemble, seconds: float | None, kilobytes: float | None, speeds: dict[str, float]
) -> Section:
    """Return sizes and speed.

    Args:
        ensemble: the model.
        seconds: of training; None: unknown.
        kilobytes: of the file; None: not saved.
        speeds: microseconds per step by how steps arrive.
    """
    sizes = ensemble.members[0].net.config
    layers = f"{count(sizes.num_layers, 'layer')} of {count(sizes.hidden_size, 'memory cell')}"
    rows = [
        ("members", number(len(ensemble.members))),
        ("LSTM", layers + (", both directions" if sizes.bidirectional else "")),
        ("convolution", "none" if sizes.window < 2 else f"of {count(sizes.window, 'step')}"),
        ("weights", number(n_weights(ensemble))),
    ]
    rows += [] if kilobytes is None else [("file", f"{kilobytes:,.0f} kB")]
    rows += [] if seconds is None else [("training", duration(seconds))]
    rows += [(f"time of a step, {how}", f"{us:.2g} µs") for how, us in speeds.items()]
    return Section("model", "Model", "", (), (Table(("", ""), tuple(rows), 2),))
