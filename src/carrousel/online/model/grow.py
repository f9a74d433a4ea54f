"""Growth of a kernel: more inputs and outputs, with all learned values kept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from carrousel.contracts import Network, StreamKernel
from carrousel.kernels.native.stream_checks import EXPERTS

_HIDDEN = ("hidden", "hidden_first", "hidden_second")
_PAST = ("sources", "traces", "sensitivities", "w")  # of steps when new inputs were zero
_OUTPUT = ("output", "output_first", "output_second")
_SCALES = ("inputs", "targets", "inputs_all", "targets_all")


def grow_kernel(wider: StreamKernel, narrow: StreamKernel) -> None:
    """Copy everything that a kernel has learned into a fresh one with more inputs or outputs.

    The inputs and outputs of ``narrow`` are the first of ``wider``. They keep their weights,
    running gradients, means, traces and pending predictions. The others keep their initial weights,
    and are zero elsewhere. While new inputs are zero, the net input of old outputs is unchanged.
    """
    rules = wider.streaming.rules
    features = rules.n_features if rules else 0  # the last inputs of both
    state = grow_state(narrow.state(), wider.state(), narrow.network, wider.network, features)
    wider.restore(state)
    wider.rate = narrow.rate


def grow_state(
    old: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    narrow: Network,
    wide: Network,
    features: int,
) -> dict[str, np.ndarray]:
    """Return the state of a narrow kernel in the shapes of a wide one.

    Args:
        old, new: the states.
        narrow, wide: the networks.
        features: how many of the inputs come last in both.
    """
    found = dict(old)
    before, after = narrow.n_inputs - features, wide.n_inputs - features
    inputs = _columns(before, after, narrow.n_inputs)
    sources = _columns(before, after, narrow.n_sources)
    seen = np.arange(narrow.cell.n_cells + 1)  # by outputs
    if narrow.direct:
        seen = _columns(before, after, narrow.n_inputs + len(seen))
    for name in filter(new.__contains__, _HIDDEN):
        found[name] = new[name].copy()
        found[name][:, sources] = old[name]
    for name in filter(new.__contains__, _OUTPUT):
        found[name] = new[name].copy()
        found[name][: narrow.n_outputs, seen] = old[name]
    for name in filter(old.__contains__, _SCALES):
        kept = inputs if name.startswith("inputs") else np.arange(narrow.n_outputs)
        found[name] = np.zeros((*old[name].shape[:-2], *new[name].shape[-2:]))
        found[name][..., kept, :] = old[name]
    if "pending_inputs" in old and new["pending_inputs"].shape[-1] > 1:  # not one symbol
        waiting = old["pending_inputs"]
        found["pending_inputs"] = np.zeros((*waiting.shape[:-1], wide.n_inputs))
        found["pending_inputs"][..., inputs] = waiting
    for name in filter(old.__contains__, _PAST):
        found[name] = np.zeros((*old[name].shape[:-1], wide.n_sources), old[name].dtype)
        found[name][..., sources] = old[name]
    for name in (name for name in old if name.startswith(EXPERTS)):
        fresh = new[name] if len(new[name]) else np.zeros((len(old[name]), *new[name].shape[1:]))
        kept = tuple(map(slice, np.minimum(old[name].shape, fresh.shape)))
        found[name] = fresh.copy()
        found[name][kept] = old[name][kept]
    found["out"] = np.zeros((len(old["out"]), wide.n_outputs), old["out"].dtype)
    found["out"][:, : narrow.n_outputs] = old["out"]
    return found


def _columns(old: int, new: int, n: int) -> np.ndarray:
    """Return the new indices of ``n`` columns when the first ``old`` of them become ``new``."""
    columns = np.arange(n)
    return np.where(columns < old, columns, columns + new - old)
