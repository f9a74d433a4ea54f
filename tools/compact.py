"""Merge stores of trials into one and pack it, like the one in ``docs/runs``.

    python tools/compact.py TARGET SOURCE...

TARGET and every SOURCE are folders with a store (``carrousel reproduce --out FOLDER``). Existing
trials of TARGET are kept unchanged. Packing drops points of learning curves and nothing else. No
run may write to TARGET at the same time; runs may write to the sources.
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
    """Merge, pack, and print the sizes before and after."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", type=Path, help="folder of the store to add to")
    parser.add_argument("sources", type=Path, nargs="*", help="folders of stores to add")
    options = parser.parse_args(arguments)
    try:
        for source in options.sources:
            merged = merge(options.target, source)
            other = f", {merged.differing:,} with other outcomes kept" if merged.differing else ""
            print(f"{source}: {size(source)}, {count(merged.added, 'new trial')}{other}")
        before = size(options.target)
        pack(options.target)
        by_kernel = trials_in(options.target)
    except CarrouselError as error:
        print(error, file=sys.stderr)
        return 2
    trials = sum(by_kernel.values())
    bytes_each = (options.target / FILE_NAME).stat().st_size / max(trials, 1)
    print(f"{options.target}: {before} before, {size(options.target)} after,")
    print(f"{count(trials, 'trial')}, {bytes_each:,.0f} bytes each")
    for kernel, number in by_kernel.items():
        print(f"kernels of version {kernel}: {count(number, 'trial')}")
    return 0


def size(folder: Path) -> str:
    """Format the size of a store's file."""
    file = folder / FILE_NAME
    return f"{file.stat().st_size / 1e6:.2f} MB" if file.exists() else "nothing"


if __name__ == "__main__":
    sys.exit(main())
