"""A fault that an inspection has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A verdict.

    Args:
        name: of the rule, such as ``"forget_bias"``.
        part: name of the layer or cell; empty: the whole model.
        evidence: what was measured, with numbers, one sentence.
        remedy: what to change, one sentence.
    """

    name: str
    part: str
    evidence: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.part}: " if self.part else ""
        return f"{where}{self.evidence} {self.remedy}"
