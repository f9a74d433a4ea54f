"""The grammar of sets of units."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.contracts import GROUPS, UNIT_SETS, Group, parse_units
from carrousel.contracts.units import HIDDEN, spelled
from carrousel.errors import CarrouselError, SettingError, UnknownNameError
from support.case import each

SUBSETS: list[tuple[Group, ...]] = [
    tuple(group for group, there in zip(GROUPS, chosen, strict=True) if there)
    for chosen in itertools.product((True, False), repeat=len(GROUPS))
]


def test_every_set_has_one_spelling():
    assert len({spelled(groups) for groups in SUBSETS}) == 2 ** len(GROUPS)
    for groups in SUBSETS:
        assert parse_units("bias", spelled(groups)) == groups


def test_names_are_sets():
    assert {name: parse_units("bias", name) for name in UNIT_SETS} == dict(UNIT_SETS)


@given(st.lists(st.sampled_from([*UNIT_SETS, *GROUPS]), min_size=1, max_size=6))
def test_another_spelling_is_refused_with_the_right_one(terms):
    text = "+".join(terms)
    wanted = {group for term in terms for group in UNIT_SETS.get(term, (term,))}
    one = spelled(tuple(group for group in GROUPS if group in wanted))
    if text == one:
        assert set(parse_units("bias", text)) == wanted
    else:
        with pytest.raises(SettingError) as caught:
            parse_units("bias", text)
        assert caught.value.fix == f"write {one!r}"


@each("text", ["", "+", "gates+", "gates outputs", "Gates", "gates,outputs", 1, None, ("gates",)])
def test_unknown_names(text):
    with pytest.raises(UnknownNameError, match="bias "):
        parse_units("bias", text)


def test_groups_may_be_excluded():
    assert parse_units("feedback", "hidden", HIDDEN) == HIDDEN
    for text in ("all", "outputs", "gates+outputs"):
        with pytest.raises(CarrouselError, match=r"feedback '(all|outputs)' is unknown"):
            parse_units("feedback", text, HIDDEN)
