"""Merges stores of trials into one and makes it small, as the one in ``docs/runs`` is.

    python tools/compact.py TARGET SOURCE...

TARGET and every SOURCE are folders with a store (``carrousel reproduce --out FOLDER``). Trials that
TARGET holds already stay as they are; nothing but points of learning curves is lost. No run may be
writing to TARGET meanwhile; sources may be written to.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from carrousel.errors import CarrouselError
from carrousel.experiments.store.packed import merge, pack, trials_in
from carrousel.experiments.store.store import FILE_NAME
from carrousel.words import count


def main(arguments: list[str] | None = None) -> int:
    """Merge, pack, and print what became of the sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", type=Path, help="folder of the store to add to")
    parser.add_argument("sources", type=Path, nargs="*", help="folders of stores to add")
    asked = parser.parse_args(arguments)
    try:
        for source in asked.sources:
            found = merge(asked.target, source)
            other = f", {found.differing:,} known that ended otherwise" if found.differing else ""
            print(f"{source}: {size(source)}, {count(found.added, 'new trial')}{other}")
        before = size(asked.target)
        pack(asked.target)
        held = trials_in(asked.target)
    except CarrouselError as error:
        print(error, file=sys.stderr)
        return 2
    bytes_each = (asked.target / FILE_NAME).stat().st_size / max(held, 1)
    print(f"{asked.target}: {before} before, {size(asked.target)} after,")
    print(f"{count(held, 'trial')}, {bytes_each:,.0f} bytes each")
    return 0


def size(folder: Path) -> str:
    """Size of a store's file."""
    file = folder / FILE_NAME
    return f"{file.stat().st_size / 1e6:.2f} MB" if file.exists() else "nothing"


if __name__ == "__main__":
    sys.exit(main())
