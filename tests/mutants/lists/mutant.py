"""One mutation of a source file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[2]
ROOT = TESTS.parent


@dataclass(frozen=True)
class Mutant:
    """One mutation: ``old`` becomes ``new`` in the one file of pattern ``file`` that has it."""

    what: str
    file: str
    old: str
    new: str

    @property
    def path(self) -> Path:
        """The one file with the text; LookupError if there is none, or more than one."""
        files = sorted(ROOT.glob(self.file))
        holding = [file for file in files if self.old in file.read_text(encoding="utf-8")]
        if len(holding) != 1:
            raise LookupError(
                f"mutant {self.what!r}: text in {len(holding)} files of {self.file}, expected 1"
            )
        return holding[0]

    def applied(self, text: str) -> str:
        """Return a text with the mutation; LookupError unless ``old`` occurs exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise LookupError(f"mutant {self.what!r}: {found} places in {self.file}, expected 1")
        return text.replace(self.old, self.new)

    def source(self) -> str:
        return self.applied(self.path.read_text(encoding="utf-8"))
