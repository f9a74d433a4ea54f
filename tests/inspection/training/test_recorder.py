"""What a recorder measures, when, and what happens if it cannot."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.errors import CarrouselError, InputError, SettingError, UnknownNameError
from carrousel.inspection import inspect
from carrousel.inspection.training import ReachRecorder
from carrousel.inspection.training.pace import Pace


def last(output):
    return output[0][:, -1].square().mean()


@pytest.fixture
def net():
    torch.manual_seed(0)
    return torch.nn.LSTM(3, 6, 2, batch_first=True)


@pytest.fixture
def x():
    return torch.randn(4, 20, 3, generator=torch.Generator().manual_seed(1))


def test_scalars_are_those_of_a_report(net, x):
    measures = ("reach", "gates", "gradient", "memory")
    recorder = ReachRecorder(
        net, x, last, every=1, lag=7, measures=measures, sink=[].append, on_error="raise"
    )
    found = recorder.step()
    report = inspect(net, x, last, 7)
    assert found is not None
    assert report.used is not None
    reach, scalars = report.read_reach(), found.scalars
    np.testing.assert_array_equal(found.curve, reach.curve())
    assert scalars["reach/half_life"] == reach.half_life()
    assert scalars["reach/rate"] == reach.rate()
    assert scalars["reach/asked"] == reach.curve()[7]
    assert [n for n in scalars if n.startswith("reach/lag")] == [
        f"reach/lag_{k}" for k in (1, 2, 4, 8, 16)
    ]
    for k in (1, 2, 4, 8, 16):
        assert scalars[f"reach/lag_{k}"] == reach.curve()[k]
    assert scalars["reach/loss"] == report.loss
    for name in ("input", "forget", "output"):
        shares = [one.gates[name].saturated() for one in report.units]
        np.testing.assert_allclose(scalars[f"gates/{name}_saturated"], np.mean(shares))
    np.testing.assert_allclose(
        scalars["gates/saturated"],
        np.mean([g.saturated() for one in report.units for g in one.gates.values()]),
    )
    known = dict(zip(report.used.lags.tolist(), report.used.increase(), strict=True))
    assert set(known) & {1, 2, 4, 8, 16}
    for k in set(known) & {1, 2, 4, 8, 16}:
        np.testing.assert_allclose(scalars[f"memory/lag_{k}"], known[k])


class Loop(torch.nn.Module):
    """A loop over time of a cell, with the output of a layer."""

    def __init__(self):
        super().__init__()
        self.cell = torch.nn.LSTMCell(3, 6)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 6)
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
        return (h[:, None],)


@pytest.mark.parametrize("kind", ["layers", "cell"])
def test_the_gradient_is_that_of_a_backward_pass(net, x, kind):
    model = net if kind == "layers" else Loop()
    recorder = ReachRecorder(
        model, x, last, every=1, measures="gradient", sink=[].append, on_error="raise"
    )
    found = recorder.step()
    last(model(x)).backward()
    gradients = [one.grad for one in model.parameters() if one.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    assert found is not None
    assert len(found.curve) == 0
    np.testing.assert_allclose(found.scalars["gradient/norm"], float(norm), rtol=1e-5)


def test_every_so_many_steps_or_with_given_numbers(net, x):
    rows, again = [], []
    recorder = ReachRecorder(net, x, last, every=3, sink=[rows.append, again.append])
    for _ in range(7):
        recorder.step()
    assert [one.step for one in rows] == [0, 3, 6]
    assert rows == again
    for step in (899, 900, 901):
        recorder.step(step)
    recorder.step()
    assert [one.step for one in rows] == [0, 3, 6, 900]
    assert recorder.cost() > 0


def test_the_present_batch_instead_of_a_fixed_one(net, x):
    """Shorter batches have no error at the longer lags; the names of the scalars stay."""
    rows = []
    recorder = ReachRecorder(net, every=1, sink=rows.append, on_error="raise")
    recorder.step(inputs=x, loss=last)
    recorder.step(inputs=x[:, -6:], loss=last)
    assert list(rows[0].scalars) == list(rows[1].scalars)
    assert math.isnan(rows[1].scalars["reach/lag_16"])
    assert rows[1].scalars["reach/lag_4"] > 0
    with pytest.raises(InputError, match="inputs is None"):
        recorder.step()


def test_reports_are_kept_at_chosen_steps(net, x):
    recorder = ReachRecorder(net, x, last, every=100, lag=5, snapshots={1, 3}, sink=[].append)
    for _ in range(5):
        recorder.step()
    assert list(recorder.reports) == [1, 3]
    assert recorder.reports[3].lag == 5


def test_a_lag_that_no_sequence_has_is_a_warning(net, x):
    recorder = ReachRecorder(net, x, last, every=1, lag=20, sink=[].append)
    with pytest.warns(UserWarning, match="at most 19 steps precede .* and lag is 20"):
        found = recorder.step()
    assert found is not None
    assert math.isnan(found.scalars["reach/asked"])
    recorder.step()


def test_failures_are_one_warning_or_exceptions(net, x):
    rows, scale = [], [1.0]

    def loss(output):
        return last(output) * scale[0]

    recorder = ReachRecorder(net, x, loss, every=1, sink=rows.append)
    recorder.step()
    scale[0] = math.nan
    with pytest.warns(UserWarning, match="step 1 was not measured: the loss is nan"):
        recorder.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder.step()
        scale[0] = 1.0
        recorder.step()
    assert [one.step for one in rows] == [0, 3]
    assert recorder.failures == 2
    scale[0] = math.nan
    strict = ReachRecorder(net, x, loss, every=1, sink=rows.append, on_error="raise")
    with pytest.raises(InputError, match="loss is nan"):
        strict.step()


def test_a_sink_that_fails_at_once_is_an_error_later_a_warning(net, x):
    broken = [True]

    def sink(measurement):
        if broken[0]:
            raise OSError("disk full")

    recorder = ReachRecorder(net, x, last, every=1, sink=sink)
    with pytest.raises(OSError, match="disk full"):
        recorder.step()
    broken[0] = False
    recorder.step()
    broken[0] = True
    with pytest.warns(UserWarning, match="step 2 was not written: disk full"):
        recorder.step()
    assert recorder.failures == 1


def test_used_memory_needs_two_sequences(net, x):
    recorder = ReachRecorder(
        net, x[:1], last, every=1, measures=["memory"], sink=[].append, on_error="raise"
    )
    with pytest.raises(InputError, match="one sequence alone"):
        recorder.step()


def test_wrong_settings_are_refused(net, x):
    wrong: list[tuple[dict, type[CarrouselError], str]] = [
        ({"every": 0}, SettingError, "every is 0"),
        ({"lag": -1}, SettingError, "lag is -1"),
        ({"lags": [1, 2.5]}, SettingError, "lags is 2.5"),
        ({"budget": 0.0}, SettingError, "budget is 0.0"),
        ({"measures": ["gate"]}, UnknownNameError, "did you mean 'gates'"),
        ({"on_error": "ignore"}, UnknownNameError, "on_error 'ignore'"),
        ({"sink": "reach.txt"}, SettingError, "ends with .csv or .jsonl"),
        ({"sink": object()}, SettingError, "wrap a SummaryWriter in TensorBoard"),
    ]
    for options, kind, text in wrong:
        with pytest.raises(kind, match=text):
            ReachRecorder(net, x, last, **{"sink": [].append, **options})
    recorder = ReachRecorder(net, x, last, sink=[].append)
    with pytest.raises(SettingError, match="step is -1"):
        recorder.step(-1)


def test_the_time_of_sinks_and_reports_counts(net, x):
    now = [0.0]

    def sink(measurement):
        now[0] += 1.0

    recorder = ReachRecorder(
        net, x, last, budget=0.1, snapshots={2}, sink=sink, clock=lambda: now[0]
    )
    measured = []
    for step in range(50):
        if recorder.step():
            measured.append(step)
        now[0] += 1.0
    assert measured == [0, 20, 30, 40]
    assert recorder.cost() == 4 / 49


@settings(max_examples=50)
@given(
    st.floats(0.005, 0.5),
    st.lists(st.tuples(st.floats(0.01, 10.0), st.floats(0.5, 1.0)), min_size=20, max_size=200),
)
def test_the_share_stays_under_the_budget(budget, times):
    """Whatever the steps take; measurements may take up to twice as long as the one before.

    The share is that after a measurement. A measurement that takes longer than expected exceeds
    the budget by what was not expected.
    """
    now, first = 0.0, 0.0
    pace = Pace(None, budget, lambda: now)
    for step, (training, measuring) in enumerate(times):
        with pace.visit():
            if pace.due(step):
                before = pace.spent
                expected = max(pace._expected, default=measuring)
                with pace.spending():
                    now += measuring
                surprise = max(0.0, measuring - expected)
                if step:
                    bound = budget * pace.training + surprise
                    assert pace.spent <= bound * (1 + 1e-9), (before, first)
        now += training
