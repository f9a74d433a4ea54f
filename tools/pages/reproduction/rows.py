"""The pages of the rows below ``docs/reproduction``, one an experiment, and their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from tools.pages.rivals import table

from carrousel import words
from carrousel.experiments.judge.statistics import logrank_p, survival
from carrousel.experiments.recipes.catalogue import EVERYTHING
from carrousel.experiments.report.table import escaped
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.study.effects import HELD, effects
from carrousel.experiments.study.study import AS_IT_STANDS, Study, Variation
from carrousel.experiments.study.survival_plot import SurvivalLine, survival_svg
from carrousel.experiments.study.table import LEGEND, markdown_table, notes, printed

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
"""File names with what the names of its rows start with, and a title."""

FOLDED_FROM = 40
"""A table with more variations than this is folded away."""
MOST_VARIATIONS = 3
"""Variations in a picture, beside the row and its recipes."""
FEWEST_TRIALS = 5
LONGEST_LABEL = 64
LARGEST_PICTURE = 30_000
"""Characters of an SVG."""

_JUDGED, _TESTED = "Verdict on the row", "p: "
"""What notes start with that stand elsewhere on these pages."""

HEAD = """# {title}

What the columns mean stands in [README.md](README.md#how-figures-are-had). {legend}
"""


def link(name: str) -> str:
    """A row's name as a link to its place, from a page beside it."""
    file = next(file for file, (start, _) in PAGES.items() if name.startswith(start))
    return f"[{name}]({file}#row-{name})"


def page(file: str, studies: Mapping[str, Study]) -> str:
    """The page of one experiment with all its rows."""
    start, title = PAGES[file]
    rows = [_row(study) for name, study in studies.items() if name.startswith(start)]
    return "\n\n".join([HEAD.format(title=title, legend=LEGEND).strip("\n"), *rows]) + "\n"


def _row(study: Study) -> str:
    row, base = study.experiment, study.base
    judged = "**pending**: no trial has ended yet"
    if base:
        judged = f"**{base.verdict.label}**: {escaped(base.verdict.words)}"
    parts = [
        f'<a id="row-{row.name}"></a>\n\n## {row.name}: {escaped(row.title)}',
        f"{escaped(printed(study))} Ours: {judged}.",
        f"A trial is solved when this holds: {escaped(row.stop.describe)}. It is given up after "
        f"{words.number(row.budget)} sequences.",
    ]
    if pictured(study):
        parts.append(f"![Trials of {row.name} not yet solved, by sequences]({row.name}.svg)")
    parts += ["### Readings", _readings(study), "### Variations", _variations(study)]
    told = _effects(study)
    return "\n\n".join([*parts, *(["### What each setting does", told] if told else [])])


def _readings(study: Study) -> str:
    if not study.experiment.readings:
        return "The paper leaves nothing open here."
    rows = [
        [
            f"`{each.field}`",
            escaped(each.chosen),
            "**yes**" if each.departs else "",
            escaped(each.why),
        ]
        for each in study.experiment.readings
    ]
    return table(["setting", "chosen", "departs from the paper", "why"], rows, text_columns=4)


def _variations(study: Study) -> str:
    if not study.variations:
        return "No trial has ended yet."
    lines = [line for line in notes(study) if not line.startswith((_JUDGED, _TESTED))]
    inside = markdown_table(study.variations)
    if lines:
        inside += "\n\n" + "\n".join(f"- {escaped(line)}" for line in lines)
    if len(study.variations) <= FOLDED_FROM:
        return inside
    trials = sum(len(one.trials) for one in study.variations)
    told = f"{len(study.variations)} sets of settings, {words.count(trials, 'trial')}"
    return f"<details><summary>{told}</summary>\n\n{inside}\n\n</details>"


def _effects(study: Study) -> str:
    """Where the paper leaves a choice: what each choice comes to, all else the same."""
    lines = []
    for effect in effects(study):
        held = f", with {escaped(' '.join(map(str, effect.held)))}" if effect.held else ""
        lines.append(f"- **{escaped(effect.path)}**{held}")
        lines += [f"  - {escaped(each)}" for each in effect.changed()]
    told = [line for line in notes(study) if line.startswith(_TESTED)]
    return "\n\n".join(["\n".join(lines), *map(escaped, told)]) if lines else ""


# --- pictures ------------------------------------------------------------------------------------


def pictured(study: Study) -> bool:
    """Whether there is anything to draw."""
    return bool(study.variations)


def picture(study: Study) -> str:
    """Survival curves of the row, its recipes, and the variations that tell most.

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
    """The row as it stands, its recipes, and up to three variations.

    First the most successful variation; then, one for each setting, those with few changes whose
    trials differ most from the row's by the log-rank test. Those that learn in another way than the
    row, as by Adam, are left to its recipe.
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
    for one in [*others[:1], *_telling(study, others)]:
        fields = frozenset(change.path for change in one.changes) - set(HELD)
        if fields not in seen and len(picked) < MOST_VARIATIONS:
            seen.add(fields)
            picked.append(one)
    return [*own, *picked] or list(study.variations[:1])


@cache
def _current() -> list[str]:
    """Fingerprints of all rows and recipes as they are, rows first."""
    return [fingerprint(row) for row in EVERYTHING.values()]


def _telling(study: Study, others: Sequence[Variation]) -> list[Variation]:
    base = study.base or (others[0] if others else None)

    def rank(one: Variation) -> tuple[int, float, str]:
        changed = sum(change.path not in HELD for change in one.changes)
        p = logrank_p(base.counts, one.counts) if base else None
        return max(changed, 1), 1.0 if p is None else p, one.name

    return sorted(others, key=rank)


def _label(one: Variation) -> str:
    """A label that fits below a picture; budgets and tests are left to the table."""
    if one.label in (AS_IT_STANDS, one.name.partition(" ")[2]) and "=" not in one.label:
        return one.label
    text = " ".join(str(change) for change in one.changes if change.path not in HELD)
    text = text or " ".join(map(str, one.changes))
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
