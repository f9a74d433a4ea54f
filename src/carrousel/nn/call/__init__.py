"""Parts of a layer's forward call: arguments, ragged batches, random masks, memory plans."""

from __future__ import annotations
