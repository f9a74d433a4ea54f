"""Files of models that earlier versions wrote."""

from __future__ import annotations

from typing import Any

import numpy as np

SINCE_RULES = 4
"""First format whose models may have expert rules, and whose scales count unusual values."""
FORMER: dict[str, Any] = {
    "decay": None,
    "experts": None,
    "season": None,
    "ahead": 1,
    "delay": 0,
    "levels": {"tuple": []},
}
"""Parameters that earlier files may lack, as JSON holds them, with the values that have the effect
of the program of that time. The rate did not decay at first."""


def upgraded(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Bring the header and the arrays of a file to the latest format, in place."""
    if header["format"] >= SINCE_RULES:
        return
    header["model"] = {**FORMER, **header["model"]}
    engine = header["engine"]
    if engine is not None:
        engine["settings"] = {**FORMER, **engine["settings"]}
    for name in ("inputs", "targets"):
        if name in arrays:  # count, mean and variance; unusual values in a row: none
            arrays[name] = np.pad(arrays[name], ((0, 0), (0, 1)))
