"""Entry point of ``python -m carrousel``."""

from __future__ import annotations

from carrousel.cli import main

if __name__ == "__main__":
    main()
