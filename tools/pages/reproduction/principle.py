"""Table of one principle for all rows, from the store."""

from __future__ import annotations

from tools.pages.reproduction.readings import Studies, mean, ratio, recipe_in, solved
from tools.pages.reproduction.rows import link

from carrousel import words
from carrousel.experiments.recipes.principle import PRINCIPLE
from carrousel.experiments.report.markdown import table


def principle(studies: Studies) -> str:
    """Write the table of all rows under the recipe ``principle``, next to the printed figures."""
    lines = []
    for name, study in studies.items():
        if name not in PRINCIPLE:
            continue
        row, one = study.experiment, recipe_in(study, "principle")
        published = row.published
        theirs = [words.percent(published.success_percent), words.number(published.sequences)]
        ours = [solved(one), mean(one), ratio(one, row)]
        lines.append([link(name), row.title, *theirs, *ours])
    heads = ["row", "task", "paper: solved", "sequences", "ours: solved", "mean", "ratio"]
    return table(heads, lines, "llr")
