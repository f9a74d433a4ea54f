"""The callback of Lightning, in real trainings. Both names of the package have it."""

from __future__ import annotations

import csv
import importlib
import sys

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from carrousel.errors import MissingExtraError
from carrousel.inspection.training import lightning as adapter

pytestmark = pytest.mark.filterwarnings("ignore")


def test_without_lightning_the_message_names_it(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    del sys.modules["pytorch_lightning"], sys.modules["lightning.pytorch"]
    monkeypatch.setattr(adapter, "_Callback", object)
    with pytest.raises(MissingExtraError, match="pip install lightning"):
        adapter.ReachCallback(lambda batch: batch)


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def package(request):
    """The package under one of its names, and the adapter as it is imported with it."""
    found = pytest.importorskip(request.param)
    others = {"lightning.pytorch", "pytorch_lightning"} - {request.param}
    hidden = {name: sys.modules.pop(name) for name in others if name in sys.modules}
    yield found, importlib.reload(adapter).ReachCallback
    sys.modules.update(hidden)


def split(batch):
    x, y = batch
    return x[:4], lambda output: mse_loss(output, y[:4])


def fit(package, callbacks, folder, **options):
    """Train two epochs of five batches; return the module's weights."""
    lightning = package[0]

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(2, 6, batch_first=True)
            self.drop, self.last = torch.nn.Dropout(0.2), torch.nn.Linear(6, 1)

        def forward(self, x):
            return self.last(self.drop(self.lstm(x)[0][:, -1]))

        def training_step(self, batch, batch_idx):
            loss = mse_loss(self(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def validation_step(self, batch, batch_idx):
            assert not self.training

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    torch.manual_seed(0)
    data = TensorDataset(torch.randn(40, 9, 2), torch.randn(40, 1))
    module = Module()
    logger = importlib.import_module(lightning.__name__ + ".loggers").CSVLogger(str(folder))
    trainer = lightning.Trainer(
        max_epochs=2, callbacks=callbacks, logger=logger, accelerator="cpu", log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        num_sanity_val_steps=0, **options,
    )  # fmt: skip
    loader = DataLoader(data, batch_size=8, shuffle=True)
    trainer.fit(module, loader, DataLoader(data, batch_size=20))
    return module.state_dict(), logger


def test_a_training_is_recorded_and_not_disturbed(package, tmp_path):
    rows, present = [], []
    callbacks = [
        package[1](split, every=2, lag=5, sink=rows.append, on_error="raise"),
        package[1](split, every=5, sink=present.append, current=True, snapshots={0, 7}),
    ]
    weights, _ = fit(package, callbacks, tmp_path)
    assert [one.step for one in rows] == [0, 2, 4, 6, 8]
    assert [one.step for one in present] == [0, 5]
    assert list(callbacks[1].recorder.reports) == [0, 7]
    assert all(one.scalars["reach/asked"] > 0 for one in rows)
    for name, value in fit(package, [], tmp_path)[0].items():
        np.testing.assert_array_equal(weights[name], value)


def test_steps_are_updates_of_the_weights(package, tmp_path):
    rows = []
    callback = package[1](split, every=1, sink=rows.append, on_error="raise")
    fit(package, [callback], tmp_path, accumulate_grad_batches=5)
    assert [one.step for one in rows] == [0, 1]


def test_loggers_of_the_trainer_are_the_default(package, tmp_path):
    _, logger = fit(package, [package[1](split, every=5)], tmp_path)
    logger.save()
    with open(logger.experiment.metrics_file_path, newline="") as file:
        found = list(csv.DictReader(file))
    rows = [one for one in found if one["reach/half_life"]]
    assert [one["step"] for one in rows] == ["0", "5"]
    assert float(rows[1]["reach/lag_4"]) > 0
