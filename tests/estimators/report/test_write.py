"""Reports written from Python, for each estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import LSTMClassifier, LSTMForecaster, LSTMRegressor, LSTMTagger, ShapeError
from carrousel.estimators.report.write import write_report

SMALL: dict[str, Any] = {"hidden_size": 4, "members": 1, "max_steps": 4, "random_state": 0}


def test_reports_of_all_estimators(tmp_path):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 1)) for T in rng.integers(4, 9, size=24)]
    first = np.array([x[0, 0] for x in X])
    for model, y, heading in (
        (LSTMClassifier(**SMALL), first > 0, "Confusion"),
        (LSTMRegressor(**SMALL), first, "Predictions of"),
        (LSTMTagger(**SMALL), [x[:, 0] > 0 for x in X], "Confusion"),
        (LSTMForecaster(**SMALL), None, "ahead"),
    ):
        model.fit(X, y)
        write_report(tmp_path / "report.html", model, X, y, title="Gait")
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "Gait" in page
        assert heading in page
    with pytest.raises(ShapeError, match="2 channels"):
        write_report(tmp_path / "report.html", model, [np.zeros((5, 2))])
