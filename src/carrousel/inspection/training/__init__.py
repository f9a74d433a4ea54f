"""Reach of a recurrent net during its training: recorded every so many steps, at a stated cost.

A loss curve shows that a net learns, but not from how far back. The reach does: the error that
arrives at states ``k`` steps before the one that the loss reads, relative to that state. If it is
``1e-6`` at the lag of the task, no patience helps. :func:`carrousel.inspection.inspect` shows it
for one moment, and a :class:`ReachRecorder` over a whole training:

>>> import torch
>>> _ = torch.manual_seed(0)
>>> net, rows = torch.nn.LSTM(2, 16, batch_first=True), []
>>> optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
>>> batch, target = torch.randn(8, 30, 2), torch.randn(8)
>>> def loss(output):
...     states, _ = output
...     return (states[:, -1].sum(1) - target).square().mean()
>>> recorder = ReachRecorder(net, batch, loss, every=10, lag=20, sink=rows.append)
>>> for step in range(21):
...     _ = recorder.step()
...     optimizer.zero_grad()
...     loss(net(batch)).backward()
...     optimizer.step()
>>> [row.step for row in rows]
[0, 10, 20]
>>> rows[-1].scalars["reach/half_life"] > 1.0
True

**Where to call it.** At the beginning of the loop's body: row ``n`` then describes the weights
after ``n`` updates, row 0 the initial ones. Use a fixed batch of 4 to 16 sequences, so that rows
differ by the weights alone. To measure the present batch, pass ``inputs`` and ``loss`` to
:meth:`ReachRecorder.step`. Training is not disturbed: with and without a recorder, weights are
equal bit for bit.

**What it costs.** A measurement runs the model forwards once and backwards about three times on the
small batch. Without ``every`` the recorder measures its own time and that of the training, and
spaces measurements so that they take at most ``budget`` (2 %) of the training time.
:meth:`ReachRecorder.cost` returns the share. The first measurement is made at once, so that short
trainings pay more.

**Where it goes.** ``sink`` is one of these, or a list of several:

- ``"reach.csv"``: a table. A run that is started again continues the file.
- ``"reach.jsonl"``: JSON lines as in a history of Weights & Biases.
- ``TensorBoard(SummaryWriter(...))``: scalars, and the reach by lag as a histogram.
- ``WandbRun(wandb.init(...))``: scalars of a run.
- any function of a :class:`Measurement`, such as ``rows.append``.

**Whole reports.** ``snapshots=PowersOfTwo()`` keeps a report of steps 0, 1, 2, 4, 8, ... in
:attr:`ReachRecorder.reports`, with all verdicts and pictures.

**When it fails.** If the loss becomes NaN there is nothing to measure. The recorder warns once and
the training continues; ``on_error="raise"`` raises instead.

**Lightning and skorch.** The callbacks need to know the loss of a batch. Lightning has no function
for it, so the callback gets one that splits a batch into the inputs and a loss of the output.
skorch has ``net.get_loss``::

    from carrousel.inspection.training.lightning import ReachCallback

    def split(batch):
        x, y = batch
        return x[:8], lambda output: mse_loss(output, y[:8])

    Trainer(callbacks=[ReachCallback(split, lag=100)])  # to the loggers of the trainer

    from carrousel.inspection.training.skorch import ReachCallback

    NeuralNetRegressor(module, callbacks=[ReachCallback("reach.csv", options={"lag": 100})])
"""

from __future__ import annotations

from carrousel.inspection.training.files import CsvFile as CsvFile
from carrousel.inspection.training.files import JsonLines as JsonLines
from carrousel.inspection.training.loggers import Loggers as Loggers
from carrousel.inspection.training.loggers import TensorBoard as TensorBoard
from carrousel.inspection.training.loggers import WandbRun as WandbRun
from carrousel.inspection.training.measuring import Measurement as Measurement
from carrousel.inspection.training.recorder import PowersOfTwo as PowersOfTwo
from carrousel.inspection.training.recorder import ReachRecorder as ReachRecorder

__all__ = [
    "CsvFile",
    "JsonLines",
    "Loggers",
    "Measurement",
    "PowersOfTwo",
    "ReachRecorder",
    "TensorBoard",
    "WandbRun",
]
