"""Plot of a study: survival curves of the row, its best variations and its recipes."""

from __future__ import annotations

from collections.abc import Sequence

from carrousel.errors import SettingError
from carrousel.experiments.judge.statistics import survival
from carrousel.experiments.study.study import Study, Variation, is_base
from carrousel.experiments.study.survival_plot import MOST_LINES, SurvivalLine, survival_svg

LONGEST_LABEL = 60
"""Maximum number of characters of a label in the legend."""
_LOG_FROM = 20.0
"""Ratio of the slowest to the fastest curve from which the axis is logarithmic."""


def study_svg(study: Study) -> str:
    """Draw survival curves of a study as SVG.

    At most :data:`~carrousel.experiments.study.survival_plot.MOST_LINES` curves are drawn: the
    unchanged row first, then the best variations, then recipes.

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
        [SurvivalLine(_shortened(one.label), survival(one.counts)) for one in shown],
        paper=row.published.sequences,
        log=_spread(shown) >= _LOG_FROM,
    )


def drawn(study: Study) -> list[Variation]:
    """Return the variations to draw, in the order of their curves.

    Unfinished variations are omitted if there are others: quick trials end first, so their curves
    would look too good.
    """
    recipes = [one for one in study.variations if _is_recipe(one)][: MOST_LINES - 1]
    base = [one for one in study.variations if is_base(one)]
    varied = [one for one in study.variations if not (is_base(one) or _is_recipe(one))]
    finished = [one for one in varied if one.complete]
    others = finished if base or recipes else finished or varied
    return [*base, *others[: MOST_LINES - len(base) - len(recipes)], *recipes]


def _is_recipe(one: Variation) -> bool:
    """Whether a variation is a named recipe instead of a list of changes."""
    return not is_base(one) and "=" not in one.label


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _spread(shown: Sequence[Variation]) -> float:
    """Ratio of the largest to the smallest median."""
    halves = [one.outcome.median or one.outcome.last for one in shown]
    return max(halves) / max(min(halves), 1.0)
