"""The page ``docs/rivals.md``, which compares LSTM with its rivals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tools.pages.figures import (
    Entries,
    entries_of,
    published_success,
    seconds_a_trial,
    solved_and_sequences,
)
from tools.pages.render import render

from carrousel import words
from carrousel.contracts import Experiment
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.beyond.gradients import NETS
from carrousel.experiments.report.collect import Report, kernel_notes
from carrousel.experiments.report.markdown import table

SHOWN_LAGS = (1, 10, 20, 100, 1000)
PAPERS_RIVALS = ("1/", "2a/", "2b/")
"""What the names of the paper's rivals start with."""


def rivals_page(report: Report, measured: Mapping[str, Any] | None) -> str:
    """Write the page.

    Args:
        report: of the committed runs.
        measured: results of ``benchmarks/learn/gradients.py``, if there are any.
    """
    entries, names = entries_of(report), list(EXPERIMENTS)
    first = [n for n in names if n.startswith("1/")] + [n for n in names if n.startswith("1-")]
    second = [n for n in names if n.startswith("2a/")] + ["2a"]
    second += [n for n in names if n.startswith("2b/")] + ["2b"]
    guesses = [n for n in names if n.startswith("guess/")]
    return render(
        "rivals.md",
        kernels=kernel_notes({name: entry.kernel for name, entry in entries.items()}),
        table_1=_table_1(entries, first),
        table_2=_table_2(entries, second),
        guessing=_guessing(entries, guesses),
        gradients=_gradients(entries, measured) if measured else None,
        nets=[_speed_of(net, measured["nets"][net]) for net in NETS] if measured else [],
        processor=measured["machine"]["processor"] if measured else None,
    )


def rivals_summary(report: Report) -> str:
    """Table of the paper's rivals for the README: our figures and the printed ones."""
    entries, rows = entries_of(report), []
    for name, row in EXPERIMENTS.items():
        if name.startswith(PAPERS_RIVALS):
            solved, sequences = solved_and_sequences(entries, name)
            printed = published_success(row.published.success_percent)
            rows.append([name, _method(row), solved, printed, sequences, _published_sequences(row)])
    heads = ["row", "method", "solved", "paper", "sequences to success", "paper"]
    return table(heads, rows, "llr")


def _table_1(entries: Entries, names: Sequence[str]) -> str:
    heads = ["row", "method", "weights", "paper", "solved", "paper", "sequences", "paper"]
    heads += ["given up after"]
    rows = []
    for name in names:
        row, paper = EXPERIMENTS[name], EXPERIMENTS[name].published
        solved, sequences = solved_and_sequences(entries, name)
        printed = published_success(paper.success_percent)
        rows.append(
            [
                *(name, _method(row), _weights(entries, row), _published_weights(row)),
                *(solved, printed, sequences, _published_sequences(row)),
                words.number(row.budget),
            ]
        )
    return table(heads, rows, "llr")


def _table_2(entries: Entries, names: Sequence[str]) -> str:
    heads = ["row", "method", "delay", "rate", "weights", "solved", "paper", "sequences", "paper"]
    heads += ["given up after", "seconds a trial", "hours in full"]
    rows = []
    for name in names:
        row, paper = EXPERIMENTS[name], EXPERIMENTS[name].published
        solved, sequences = solved_and_sequences(entries, name)
        each = seconds_a_trial(entries[name].trials) if name in entries else None
        rows.append(
            [
                *(name, _method(row), str(cast(Any, row.task).p), f"{row.training.rate:g}"),
                *(words.number(paper.weights), solved, words.percent(paper.success_percent)),
                *(sequences, _published_sequences(row), words.number(row.budget)),
                words.ABSENT if each is None else f"{each:.0f}",
                words.ABSENT if each is None else f"{each * paper.trials / 3600:.2g}",
            ]
        )
    return table(heads, rows, "llr")


def _guessing(entries: Entries, names: Sequence[str]) -> str:
    rows = []
    for name in names:
        row = EXPERIMENTS[name]
        solved, sequences = solved_and_sequences(entries, name)
        ended = name in entries and entries[name].complete
        guesses = entries[name].summary.measures.get("guesses") if ended else None
        published = words.number(row.published.others.get("guesses"))
        rows.append([name, row.title, solved, words.number(guesses), published, sequences])
    heads = ["row", "problem", "solved", "guesses", "published", "sequences shown"]
    return table(heads, rows, "llr")


def _gradients(entries: Entries, measured: Mapping[str, Any]) -> str:
    lags, rows = list(measured["lags"]), []
    for net in NETS:
        for gradient, found in measured["nets"][net]["rows"].items():
            name = f"adding/{net}-{gradient.replace(':', '-')}"
            rows.append(
                [
                    *(net, gradient),
                    *(_cosines(found, lags, lag) for lag in SHOWN_LAGS),
                    *(words.number(found["bytes"]), f"{found['ns']:.3g}"),
                    *solved_and_sequences(entries, name),
                ]
            )
    heads = ["net", "gradient", *(f"cosine, lag {lag}" for lag in SHOWN_LAGS)]
    heads += ["bytes", "ns", "adding solved", "sequences"]
    return table(heads, rows, "llr")


def _cosines(found: Mapping[str, Any], lags: Sequence[int], lag: int) -> str:
    places = [found[when][lags.index(lag)] for when in ("start", "learned") if when in found]
    return " / ".join(words.ABSENT if c is None else f"{c:.2f}" for c in places)


def _speed_of(net: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the template says about the speed of one net: JAX's time and the share of the peak."""
    others = []
    for name, ns in found["others"].items():  # for example "jax bptt, 64 nets"
        gradient, _, nets = name.removeprefix("jax ").partition(", ")
        ours = found["rows"][gradient]["ns"]
        others.append(
            {
                "mode": "reverse" if gradient == "bptt" else "forward",
                "gradient": gradient,
                "nets": nets,
                "ns": f"{ns:,.0f}",
                "ours": f"{ours:,.0f}",
                "ratio": f"{ns / ours:.1f}",
            }
        )
    share = found["rtrl_gflops"] / found["peak_gflops"]
    return {"name": net, "others": others, "share": f"{share:.0%}"}


def _method(row: Experiment) -> str:
    kinds = {"truncated": "LSTM", "cascade": "RCC", "elman": "Elman", "chunker": "chunker"}
    cell = row.network.cell
    method = kinds.get(row.learner, row.learner.upper())
    if method == "LSTM":
        blocks = getattr(cell, "blocks", 0)
        return f"LSTM, {blocks} x {cell.n_cells // max(blocks, 1)}, rate {row.training.rate:g}"
    units = cell.n_units - (row.network.n_outputs if row.network.united else 0)
    most = "at most " if method == "RCC" else ""
    return f"{method}, {most}{units} hidden"


def _weights(entries: Entries, row: Experiment) -> str:
    """Number of weights; for a net that grows, the mean over the solved trials."""
    if row.learner != "cascade":
        return words.number(row.network.n_weights)
    if row.name not in entries:
        return words.ABSENT
    return words.number(entries[row.name].summary.measures.get("weights"))


def _published_weights(row: Experiment) -> str:
    others = row.published.others
    smallest = others.get("weights of its smallest net")
    if smallest is not None:
        return f"{words.number(smallest)} to {words.number(others['weights of its largest net'])}"
    return words.number(row.published.weights)


def _published_sequences(row: Experiment) -> str:
    never = row.published.others.get("sequences without success")
    if never is not None:
        return f"> {words.number(never)}"
    return words.number(row.published.sequences)
