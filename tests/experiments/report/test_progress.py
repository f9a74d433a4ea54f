"""Progress bars: they fit the terminal for any length and number of names."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from carrousel.experiments.report.progress import ProgressBars, shown_names
from support.case import each
from support.experiments import fakes

LETTERS, SIGNS = "abcdefghijklmnopqrstuvwxyz", "[]0123456789.,-"
PATHS = st.builds(
    lambda first, others: ".".join([first, *others]),
    st.text(LETTERS, min_size=1, max_size=6),
    st.lists(st.text(f"{LETTERS}_", min_size=1, max_size=9), max_size=2),
)
WORDS = st.builds("{}={}".format, PATHS, st.text(SIGNS, min_size=1, max_size=9))
NAMES = st.lists(
    st.lists(WORDS, max_size=4).map(lambda words: " ".join(["4-1", *words])),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(NAMES, st.integers(6, 120))
def test_shown_names_fit_and_begin_with_the_row(names, room):
    shown = shown_names(names, room)
    assert list(shown) == names
    assert all(len(each) <= room for each in shown.values())
    assert all(each.startswith("4-1") for each in shown.values())


@given(NAMES)
def test_with_room_every_setting_is_shown_with_its_value(names):
    for name, shown in shown_names(names, 1000).items():
        for word, short in zip(name.split(" "), shown.split(" "), strict=True):
            assert word == short or word.endswith(f".{short}")
            assert word.partition("=")[2] == short.partition("=")[2]


def last_screen(names: list[str], *, width: int = 80, height: int = 20) -> list[str]:
    """Lines of the terminal after all experiments have ended."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    with ProgressBars(console, names) as bars:
        for name in names:
            bars.begin(replace(fakes.experiment(), name=name), trials=10, ended=0)
            bars.update(trials_done=10, sequences=740_000, seconds=100.0)
    plain = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", file.getvalue())
    return [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()][-height:]


@each("width", [60, 80, 140])
def test_figures_are_never_cut(width: int):
    names = ["4-1", "4-1 network.init.output_gate_bias=[-1,-2] training.rate=0.25"]
    lines = last_screen(names, width=width)[-2:]
    for line in lines:
        assert "10/10 trials" in line
        assert line.endswith("1 min 40 s")
        assert len(line) <= width
    assert all(("seq/s" in line) is (width == 140) for line in lines)


def test_the_running_bar_stays_on_the_screen():
    names = [f"4-{n}" for n in range(30)]
    lines = last_screen(names, height=10)
    assert lines[-1].startswith("4-29 ")
    assert not any(line.startswith("4-2 ") for line in lines[-8:])
