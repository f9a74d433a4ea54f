"""Descriptions of experiments: a list of all, and one in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from carrousel import words
from carrousel.contracts import Experiment
from carrousel.experiments.judge.summary import published_as_json
from carrousel.experiments.report import labels
from carrousel.experiments.store.settings import fingerprint, settings_of


def facts(experiment: Experiment) -> list[tuple[str, str]]:
    """Return labels and values of all settings of an experiment."""
    written = settings_of(experiment)
    network = dict(written["network"])
    init = network.pop("init", None)
    parts = [("task", written["task"])]
    for name, value in (
        ("network", network),
        ("initial weights", init),
        ("training", written["training"]),
    ):
        parts.append((name, {**value, "kind": ""} if isinstance(value, dict) else value))
    rest = {
        name: value
        for name, value in written.items()
        if name not in ("name", "task", "network", "learner", "training", "stop", "budget")
    }
    return [
        ("solved when", experiment.stop.describe),
        ("budget", f"{words.number(experiment.budget)} training sequences"),
        ("learner", experiment.learner),
        ("weights", f"{words.number(experiment.network.n_weights)} ({_layout(experiment)})"),
        *((name, in_words(value)) for name, value in parts if value),
        *((labels.label(name), in_words(value)) for name, value in rest.items()),
    ]


def in_words(value: Any) -> str:
    """Return settings as one line: ``Training: rate 0.5, update sequence``.

    >>> in_words({"kind": "Cell", "blocks": 2, "output_gate": True, "bias": []})
    'Cell: blocks 2, output gate yes, bias none'
    >>> in_words([-3, -3, -3, -3])
    '4 times -3'
    """
    if isinstance(value, Mapping):
        inside = [
            f"{name.removeprefix('n_').replace('_', ' ')} {_nested(each)}"
            for name, each in value.items()
            if name != "kind"
        ]
        kind = str(value.get("kind", ""))
        joined = ", ".join(inside)
        return f"{kind}: {joined}" if kind and joined else kind or joined
    if isinstance(value, list):
        if len(value) > 3 and all(each == value[0] for each in value):
            return f"{len(value)} times {in_words(value[0])}"
        return ", ".join(in_words(each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _nested(value: Any) -> str:
    return f"({in_words(value)})" if isinstance(value, Mapping) or _many(value) else in_words(value)


def _many(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1


def _layout(experiment: Experiment) -> str:
    """The parts of the weight vector: ``hidden_inputs 8 x 2, hidden_bias 8``."""
    return ", ".join(
        f"{name} {' x '.join(map(str, part.shape))}"
        for name, part in experiment.network.layout.items()
    )


def show(experiment: Experiment) -> RenderableType:
    """Return a full description of an experiment for the terminal."""
    published = experiment.published
    theirs = [
        ("where", published.table),
        ("trials", words.number(published.trials)),
        ("solved", words.percent(published.success_percent)),
        ("sequences", words.number(published.sequences)),
        ("weights", words.number(published.weights)),
        *((labels.label(name), words.number(value)) for name, value in published.others.items()),
    ]
    parts: list[RenderableType] = [
        Text.assemble((experiment.name, "bold"), "  ", experiment.title),
        *(Text(), _pairs(facts(experiment))),
        *(Text(), Text("In the paper", style="bold"), _pairs(theirs)),
    ]
    if experiment.readings:
        parts += [Text(), Text("Where the paper leaves a choice", style="bold")]
        for each in experiment.readings:
            parts.append(Text(labels.choice(each)))
            parts.append(Padding(Text(each.why, style="dim"), (0, 0, 0, 4)))
    name, _, recipe = experiment.name.partition(" ")
    run = f"carrousel reproduce {name}{f' --recipe {recipe}' if recipe else ''}"
    return Group(*parts, Text(), Text.assemble(("Run it: ", "dim"), run))


def _pairs(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def show_as_json(experiment: Experiment) -> dict[str, Any]:
    """Return a full description of an experiment as plain values."""
    network = experiment.network
    return {
        **list_as_json(experiment),
        "stop": experiment.stop.describe,
        "budget": experiment.budget,
        "layout": {
            name: {"start": part.start, "shape": list(part.shape)}
            for name, part in network.layout.items()
        },
        "readings": [
            {
                "field": each.field,
                "chosen": each.chosen,
                "why": each.why,
                "departs": each.departs,
            }
            for each in experiment.readings
        ],
        "settings": settings_of(experiment),
        "fingerprint": fingerprint(experiment),
    }


def list_as_json(experiment: Experiment) -> dict[str, Any]:
    """Return the list's description of an experiment as plain values."""
    return {
        "name": experiment.name,
        "task": experiment.title,
        "learner": experiment.learner,
        "weights": experiment.network.n_weights,
        "trials": experiment.published.trials,
        "published": published_as_json(experiment.published),
    }


def table_of(experiments: Iterable[Experiment]) -> RenderableType:
    """Return a table of experiments with the paper's figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("task", ratio=1)
    table.add_column("learner", no_wrap=True)
    for head in ("weights", "solved", "sequences"):
        table.add_column(head, justify="right", no_wrap=True)
    for each in experiments:
        published = each.published
        table.add_row(
            *(Text(each.name), Text(each.title), Text(each.learner)),
            words.number(each.network.n_weights),
            *(words.percent(published.success_percent), words.number(published.sequences)),
        )
    note = "Solved: share of trials in the paper. Sequences: the paper's mean of solved trials."
    return Group(table, Text(), Text(note, style="dim"))


def table_of_recipes(recipes: Iterable[tuple[str, str, str]]) -> RenderableType:
    """Return a table of recipes: name, experiments, and idea."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in ("recipe", "experiments"):
        table.add_column(head, no_wrap=True)
    table.add_column("what it changes", ratio=1)
    for each in recipes:
        table.add_row(*map(Text, each))
    return table
