"""The page that sets LSTM beside its rivals: ``docs/rivals.md``, from runs and measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from carrousel import words
from carrousel.contracts import Experiment
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.beyond.gradients import NETS
from carrousel.experiments.report import labels
from carrousel.experiments.report.collect import Entry, Report

SHOWN_LAGS = (1, 10, 20, 100, 1000)

HEAD = """# LSTM and its rivals

Every competitor in the tables of Hochreiter & Schmidhuber (1997), run in one harness, on the same
tasks, under the same stop rules. `tools/pages/__main__.py` writes this page from the committed runs
(`carrousel reproduce 1 2a 2b guess adding --rivals --out docs/runs`) and from what
`benchmarks/learn/gradients.py` measured; no figure is typed in but the paper's. "Solved" counts trials;
means are over solved trials, ± half their 95 % interval; "given up after" is the number of training
sequences after which a trial counts as failed. A dash in "solved" means that the row was not run.
What was chosen where the paper is silent is printed by `carrousel show NAME`, and listed in
[results.md](results.md).

A search of package indexes and public repositories in November 2026 found no installable Recurrent
Cascade-Correlation, no installable Neural Sequence Chunker, and no library with more than one
gradient algorithm for a true LSTM; that none was found does not say that none exists. Derivations:
[truncated gradient](derivations/truncated.md), [BPTT](derivations/bptt.md),
[RTRL, SnAp, UORO](derivations/rtrl.md), [Elman](derivations/elman.md),
[cascade-correlation](derivations/cascade.md), [chunker](derivations/chunker.md),
[guessing](derivations/guessing.md).
"""

TABLE_1 = """
## Table 1: embedded Reber grammar

The rivals' figures are quoted in the paper from other papers, with weights that its authors
estimated. All weights change after each symbol, except in cascade-correlation, which learns by
batch: one batch is 256 strings. "Some" is what the table prints for a fraction it does not know.
"""

TABLE_2 = """
## Table 2: noise-free long lag, and 2b: without local regularities

The paper gives a trial 5,000,000 sequences. With that budget, one trial of RTRL at p = 100 is 505
million steps, each of which computes 101 logistic outputs: the hidden unit's sensitivities and the
weights that one symbol touches are the lesser part. The last two columns say what a trial's share
of a core's time was (up to sixteen run side by side), and what the paper's number of trials takes
at that rate. RTRL and BPTT with p = 100 ran fewer trials than the paper's 18, each with the full
budget. The chunker's rows depart from the printed net in two declared ways, without which it solved
nothing: see `carrousel show 2a/chunker`.
"""

GUESSING = """
## Random weight guessing

Weights are drawn anew until a guess gets 100 sequences in a row right. Figures beside ours are of
Schmidhuber, Hochreiter & Bengio (2001).
"""

GRADIENTS = """
## One task, every gradient

The adding problem with T = 100 (row 4-1), learned by plain gradient descent with one rate for all
gradients of a net: 8 hidden units of memory cells (2 blocks of 2, 93 weights), or 8 tanh units (97
weights). **Cosine** compares, for an error at the end of a sequence, the share of the gradient that
comes from weights used so many steps earlier with that share in the exact gradient: median of 20
random sequences, at the initial weights, and for the net of memory cells also after 150,000
training sequences. 1 is the exact direction, 0 that nothing is left; a dash, that the exact share
itself is zero in double precision. **Bytes** are weights and all that is kept between steps by one
net at T = 105; **ns** is time on one core for each net and step, sixteen nets side by side.
"""


def rivals_page(report: Report, measured: Mapping[str, Any] | None) -> str:
    """The whole page."""
    entries = {entry.experiment.name: entry for entry in report.entries if entry.trials}
    rows = list(EXPERIMENTS)
    first = [n for n in rows if n.startswith("1/")] + [n for n in rows if n.startswith("1-")]
    second = [n for n in rows if n.startswith("2a/")] + ["2a"]
    second += [n for n in rows if n.startswith("2b/")] + ["2b"]
    guesses = [n for n in rows if n.startswith("guess/")]
    parts = [
        HEAD,
        TABLE_1 + "\n" + _table_1(entries, first),
        TABLE_2 + "\n" + _table_2(entries, second),
        GUESSING + "\n" + _guessing(entries, guesses),
        GRADIENTS + "\n" + _gradients(entries, measured),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def rivals_in_short(report: Report) -> str:
    """What each rival solved, beside the paper's figure."""
    entries = {entry.experiment.name: entry for entry in report.entries if entry.trials}
    rows = []
    for name, row in EXPERIMENTS.items():
        if name.startswith(("1/", "2a/", "2b/")):
            solved, sequences = figures(entries, name)
            percent = row.published.success_percent
            theirs = "some" if percent is None else words.percent(percent)
            published = _published_sequences(row)
            rows.append([name, _method(row), solved, theirs, sequences, published])
    heads = ["row", "method", "solved", "paper", "sequences to success", "paper"]
    return table(heads, rows, text_columns=2)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> str:
    """A Markdown table whose first columns hold text and whose others hold figures."""
    rule = [":--" if i < text_columns else "--:" for i in range(len(heads))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def figures(entries: Mapping[str, Entry], name: str) -> tuple[str, str]:
    """Solved trials and mean sequences; of a run that has not ended, no mean.

    The quick trials of such a run have ended first.
    """
    if name not in entries:
        return words.ABSENT, words.ABSENT
    summary = entries[name].summary
    if not entries[name].complete:
        return f"{labels.solved(summary)} so far", words.ABSENT
    return labels.solved(summary), labels.mean_sequences(summary)


def _table_1(entries: Mapping[str, Entry], names: Sequence[str]) -> str:
    heads = ["row", "method", "weights", "paper", "solved", "paper", "sequences", "paper"]
    heads += ["given up after"]
    rows = []
    for name in names:
        row, paper = EXPERIMENTS[name], EXPERIMENTS[name].published
        solved, sequences = figures(entries, name)
        theirs = (
            words.percent(paper.success_percent) if paper.success_percent is not None else "some"
        )
        rows.append(
            [
                *(name, _method(row), _weights(entries, row), _published_weights(row)),
                *(solved, theirs, sequences, _published_sequences(row)),
                words.number(row.budget),
            ]
        )
    return table(heads, rows, text_columns=2)


def _table_2(entries: Mapping[str, Entry], names: Sequence[str]) -> str:
    heads = ["row", "method", "delay", "rate", "weights", "solved", "paper", "sequences", "paper"]
    heads += ["given up after", "seconds a trial", "hours in full"]
    rows = []
    for name in names:
        row, paper = EXPERIMENTS[name], EXPERIMENTS[name].published
        solved, sequences = figures(entries, name)
        each = _seconds(entries, name)
        rows.append(
            [
                *(name, _method(row), str(row.task.p), f"{row.training.rate:g}"),
                *(words.number(paper.weights), solved, words.percent(paper.success_percent)),
                *(sequences, _published_sequences(row), words.number(row.budget)),
                words.ABSENT if each is None else f"{each:.0f}",
                words.ABSENT if each is None else f"{each * paper.trials / 3600:.2g}",
            ]
        )
    return table(heads, rows, text_columns=2)


def _guessing(entries: Mapping[str, Entry], names: Sequence[str]) -> str:
    rows = []
    for name in names:
        row = EXPERIMENTS[name]
        solved, sequences = figures(entries, name)
        ended = name in entries and entries[name].complete
        guesses = entries[name].summary.measures.get("guesses") if ended else None
        published = words.number(row.published.others.get("guesses"))
        rows.append([name, row.title, solved, words.number(guesses), published, sequences])
    heads = ["row", "problem", "solved", "guesses", "published", "sequences shown"]
    return table(heads, rows, text_columns=2)


def _gradients(entries: Mapping[str, Entry], measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return (
            "Not measured yet: `python -m benchmarks.learn.gradients --save docs/gradients.json`.\n"
        )
    lags, rows = list(measured["lags"]), []
    for net in NETS:
        for gradient, found in measured["nets"][net]["rows"].items():
            solved, sequences = figures(entries, f"adding/{net}-{gradient.replace(':', '-')}")
            rows.append(
                [
                    *(net, gradient),
                    *(_cosines(found, lags, lag) for lag in SHOWN_LAGS),
                    *(words.number(found["bytes"]), f"{found['ns']:.3g}", solved, sequences),
                ]
            )
    heads = ["net", "gradient", *(f"cosine, lag {lag}" for lag in SHOWN_LAGS)]
    heads += ["bytes", "ns", "adding solved", "sequences"]
    notes = [_beside(net, measured["nets"][net]) for net in NETS]
    note = "In a cell with two cosines the second is after learning."
    return "\n\n".join([table(heads, rows, text_columns=2), note, *notes, _machine(measured)])


def _cosines(found: Mapping[str, Any], lags: Sequence[int], lag: int) -> str:
    places = [found[when][lags.index(lag)] for when in ("start", "learned") if when in found]
    return " / ".join(words.ABSENT if c is None else f"{c:.2f}" for c in places)


def _beside(net: str, found: Mapping[str, Any]) -> str:
    rates = found["rtrl_gflops"] / found["peak_gflops"]
    parts = []
    for name, ns in found["others"].items():
        gradient = name.removeprefix("jax ").partition(",")[0]
        ours = found["rows"][gradient]["ns"]
        mode = "reverse" if gradient == "bptt" else "forward"
        parts.append(
            f"{mode}-mode JAX ({name.partition(', ')[2]}, the best number tried) takes {ns:,.0f} "
            f"ns where `{gradient}` takes {ours:,.0f} ({ns / ours:.1f} times)"
        )
    others = "; ".join(parts) if parts else "JAX was not installed"
    return (
        f"Net `{net}`: {others}. Exact `rtrl` runs at {rates:.0%} of the rate of a float32 matrix "
        "product on the same core, counting the products with recurrent weights alone."
    )


def _machine(measured: Mapping[str, Any]) -> str:
    return f"{measured['machine']['processor']}, one core, time on the core."


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


def _weights(entries: Mapping[str, Entry], row: Experiment) -> str:
    """Of a net that grows, the mean of those that solved the task."""
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


def _seconds(entries: Mapping[str, Entry], name: str) -> float | None:
    """Seconds of a worker's time for one trial."""
    if name not in entries:
        return None
    trials = entries[name].trials
    return sum(trial.seconds for trial in trials) / len(trials)
