"""What other code asks of recurrent modules of torch: attributes, conversion, tracers."""

from __future__ import annotations
