"""What happens in a call of a layer: arguments, ragged batches, noise, memory."""

from __future__ import annotations
