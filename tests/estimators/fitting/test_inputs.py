"""Inputs of estimators: messages for data that are often passed by mistake."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from carrousel import LSTMClassifier, LSTMForecaster
from carrousel.errors import DataTypeError, ShapeError
from support.case import case


def test_a_long_table_is_sent_to_read_table() -> None:
    steps = pd.DataFrame({"person": ["a", "a", "b"], "level": [1.0, 2.0, 3.0]})
    with pytest.raises(DataTypeError, match=r"if its rows are steps, .*read_table"):
        LSTMClassifier().fit(steps, [0, 0, 1])


def test_one_series_of_numbers_is_not_a_table() -> None:
    sales = np.arange(24.0)
    for given in (sales, pd.Series(sales), sales.tolist()):
        with case(type(given)), pytest.raises(ShapeError, match="holds one series"):
            LSTMForecaster(horizon=3).fit(given)
