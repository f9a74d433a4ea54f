"""Descriptions of the parameters and attributes that estimators share, written once."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping
from typing import TypeVar

Class = TypeVar("Class", bound=type)

PARAMETERS: Mapping[str, str] = {
    "hidden_size": "memory cells of a layer. 64 suit hundreds to thousands of series; time grows "
    "with the square.",
    "num_layers": "layers of LSTM. A second one rarely helps with fewer than thousands of series.",
    "window": "steps that the convolution reads, at distances that grow with the length of the "
    "series; 1: no convolution. It finds local shapes, which an LSTM learns slowly.",
    "bidirectional": "whether a second LSTM reads from the end. Answers at a step then need the "
    "whole series, and ``stream`` is not available.",
    "members": "nets of the ensemble. Their mean is better than one of them, and their held-out "
    "parts differ. Time and size of the file grow in proportion.",
    "max_steps": "updates of each net's weights at most; None: 60 passes over the series, at least "
    "600 updates and at most 6,000, and no more than 6 million steps of series in all. "
    "Training ends earlier if at least 20 held-out series are predicted worse for long.",
    "max_seconds": "seconds of wall time for the training of all members; None: no limit. Members "
    "that are trained one after the other share it. With it, a result depends on the machine.",
    "learning_rate": "the largest rate of AdamW; it rises over the first tenth of the updates, and "
    "decays to zero.",
    "batch_size": "series of an update.",
    "weight_decay": "of AdamW, per unit of the rate.",
    "dropout": "share of the read-out's inputs that are zeroed in training, from 0, below 1.",
    "gaps": "largest share of values removed at random in training, from 0, below 1; 0: none. "
    "With it, answers bear missing values that did not occur in training.",
    "noise": "standard deviation of noise added in training, in units of the root mean square "
    "change of a channel from step to step; 0: none.",
    "warp": "standard deviation of the logarithm of random speeds at which training series are "
    "read, at most 1; 0: none.",
    "validation_fraction": "share of the series that each member holds out, at most 0.5; at "
    "most 5,000 series, and beyond 1,000 series at most 200,000 steps. They calibrate the "
    "probabilities. If they are 20 or more, they also end the training and choose the weights "
    "that are kept. 0: none, and then nothing is calibrated.",
    "class_weight": 'None: 1; ``"balanced"``: weights that make up for unequal numbers; or a '
    "mapping from labels to weights, 1 where left out.",
    "warm_start": "whether ``fit`` continues from the weights of the last fit.",
    "n_jobs": "members that are trained at once, through joblib and its present backend; -1: as "
    "many as there are cores.",
    "random_state": "seed of held-out parts, initial weights and order. The same seed gives the "
    "same model on the same machine. None: another result each time.",
    "verbose": "1 shows a progress bar with loss and time left.",
}
"""Parameters of the constructors, where a class does not describe its own."""
ATTRIBUTES: Mapping[str, str] = {
    "ensemble_": "the trained nets, with their features and temperature.",
    "schema_": "channels, symbols and times of the training series.",
    "history_": "about 40 records of the losses of each member.",
    "n_features_in_": "columns of a table, or channels of anything else.",
    "feature_names_in_": "names of the columns, if ``fit`` got a table with names.",
    "n_iter_": "updates of the member that was trained longest.",
}
"""Attributes of every fitted estimator."""
OF_SERIES: Mapping[str, str] = {
    "held_out_": "``[N, members]``, which member did not learn which series. Files lack it.",
    "feature_importances_": "``[I]``, by how much the mean loss of held-out series rises if a "
    "channel is hidden (see :meth:`importances`); by a sample of them if they are many. They do "
    "not add up to 1, and may be below 0. Absent if no series with a target was held out.",
}
"""Attributes of estimators that learn a target ``y``."""


def documented(cls: Class) -> Class:
    """Complete the sections ``Args`` and ``Attributes`` of a class docstring by shared entries.

    Parameters follow the order of the constructor. The docstring has to describe those that are not
    in :data:`PARAMETERS`; its own descriptions of others replace the shared ones.

    >>> @documented
    ... class Model:
    ...     '''Short.
    ...
    ...     Args:
    ...         early: a cost.
    ...     '''
    ...     def __init__(self, *, verbose=0, early=None): ...
    >>> print(Model.__doc__)  # doctest: +ELLIPSIS
    Short.
    <BLANKLINE>
    Args:
        verbose: 1 shows a progress bar with loss and time left.
        early: a cost.
    <BLANKLINE>
    Attributes:
        ensemble_: the trained nets, with their features and temperature...
    """
    if cls.__doc__ is None:  # python -OO
        return cls
    blocks = inspect.cleandoc(cls.__doc__).split("\n\n")
    own = {"Args:": {}, "Attributes:": {}}
    kept = []
    for block in blocks:
        head, _, body = block.partition("\n")
        if head in own:
            own[head] = _entries(body)
        else:
            kept.append(block)
    names = [name for name in inspect.signature(cls).parameters]
    parameters = {name: own["Args:"].get(name) or PARAMETERS[name] for name in names}
    shared = {**ATTRIBUTES, **(OF_SERIES if hasattr(cls, "importances") else {})}
    attributes = {**own["Attributes:"], **shared}
    sections = [_section("Args:", parameters), _section("Attributes:", attributes)]
    at = next((n for n, block in enumerate(kept) if block.startswith(_AFTER)), len(kept))
    cls.__doc__ = "\n\n".join([*kept[:at], *sections, *kept[at:]])
    return cls


_AFTER = ("Raises:", "Source:", ">>>")
"""What follows the sections in a docstring."""


def _entries(body: str) -> dict[str, str]:
    """Return the entries of a section, without line breaks."""
    found: dict[str, str] = {}
    name = ""
    for line in body.splitlines():
        if not line.startswith("        "):
            name, _, line = line.strip().partition(": ")
            found[name] = ""
        found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _section(head: str, entries: Mapping[str, str]) -> str:
    lines = [
        textwrap.fill(
            f"{name}: {text}",
            96,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
            break_on_hyphens=False,
        )
        for name, text in entries.items()
    ]
    return "\n".join([head, *lines])
