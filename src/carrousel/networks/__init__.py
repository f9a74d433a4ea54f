"""How cells are wired and initialised."""

from __future__ import annotations

from carrousel.networks.weights import initial_weights as initial_weights

__all__ = ["initial_weights"]
