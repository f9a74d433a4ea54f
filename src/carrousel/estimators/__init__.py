"""scikit-learn estimators for sequences of unequal length, with an answer at every step."""

from __future__ import annotations
