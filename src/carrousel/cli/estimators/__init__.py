"""Commands that train, apply and score estimators: ``fit``, ``predict``, ``score``."""

from __future__ import annotations
