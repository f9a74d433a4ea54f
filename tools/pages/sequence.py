"""The page ``docs/sequence.md``: whole layers over whole batches, from ``benchmarks/sequence``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.sequence.missed import absent, missed
from benchmarks.sequence.tables import Row, Section, section_text
from tools.pages.render import render


def sequence_page(results: Mapping[str, Section]) -> str:
    """Write the page.

    Args:
        results: of each section, as ``benchmarks/sequence`` saves them.
    """
    plans: dict[str, list[str]] = {}
    for name, section in results.items():
        repeats, seconds = (section["plan"][key] for key in ("repeats", "seconds"))
        text = f"{repeats} undisturbed stretches of {1e3 * seconds:.0f} ms"
        plans.setdefault(text, []).append(name)
    return render(
        "sequence.md",
        **{name: section_text(name, section) for name, section in results.items()},
        missed=list(missed(results)),
        absent=list(absent(results)),
        machines=list(_machines(results)),
        plans=[f"{text} ({', '.join(names)})" for text, names in plans.items()],
        patience=max(section["plan"]["patience"] for section in results.values()),
        calm=_calm(results),
    )


def _machines(results: Mapping[str, Section]) -> Iterator[str]:
    """Describe each machine, and the sections it measured if there are several."""
    found: dict[str, list[str]] = {}
    for name, section in results.items():
        here = section["machine"]
        versions = ", ".join(map(" ".join, here["versions"].items()))
        line = f"{here['processor']}, {here['cores']} cores, {here['instruction_sets'][0]}"
        found.setdefault(f"{line}; {versions}; {here['threads']} threads", []).append(name)
    for line, names in found.items():
        yield f"{line}." if len(found) == 1 else f"{line}: {', '.join(names)}."


def _calm(results: Mapping[str, Section]) -> dict[str, Any] | None:
    """Summarise how many stretches were undisturbed; None if nothing was timed."""
    shares = [time["calm"] for section in results.values() for time in _times(section["rows"])]
    if not shares:
        return None
    return {
        "share": f"{sum(shares) / len(shares):.0%}",
        "none": sum(share == 0 for share in shares),
        "times": len(shares),
    }


def _times(found: Any) -> Iterator[Row]:
    """Find every time in nested results."""
    if isinstance(found, Mapping):
        if "calm" in found:
            yield found
        for value in found.values():
            yield from _times(value)
    elif isinstance(found, list):
        for value in found:
            yield from _times(value)
