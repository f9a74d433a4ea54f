"""Tables of candidate readings and their ranking, from the store."""

from __future__ import annotations

from collections.abc import Mapping

from tools.pages.ranking import ranked

from carrousel import words
from carrousel.contracts import Experiment
from carrousel.experiments.judge.choice import HEADS
from carrousel.experiments.judge.verdict import Verdict, verdict
from carrousel.experiments.recipes.candidates import CANDIDATES, Candidate
from carrousel.experiments.recipes.catalogue import EVERYTHING, by_recipe
from carrousel.experiments.report.markdown import escaped, table
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.study.study import Study, Variation

Studies = Mapping[str, Study]


def recipe_in(study: Study, recipe: str) -> Variation | None:
    """Return the trials of a row under the current version of a recipe, if there are any."""
    name = f"{study.experiment.name} {recipe}"
    if name not in EVERYTHING:
        return None
    mark = fingerprint(by_recipe(study.experiment, recipe))
    return next((one for one in study.variations if one.fingerprint == mark), None)


def solved(one: Variation | None) -> str:
    """Format the solved trials of a variation; an unfinished run is marked."""
    if one is None:
        return words.ABSENT
    so_far = "" if one.complete else " so far"
    return f"{one.outcome.solved} of {one.outcome.trials}{so_far}"


def ratio(one: Variation | None, row: Experiment) -> str:
    """Format our mean number of sequences divided by the printed one."""
    printed = row.published.sequences
    mean = one.outcome.mean if one else None
    return f"{mean / printed:.2f}" if mean and printed else words.ABSENT


def mean(one: Variation | None) -> str:
    """Format the mean number of sequences of solved trials."""
    found = one.outcome.mean if one else None
    return words.number(None if found is None else round(found))


def candidate_sections(start: str, studies: Studies) -> list[str]:
    """Write tables of the candidates of each experiment whose rows' names begin so.

    A cell of the first has the solved trials, the mean number of sequences, and its ratio to the
    printed one. The second has the ranking; it is left out if there are no trials.
    """
    return [
        "\n\n".join(filter(None, [_candidates(candidates, studies), ranking(candidates, studies)]))
        for candidates in CANDIDATES.values()
        if all(row.startswith(start) for row in candidates["printed"].rows)
    ]


def ranking(candidates: Mapping[str, Candidate], studies: Studies) -> str:
    """Write the table of candidates by the rule of :mod:`carrousel.experiments.judge.choice`."""
    if all(
        recipe_in(studies[row], name) is None
        for name, one in candidates.items()
        for row in one.rows
    ):
        return ""

    def judged(row: str, name: str) -> tuple[Experiment, Verdict]:
        found = recipe_in(studies[row], name)
        experiment = by_recipe(studies[row].experiment, name)
        trials, asked = (found.trials, found.asked) if found else ((), 0)
        return experiment, verdict(experiment, trials, asked=asked)

    cells = [[f"`{name}`", *rest] for name, *rest in ranked(candidates, judged).cells]
    return table(HEADS, cells, "lrrrrl")


def _candidates(candidates: Mapping[str, Candidate], studies: Studies) -> str:
    rows = candidates["printed"].rows
    lines = [["the paper", "", "", *(words.number(_printed(studies, row)) for row in rows)]]
    for name, one in candidates.items():
        departs = "<br>".join(f"`{path}`" for path in one.departs) or words.ABSENT
        cells = [_cell(studies[row], name) for row in rows]
        lines.append([f"`{name}`", escaped(one.idea), departs, *cells])
    return table(["candidate", "idea", "departs in", *rows], lines, "lllr")


def _printed(studies: Studies, row: str) -> float | None:
    return studies[row].experiment.published.sequences


def _cell(study: Study, name: str) -> str:
    one = recipe_in(study, name)
    if one is None:
        return words.ABSENT
    return "<br>".join([solved(one), mean(one), ratio(one, study.experiment)])
