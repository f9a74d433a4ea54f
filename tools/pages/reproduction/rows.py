"""The pages of the experiments below ``docs/reproduction``, and the pictures of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from tools.pages.render import render
from tools.pages.reproduction.mechanisms import section
from tools.pages.reproduction.readings import candidate_sections

from carrousel import words
from carrousel.experiments.judge.measures import Measure, label
from carrousel.experiments.judge.statistics import logrank_p, survival
from carrousel.experiments.recipes.catalogue import EVERYTHING
from carrousel.experiments.report.markdown import escaped, table
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.study.effects import HELD, effects
from carrousel.experiments.study.study import AS_IT_STANDS, Study, Variation
from carrousel.experiments.study.survival_plot import MOST_LINES, SurvivalLine, survival_svg
from carrousel.experiments.study.table import LEGEND, markdown_table, notes, printed
from carrousel.shapes import Interval

PAGES = {
    "experiment-1.md": ("1-", "Experiment 1: embedded Reber grammar"),
    "experiment-2a.md": ("2a", "Experiment 2a: noise-free sequences with long time lags"),
    "experiment-2b.md": ("2b", "Experiment 2b: no local regularities"),
    "experiment-2c.md": ("2c-", "Experiment 2c: very long time lags, no local regularities"),
    "experiment-3.md": ("3", "Experiment 3: noise and signal on the same channel"),
    "experiment-4.md": ("4-", "Experiment 4: the adding problem"),
    "experiment-5.md": ("5-", "Experiment 5: the multiplication problem"),
    "experiment-6.md": ("6", "Experiment 6: temporal order"),
}
"""The prefix of the names of its rows, and a title, by file name."""

FOLDED_FROM = 40
"""A table with more variations than this is folded."""
MOST_VARIATIONS = 3
"""Variations in a picture, in addition to the row and its recipes."""
FEWEST_TRIALS = 5
"""A variation with fewer trials than this is not drawn."""
LONGEST_LABEL = 64
LARGEST_PICTURE = 30_000
"""Characters of an SVG."""


def link(name: str) -> str:
    """Link a row's name to its section, from a page in the same folder."""
    file = next(file for file, (start, _) in PAGES.items() if name.startswith(start))
    return f"[{name}]({file}#row-{name})"


def page(file: str, studies: Mapping[str, Study], mechanisms: Mapping[str, Any]) -> str:
    """Write the page of one experiment with all its rows.

    Args:
        file: one of :data:`PAGES`.
        studies: trials of all rows, by row.
        mechanisms: results of ``tools/mechanisms``, by the page that shows them.
    """
    start, title = PAGES[file]
    stem = file.removesuffix(".md")
    return render(
        "reproduction/experiment.md",
        title=title,
        legend=LEGEND,
        rows=[_row(study) for name, study in studies.items() if name.startswith(start)],
        mechanism=section(stem, mechanisms.get(stem)),
        candidates=candidate_sections(start, studies),
    )


def _row(study: Study) -> dict[str, Any]:
    row, base = study.experiment, study.base
    judged = "**pending**: no trial has ended yet"
    if base:
        judged = f"**{base.verdict.label}**: {escaped(base.verdict.words)}"
    tested = any(level.p is not None for effect in effects(study) for level in effect.levels)
    lines = [line for line in notes(study) if base is None or base.verdict.words not in line]
    about_tests = lines.pop() if tested else None  # the last note explains the test
    return {
        "name": row.name,
        "title": escaped(row.title),
        "printed": escaped(printed(study)),
        "verdict": judged,
        "measures": [escaped(_measure(each)) for each in base.verdict.figures.measures]
        if base
        else [],
        "stop": escaped(row.stop.describe),
        "budget": words.number(row.budget),
        "pictured": pictured(study),
        "readings": _readings(study),
        "variations": _variations(study, lines),
        "folded": _folded(study),
        "effects": _effects(study, about_tests),
    }


def _measure(each: Measure) -> str:
    """One further figure of the paper, with ours and its interval."""
    known = f" ({small_range(each.ours_ci95)})" if each.ours_ci95 else ""
    return (
        f"{label(each.name)}: {words.small(each.ours)}{known}, printed {words.small(each.printed)}"
    )


def small_range(interval: Interval | None) -> str:
    """Format an interval of a figure that may be small."""
    return words.ABSENT if interval is None else " to ".join(map(words.small, interval))


def _readings(study: Study) -> str:
    rows = [
        [
            f"`{each.field}`",
            escaped(each.chosen),
            "**yes**" if each.departs else "",
            escaped(each.why),
        ]
        for each in study.experiment.readings
    ]
    heads = ["setting", "chosen", "departs from the paper", "why"]
    return table(heads, rows, "l") if rows else ""


def _variations(study: Study, lines: Sequence[str]) -> str:
    """Table of the variations, and notes on them."""
    if not study.variations:
        return ""
    listed = "\n".join(f"- {escaped(line)}" for line in lines)
    return "\n\n".join([markdown_table(study.variations), *([listed] if listed else [])])


def _folded(study: Study) -> str:
    """Summary of a table that is too long to be shown at once; empty for a short one."""
    if len(study.variations) <= FOLDED_FROM:
        return ""
    trials = sum(len(one.trials) for one in study.variations)
    return f"{len(study.variations)} sets of settings, {words.count(trials, 'trial')}"


def _effects(study: Study, about_tests: str | None) -> str:
    """List the effect of each value of a setting, with all other settings unchanged."""
    lines = []
    for effect in effects(study):
        held = f", with {escaped(' '.join(map(str, effect.held)))}" if effect.held else ""
        lines.append(f"- **{escaped(effect.path)}**{held}")
        lines += [f"  - {escaped(each)}" for each in effect.changed()]
    if not lines:
        return ""
    return "\n\n".join(["\n".join(lines), *([escaped(about_tests)] if about_tests else [])])


# --- pictures ------------------------------------------------------------------------------------


def pictured(study: Study) -> bool:
    """Whether there is anything to draw."""
    return bool(study.variations)


def picture(study: Study) -> str:
    """Draw survival curves of the row, its recipes, and the variations that differ most.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    row = study.experiment
    lines = [SurvivalLine(_label(one), survival(one.counts)) for one in chosen(study)]
    while True:
        paper = row.published.sequences
        text = survival_svg(f"{row.name}: {row.title}", lines, paper=paper, log=True)
        if len(text) < LARGEST_PICTURE or len(lines) == 1:
            return text
        lines.pop()


def chosen(study: Study) -> list[Variation]:
    """Choose the row as it stands, its recipes, and up to three variations, at most eight in all.

    The first variation is the most successful one. Next come variations with few changes whose
    trials differ most from the row's by the log-rank test, one for each setting. Variations with
    another learner than the row's, such as Adam, are excluded, since the recipes show them.
    """
    current = _current()
    own = [one for one in study.variations if one.fingerprint in current]
    own.sort(key=lambda one: current.index(one.fingerprint))
    others = [
        one
        for one in study.variations
        if one not in own
        and one.complete
        and len(one.trials) >= FEWEST_TRIALS
        and all(change.path != "training.kind" for change in one.changes)
    ]
    picked, seen = [], set()
    for one in [*others[:1], *_by_difference(study, others)]:
        fields = frozenset(change.path for change in one.changes) - set(HELD)
        if fields not in seen and len(picked) < MOST_VARIATIONS:
            seen.add(fields)
            picked.append(one)
    return [*own, *picked][:MOST_LINES] or list(study.variations[:1])


@cache
def _current() -> list[str]:
    """Fingerprints of the current rows and recipes, rows first."""
    return [fingerprint(row) for row in EVERYTHING.values()]


def _by_difference(study: Study, others: Sequence[Variation]) -> list[Variation]:
    base = study.base or (others[0] if others else None)

    def rank(one: Variation) -> tuple[int, float, str]:
        changed = sum(change.path not in HELD for change in one.changes)
        p = logrank_p(base.counts, one.counts) if base else None
        return max(changed, 1), 1.0 if p is None else p, one.name

    return sorted(others, key=rank)


def _label(one: Variation) -> str:
    """Shorten a label to fit below a picture; budgets and tests are only in the table."""
    if one.label in (AS_IT_STANDS, one.name.partition(" ")[2]) and "=" not in one.label:
        return one.label
    text = " ".join(str(change) for change in one.changes if change.path not in HELD)
    text = text or " ".join(map(str, one.changes))
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
