"""Nets with one planted fault each; the key begins with the name of the verdict."""

from __future__ import annotations

from inspection.verdicts import structure, training
from inspection.verdicts.planting import FAULTY as FAULTY

MODULES = (structure, training)
"""They fill the registry."""
