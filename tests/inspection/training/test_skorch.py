"""The callback of skorch, in real trainings."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from carrousel.errors import MissingExtraError
from carrousel.inspection.training import skorch as adapter

pytestmark = pytest.mark.filterwarnings("ignore")


class Module(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(2, 6, batch_first=True)
        self.drop, self.last = torch.nn.Dropout(0.2), torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        out = self.last(self.drop(self.lstm(x)[0][:, -1]))
        return torch.softmax(out if scale is None else out * scale, -1)


def fit(callbacks, **inputs):
    """Train two epochs of five batches, with a validation after each."""
    from skorch import NeuralNetClassifier  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 9, 2)).astype(np.float32)
    y = rng.integers(0, 3, 50)
    net = NeuralNetClassifier(
        Module, max_epochs=2, batch_size=8, callbacks=callbacks, verbose=0, lr=0.1
    )
    return net.fit({"x": x, **inputs} if inputs else x, y)


def test_without_skorch_the_message_names_it(monkeypatch):
    monkeypatch.setattr(adapter, "_Base", None)
    with pytest.raises(MissingExtraError, match="pip install skorch"):
        adapter.ReachCallback([].append)


def test_a_training_is_recorded_and_not_disturbed(tmp_path):
    pytest.importorskip("skorch")
    path, rows = tmp_path / "reach.csv", []
    callbacks = [
        adapter.ReachCallback(path, options={"every": 2, "lag": 5, "on_error": "raise"}),
        adapter.ReachCallback(
            rows.append, current=True, sequences=None, options={"every": 5, "on_error": "raise"}
        ),
    ]
    net = fit(callbacks)
    lines = path.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "0", "2", "4", "6", "8"]
    assert [one.step for one in rows] == [0, 5]
    for name, value in fit([]).module_.state_dict().items():
        np.testing.assert_array_equal(net.module_.state_dict()[name], value)


def test_the_loss_is_that_of_the_net(tmp_path):
    """The negative log-likelihood of softmax outputs: three classes, about log 3 at first."""
    pytest.importorskip("skorch")
    rows = []
    options = {"every": 100, "on_error": "raise"}
    scale = np.ones((50, 1), dtype=np.float32)
    fit([adapter.ReachCallback(rows.append, options=options)], scale=scale)
    np.testing.assert_allclose(rows[0].scalars["reach/loss"], np.log(3.0), atol=0.3)


def test_a_pickled_net_continues_its_file(tmp_path):
    pytest.importorskip("skorch")
    path = tmp_path / "reach.jsonl"
    callback = adapter.ReachCallback(str(path), options={"every": 5})
    params = {"sink": str(path), "sequences": 8, "current": False, "options": {"every": 5}}
    assert callback.get_params() == params
    net = pickle.loads(pickle.dumps(fit([("reach", callback)])))
    assert dict(net.callbacks)["reach"].get_params() == params
    net.partial_fit(np.zeros((50, 9, 2), dtype=np.float32), np.zeros(50, dtype=np.int64) % 3)
    steps = [json.loads(line)["_step"] for line in path.read_text().splitlines()]
    assert steps == [0, 5, 10, 15]
