"""Tables of the paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tools.pages.figures import Entries, seconds_a_trial
from tools.pages.paper.outcomes import RowOutcome, outcomes, total
from tools.pages.ranking import ranked

from carrousel import words
from carrousel.contracts import Experiment
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.beyond.far import FAR_ROWS, LAGS, LENGTHS
from carrousel.experiments.judge.choice import HEADS, Choice
from carrousel.experiments.judge.verdict import Verdict
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.candidates import CANDIDATES, Candidate
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.vary import paths_of
from carrousel.experiments.report.markdown import escaped, table
from carrousel.shapes import Interval

SETTINGS: Mapping[str, str] = {
    "network.inputs_to_outputs": "sources of outputs",
    "network.bias": "biases",
    "network.feedback": "units fed back",
    "network.feedback_into": "targets of feedback",
    "network.init.range": "range of weights",
    "network.init.output_gate_bias": "biases of output gates",
    "network.init.input_gate_weights": "weights of input gates",
    "network.wiring": "wiring",
    "training.derivative_floor": "smallest derivative of an output",
    "training.derivative_offset": "offset of an output's derivative",
    "training.output_derivative": "output error",
    "training.error_tolerance": "errors not learned",
    "training.cells_added_after": "when the cell is added",
    "training.rate": "learning rate",
    "task.targets": "targets",
    "task.informative": "informative elements",
    "task.margin": "values of targets",
}
"""Names of settings for readers of the paper."""
PENDING = "**not run yet**"
"""The mark of a missing figure in the text."""
MEBI = 2**20


def groups(names: Iterable[str]) -> str:
    """List rows; where all rows of an experiment are named, its name stands for them.

    >>> groups(["4-1", "4-2", "4-3", "5-1"])
    '4, 5-1'
    """
    wanted, shown = list(names), []
    for name in wanted:
        start = name.partition("-")[0]
        whole = [each for each in LSTM_ROWS if each.partition("-")[0] == start]
        label = start if set(whole) <= set(wanted) else name
        if label not in shown:
            shown.append(label)
    return ", ".join(shown)


def departures() -> str:
    """Table of all settings of the rows that contradict the print, with their reasons."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, row in LSTM_ROWS.items():
        for each in row.readings:
            if each.departs:
                found.setdefault((each.field, each.chosen, each.why), []).append(name)
    rows = [
        [groups(names), _setting(path), escaped(chosen), escaped(why)]
        for (path, chosen, why), names in found.items()
    ]
    return _widths(table(["rows", "setting", "chosen", "why"], rows, "l"), (7, 18, 24, 80))


def results(found: Sequence[RowOutcome]) -> str:
    """Table of all rows: printed figures, ours, and the verdict."""
    heads = ["row", "departs", "printed: solved", "sequences", "ours: solved", "mean"]
    heads += ["95 % interval", "ratio", "verdict"]
    rows = []
    for one in found:
        published = one.experiment.published
        rows.append(
            [
                one.name,
                str(one.departures or words.ABSENT),
                words.percent(published.success_percent),
                words.number(published.sequences),
                *_ours(one),
                _range(one.mean_ci95),
                ratio(one.ratio),
                one.kind,
            ]
        )
    return table(heads, rows, "lrrrrrrrl")


def principle(found: Sequence[RowOutcome], chosen: Sequence[RowOutcome]) -> str:
    """Table of the rows under the one principle, next to the ratios of the chosen readings."""
    heads = ["row", "solved", "mean", "95 % interval", "ratio", "verdict", "chosen reading: ratio"]
    own = {one.name: one for one in chosen}
    rows = [
        [
            one.name,
            *_ours(one),
            _range(one.mean_ci95),
            ratio(one.ratio),
            one.kind,
            ratio(own[one.name].ratio),
        ]
        for one in found
    ]
    return table(heads, rows, "lrrrrlr")


def candidates(entries: Entries) -> str:
    """Table of the candidate readings of each experiment, from separate trials.

    The reading that the rows have is set in bold.
    """
    heads = ["exp.", "candidate reading", *HEADS[1:-1], "solved", "rule"]
    rows = []
    for experiment, known in CANDIDATES.items():
        order = choice(entries, known)
        figures = {cells[0]: cells[1:-1] for cells in order.cells}
        for place, (name, one) in enumerate(known.items()):
            found = _under(entries, name, one.rows)
            sums = total(found)
            idea = escaped(one.idea)
            rows.append(
                [
                    "" if place else experiment,
                    f"**{idea}**" if in_rows(name, one.rows) else idea,
                    *(figures[name] if sums.judged == sums.rows else [words.ABSENT] * 4),
                    f"{sums.solved} of {sums.trials}" if sums.trials else words.ABSENT,
                    "chosen" if name == order.chosen else "",
                ]
            )
    return _widths(table(heads, rows, "llrrrrrl"), (6, 90, 8, 8, 9, 9, 13, 8))


def choice(entries: Entries, known: Mapping[str, Candidate]) -> Choice:
    """Rank the candidate readings of an experiment by the fixed rule."""

    def judged(row: str, name: str) -> tuple[Experiment, Verdict]:
        [one] = _under(entries, name, [row])
        return one.experiment, one.verdict

    return ranked(known, judged)


def in_rows(name: str, rows: Iterable[str]) -> bool:
    """Whether rows have the settings of a candidate; budgets may differ."""
    return all(
        {**paths_of(by_recipe(EXPERIMENTS[row], name)), "budget": None}
        == {**paths_of(EXPERIMENTS[row]), "budget": None}
        for row in rows
    )


def _under(entries: Entries, name: str, rows: Iterable[str]) -> list[RowOutcome]:
    return outcomes({row: by_recipe(EXPERIMENTS[row], name) for row in rows}, entries)


def far(entries: Entries, memory: Mapping[str, Mapping[str, float]] | None) -> str:
    """Table of lags beyond the paper, for three systems side by side."""
    heads = ["task", "lag", "1997: solved", "mean", "seconds", "MiB"]
    heads += ["forget gates: solved", "mean", "MiB", "simple: solved", "MiB"]
    rows = []
    for task, sizes, lag in (("lag", LAGS, lambda q: q + 1), ("adding", LENGTHS, lambda t: t // 2)):
        for size in sizes:
            own, forget, simple = (f"{task}/{size}{kind}" for kind in ("", "-forget", "-simple"))
            each = seconds_a_trial(entries[own].trials) if own in entries else None
            rows.append(
                [
                    {"lag": "2c, longer", "adding": "adding"}[task],
                    f"{lag(size):,}",
                    *_far(own, entries),
                    words.ABSENT if each is None else f"{each:,.3g}",
                    _kept(memory, own),
                    *_far(forget, entries),
                    _kept(memory, forget),
                    _far(simple, entries)[0],
                    _kept(memory, simple),
                ]
            )
    return table(heads, rows, "lr")


def ratio(value: float | None) -> str:
    """A ratio with two decimals."""
    return words.ABSENT if value is None else f"{value:.2f}"


def _widths(text: str, widths: Sequence[int]) -> str:
    """Set relative widths of columns for Pandoc, which counts the dashes below the headings."""
    head, rule, *rest = text.splitlines()
    cells = [
        cell.strip().replace("--", "-" * width, 1)
        for cell, width in zip(rule.strip("|").split("|"), widths, strict=True)
    ]
    return "\n".join([head, f"| {' | '.join(cells)} |", *rest])


def _setting(path: str) -> str:
    return SETTINGS.get(path, f"`{path}`")


def _ours(one: RowOutcome) -> list[str]:
    solved = f"{one.solved} of {one.trials}" if one.trials else words.ABSENT
    return [solved, words.ABSENT if one.mean is None else words.number(round(one.mean))]


def _range(interval: Interval | None) -> str:
    if interval is None:
        return words.ABSENT
    return " to ".join(words.number(round(end)) for end in interval)


def _far(name: str, entries: Entries) -> list[str]:
    if name not in entries:
        return [words.ABSENT] * 2
    entry = entries[name]
    mean = entry.summary.sequences_mean if entry.complete else None
    asked = max(entry.asked, len(entry.trials), FAR_ROWS[name].published.trials)
    solved = f"{entry.summary.successes} of {len(entry.trials)}"
    if len(entry.trials) < asked:
        solved += " so far"
    return [solved, words.ABSENT if mean is None else words.number(round(mean))]


def _kept(memory: Mapping[str, Mapping[str, float]] | None, name: str) -> str:
    held = (memory or {}).get(name)
    return words.ABSENT if held is None else f"{held['state'] / MEBI:,.2f}"
