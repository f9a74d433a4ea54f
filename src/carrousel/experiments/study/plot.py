"""The picture of a study: survival curves of the row, its best variations and its recipes."""

from __future__ import annotations

from collections.abc import Sequence

from carrousel.errors import SettingError
from carrousel.experiments.judge.statistics import survival
from carrousel.experiments.report.survival_plot import MOST_LINES, Line, survival_svg
from carrousel.experiments.study.study import Study, Variation, is_base

LONGEST_LABEL = 60
"""Characters of a label; a legend has no room for more."""
_LOG_FROM = 20.0
"""From which ratio between the slowest and the quickest curve the axis is logarithmic."""


def study_svg(study: Study) -> str:
    """Draw a study, at most :data:`~carrousel.experiments.report.survival_plot.MOST_LINES` curves of it.

    The row as it stands comes first, then the best variations, then recipes.

    Raises:
        SettingError: no trial has ended yet.
        MissingExtraError: matplotlib is not installed.
    """
    row = study.experiment
    if not study.variations:
        raise SettingError(f"no trial of {row.name} has ended yet, so there are no curves to draw")
    shown = drawn(study)
    return survival_svg(
        f"{row.name}: {row.title}",
        [Line(_shortened(one.label), survival(one.counts)) for one in shown],
        paper=row.published.sequences,
        log=_spread(shown) >= _LOG_FROM,
    )


def drawn(study: Study) -> list[Variation]:
    """The variations that are drawn, in the order of their curves.

    Unfinished ones are not, since their quick trials end first; unless there is nothing else.
    """
    recipes = [one for one in study.variations if _is_recipe(one)][: MOST_LINES - 1]
    base = [one for one in study.variations if is_base(one)]
    varied = [one for one in study.variations if not (is_base(one) or _is_recipe(one))]
    finished = [one for one in varied if one.complete]
    others = finished if base or recipes else finished or varied
    return [*base, *others[: MOST_LINES - len(base) - len(recipes)], *recipes]


def _is_recipe(one: Variation) -> bool:
    """Whether a variation has a name of its own instead of a list of changes."""
    return not is_base(one) and "=" not in one.label


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _spread(shown: Sequence[Variation]) -> float:
    """How much longer the slowest took for half of its trials than the quickest."""
    halves = [one.outcome.median or one.outcome.last for one in shown]
    return max(halves) / max(min(halves), 1.0)
