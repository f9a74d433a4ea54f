"""Small batches of cascade-correlation."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Network, Simple
from carrousel.kernels.reference.cascade import CascadeData, distinct
from carrousel.learners.cascade.data import packed
from carrousel.sequences import Sequences
from support.drawn import Kind, When, drawn_data

shapes = given(
    seed=st.integers(0, 2**32),
    n_inputs=st.integers(1, 3),
    n_outputs=st.integers(1, 3),
    grown=st.integers(0, 2),
    symbolic=st.booleans(),
    when=st.sampled_from(["end", "some", "all"]),
)
few = settings(max_examples=25, deadline=None)


def drawn_sequences(
    rng: np.random.Generator, n_inputs: int, n_outputs: int, symbolic: bool, when: When
) -> Sequences:
    """Four ragged sequences, of which one comes twice."""
    network = Network(n_inputs, n_outputs, Simple(1))
    kind = Kind(symbolic=symbolic, when=when)
    data = drawn_data(network, rng, kind, rng.integers(1, 7, 4).tolist())
    return data.take(np.array([0, 1, 2, 3, 1]))


def pack(data: Sequences) -> CascadeData:
    return packed(data, distinct(data))[0]
