"""aeon's InceptionTime by its defaults: five nets, 1,500 epochs each.

It needs TensorFlow, whose environment may be another one than that of the other contenders.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from benchmarks.estimators.contenders.rockets import Whole


def inception_time(seed: int) -> Any:
    """Return aeon's classifier; its files are written to a temporary folder."""
    from aeon.classification.deep_learning import InceptionTimeClassifier

    return InceptionTimeClassifier(random_state=seed, file_path=tempfile.mkdtemp() + "/")


class Inception(Whole):
    """InceptionTime with the number of its weights as its size."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, inception_time)

    def fit(self, series: Sequence[np.ndarray], y: np.ndarray) -> None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        super().fit(series, y)

    def nbytes(self) -> int:
        """Bytes of the weights of all nets in single precision."""
        return sum(4 * net.model_.count_params() for net in self.model.classifiers_)
