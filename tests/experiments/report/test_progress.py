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


def screen(names: list[str], ended: int, *, width: int = 80, height: int = 20) -> list[str]:
    """Lines of the terminal after some of the experiments have ended, one after the other."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    with ProgressBars(console, names) as bars:
        for name in names:
            bars.add(replace(fakes.experiment(), name=name), trials=10, ended=0)
        for number, name in enumerate(names):
            done = 10 if number < ended else 0
            bars.update(
                name, trials_done=done, running=10 - done, sequences=74_000 * done, seconds=100.0
            )
            bars.show(seconds=100.0, lanes_busy=0.62)
    plain = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", file.getvalue())
    return [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()][-height:]


@each("width", [60, 80, 140])
def test_figures_are_never_cut(width: int):
    names = ["4-1", "4-1 network.init.output_gate_bias=[-1,-2] training.rate=0.25"]
    *lines, last = screen(names, 2, width=width)[-3:]
    for line in lines:
        assert "10/10 trials" in line
        assert line.endswith("1 min 40 s")
        assert len(line) <= width
    assert all(("seq/s" in line) is (width == 140) for line in lines)
    assert last.startswith("all ")
    assert "20/20 trials" in last
    assert ("lanes 62 % busy" in last) is (width == 140)


def test_running_bars_and_that_of_all_stay_on_the_screen():
    names = [f"4-{n}" for n in range(30)]
    lines = screen(names, ended=28, height=10)
    assert lines[-1].startswith("all ")
    assert "280/300 trials" in lines[-1]
    assert [line.split()[0] for line in lines[-3:-1]] == ["4-28", "4-29"]
    assert not any(line.startswith("4-2 ") for line in lines[-8:])


def test_without_a_terminal_there_are_lines_of_what_ended_and_of_what_runs():
    file = io.StringIO()
    with ProgressBars(Console(file=file, width=200, force_terminal=False)) as bars:
        for name in ("4-1", "4-2", "4-3"):
            bars.add(replace(fakes.experiment(), name=name), trials=10, ended=0)
        bars.show(seconds=0.0, lanes_busy=None)
        for seconds in (1.0, 31.0, 32.0, 62.0):
            bars.update("4-1", trials_done=10, running=0, sequences=740_000, seconds=1.0)
            bars.update("4-2", trials_done=5, running=5, sequences=370_000, seconds=seconds)
            bars.show(seconds=seconds, lanes_busy=0.5)
    assert file.getvalue().splitlines() == [
        "4-1: 10 of 10 trials ended after 1.0 s",
        "15 of 30 trials ended after 31 s, 31 s left; running: 4-2 (5 of 10)",
        "15 of 30 trials ended after 1 min 02 s, 1 min 02 s left; running: 4-2 (5 of 10)",
    ]
