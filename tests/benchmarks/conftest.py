"""The modules of ``benchmarks/`` stand beside each other, as for a script that lies there."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
