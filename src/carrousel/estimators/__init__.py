"""scikit-learn estimators for sequences of unequal length, with an answer at every step."""

from __future__ import annotations

from importlib.util import find_spec

if absent := [name for name in ("torch", "sklearn") if find_spec(name) is None]:
    from carrousel.errors import MissingExtraError

    raise MissingExtraError(
        f"estimators need {' and '.join(absent)}, not installed",
        fix=f"pip install 'carrousel[{','.join(absent)}]'",
    )
