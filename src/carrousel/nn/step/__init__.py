"""Stepper: runs a module one time step per call, for deployment."""

from __future__ import annotations
