"""Runner of trials: lanes side by side in a worker, workers in processes or on a cluster."""

from __future__ import annotations
