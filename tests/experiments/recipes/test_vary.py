"""Variations: rules for names, settings and errors that hold for all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from math import prod
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Experiment, Init, Network, Reading, Training
from carrousel.errors import SettingError, UnknownNameError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.vary import (
    full_path,
    grid,
    label_of,
    levels_from,
    paths_of,
    renamed,
    varied,
)
from carrousel.experiments.store.settings import canonical, describe, fingerprint, settings_of
from carrousel.tasks import Adding
from support.case import each

ROW = replace(
    EXPERIMENTS["4-1"],
    task=Adding(length=100),
    network=Network(2, 1, Cell(2, 2), bias="all", init=Init(0.1, input_gate_bias=(-3.0, -6.0))),
    training=Training(rate=0.5, update="sequence"),
    stop=replace(EXPERIMENTS["4-1"].stop, mean_below=0.01),  # pyright: ignore
    budget=740_000,
)
"""A row that does not change if the readings of the real one do."""
LEVELS: dict[str, list[Any]] = {
    "training.rate": [0.1, 0.25, 0.5, 1, 2.5],
    "training.update": ["step", "sequence"],
    "training.output_derivative": [True, False],
    "training.error_tolerance": [0, 0.3],
    "training.factors.recurrent": [1, 0.1, 0],
    "network.bias": ["all", "gates+outputs", "gates"],
    "network.feedback_into": [None, "gates", "input_gates+cells"],
    "network.inputs_to_outputs": [None, True, False],
    "network.cell.h": ["[-1,1]", "[-2,2]", "identity"],
    "network.init.range": [0.1, 0.2, 1],
    "network.init.input_gate_bias": [[], [-3, -6], [-1.5, 2]],
    "stop.mean_below": [0.01, 0.02],
    "task.length": [50, 100],
    "budget": [1000, 740_000],
}
"""Values that are allowed in every combination, including those of the row."""


def changes(*paths: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={path: st.sampled_from(LEVELS[path]) for path in paths}
    )


def same(one: Experiment, other: Experiment) -> None:
    assert one.name == other.name
    assert settings_of(one) == settings_of(other)
    assert set(one.readings) == set(other.readings)


# --- settings and names --------------------------------------------------------------------------


@given(changes(*list(LEVELS)[::2]), changes(*list(LEVELS)[1::2]))
def test_two_variations_in_a_row_equal_one_with_both_changes(first, second):
    once = varied(ROW, {**first, **second})
    same(varied(varied(ROW, first), second), once)
    same(varied(varied(ROW, second), first), once)


@given(changes(*LEVELS))
def test_a_variation_has_the_given_values_and_no_others(given_values):
    before, after = paths_of(ROW), paths_of(varied(ROW, given_values))
    wanted = {**before, **given_values}
    assert canonical(describe(after)) == canonical(describe(wanted))


@given(changes(*LEVELS))
def test_readings_list_the_varied_settings(given_values):
    found = varied(ROW, given_values)
    listed = {one.field: one.chosen for one in found.readings if "study" in one.why}
    now, own = paths_of(found), paths_of(ROW)
    assert set(listed) == {path for path in own if now[path] != own[path]}
    assert len({one.field for one in found.readings}) == len(found.readings)


def test_values_of_the_row_are_not_a_change():
    for row in EXPERIMENTS.values():
        own = paths_of(row)
        assert varied(row, own) is row
        assert varied(row, {path: json.loads(canonical(describe(own[path]))) for path in own}) is (
            row
        )
    assert varied(ROW, {"rate": 0.50, "budget": 7.4e5}) is ROW


@given(changes(*LEVELS), changes(*LEVELS))
def test_names_and_fingerprints_differ_exactly_if_settings_do(first, second):
    one, other = varied(ROW, first), varied(ROW, second)
    alike = canonical(describe(paths_of(one))) == canonical(describe(paths_of(other)))
    assert (one.name == other.name) is alike
    assert (fingerprint(one) == fingerprint(other)) is alike


@given(changes(*LEVELS))
def test_a_name_can_be_parsed(given_values):
    found = varied(ROW, given_values)
    row, *words = found.name.split(" ")
    read = [levels_from(word) for word in words]
    assert [path for path, _ in read] == sorted(path for path, _ in read)
    assert all(len(values) == 1 for _, values in read)
    assert row == ROW.name
    same(varied(ROW, {path: value for path, [value] in read}), found)


def test_names_consist_of_the_row_and_compact_json():
    name = varied(ROW, {"init.input_gate_bias": [-1, -2.5], "update": "step", "rate": 0.20}).name
    assert name == (
        "4-1 network.init.input_gate_bias=[-1,-2.5] training.rate=0.2 training.update=step"
    )
    recipe = renamed(ROW, {"training.rate": 0.3}, "4-1 robust", "why")
    assert varied(recipe, {"budget": 500}).name == "4-1 robust budget=500"
    assert label_of({"training.rate": 1.0, "network.bias": None}) == (
        "network.bias=null training.rate=1"
    )


def test_a_replaced_part_replaces_the_readings_of_its_settings():
    read = tuple(Reading(f, "so", "because") for f in ("training.rate", "trainings", "budget"))
    found = renamed(replace(ROW, readings=read), {"training": ROW.training}, "4-1 new", "better")
    assert [one.field for one in found.readings] == ["trainings", "budget", "training"]


# --- grids ---------------------------------------------------------------------------------------


@given(
    st.dictionaries(st.sampled_from(list(LEVELS)), st.nothing(), max_size=0)
    | st.lists(st.sampled_from(list(LEVELS)), unique=True, min_size=1, max_size=3).flatmap(
        lambda paths: st.fixed_dictionaries(
            {
                path: st.lists(st.sampled_from(LEVELS[path]), min_size=1, max_size=4)
                for path in paths
            }
        )
    )
)
@settings(max_examples=50)
def test_a_grid_has_every_combination_once(levels):
    points = grid(ROW, levels)
    distinct = {path: {canonical(describe(v)) for v in values} for path, values in levels.items()}
    assert len(points) == prod(map(len, distinct.values()))
    assert len({point.name for point in points}) == len(points)
    assert len({fingerprint(point) for point in points}) == len(points)
    for path, values in distinct.items():
        assert {canonical(describe(paths_of(point)[path])) for point in points} == values


# --- parsing -------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3),
    max_leaves=5,
)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_json_values_are_read_back(values):
    text = ",".join(json.dumps(value, ensure_ascii=False) for value in values)
    assert levels_from(f" training.rate = {text}") == ("training.rate", values)


@given(st.lists(st.from_regex(r"[a-z:0-9]*[a-z][a-z:0-9]*", fullmatch=True), min_size=1))
def test_words_need_no_quotes(words):
    assume(not {"null", "true", "false"} & set(words))
    assume(not any(word.replace("e", "").isdecimal() for word in words))  # 1e5 is a number
    assert levels_from(f"update={','.join(words)}") == ("update", words)


@each("text", ["", "rate", "rate=", "=1", "rate=1,", "rate=,1", " =1", "a=1,,2"])
def test_text_that_cannot_be_parsed_is_an_error(text):
    with pytest.raises(SettingError, match=r"expected FIELD=value,value.*rate=0\.1,0\.5"):
        levels_from(text)


def test_values_are_converted_to_the_type_of_the_setting():
    assert varied(ROW, {"h": [-2, 2]}).network == varied(ROW, {"h": "[-2,2]"}).network
    assert varied(ROW, {"budget": 1e5}).budget == 100_000
    assert type(varied(ROW, {"budget": 1e5}).budget) is int


# --- names ---------------------------------------------------------------------------------------


@each("row", EXPERIMENTS.values())
def test_a_setting_is_named_by_its_path_or_a_unique_end_of_it(row):
    paths = list(paths_of(row))
    assert len(paths) > 10
    for path in paths:
        assert full_path(row, path) == path
        parts = path.split(".")
        for start in range(1, len(parts)):
            end = ".".join(parts[start:])
            if end in paths:
                continue
            meant = [other for other in paths if other.endswith(f".{end}")]
            if meant == [path]:
                assert full_path(row, end) == path
            else:
                with pytest.raises(SettingError) as caught:
                    full_path(row, end)
                assert all(other in str(caught.value) for other in meant)


def test_descriptions_of_a_row_are_not_settings():
    assert not {"name", "title", "published", "readings"} & set(paths_of(ROW))


@each(
    "wrong, meant",
    [
        ("rat", "'rate'"),
        ("training.rte", "'training.rate'"),
        ("trainin.rate", "'training.rate'"),
        ("init.rnge", "'network.init.range'"),
        ("update_", "'update'"),
        ("bugdet", "'budget'"),
    ],
)
def test_an_error_about_a_wrong_name_proposes_the_nearest(wrong, meant):
    with pytest.raises(UnknownNameError, match=rf"4-1 has no setting '{wrong}'; did you mean") as e:
        varied(ROW, {wrong: 1})
    assert meant in str(e.value)
    near = str(e.value).partition("did you mean ")[2].rstrip("?").split(" or ")
    assert len(set(near)) == len(near)


def test_an_error_about_an_ambiguous_end_lists_the_paths():
    row = EXPERIMENTS["1/rcc"]
    with pytest.raises(SettingError, match=r"ambiguous.*training\.candidates\.mu") as caught:
        varied(row, {"mu": 1.5})
    assert "training.outputs.mu" in str(caught.value)
    assert varied(row, {"outputs.mu": 1.5}).name == "1/rcc training.outputs.mu=1.5"


# --- wrong values --------------------------------------------------------------------------------

WEIRD: list[Any] = [
    *(None, True, False, 0, -1, 7, 2**70, 0.5, -2.0, float("nan"), float("inf")),
    *("x", "", "5", [], [1], [1, 2], ["a"], [[1]], [[1, 2, 3]], {"a": 1}, "[-2,2]", [-2, 2]),
]


def kinds_of_rows() -> list[Experiment]:
    """One row for each combination of kinds of descriptions."""
    rows = {
        tuple(
            type(part).__name__
            for part in (row.task, row.network, row.network.cell, row.training, row.stop)
        ): row
        for row in EXPERIMENTS.values()
    }
    return list(rows.values())


@each("row", kinds_of_rows())
def test_a_value_is_accepted_or_refused_with_the_name_of_its_setting(row):
    for path in paths_of(row):
        for value in WEIRD:
            found, message = attempt(row, path, value)
            if found is None:
                assert path in message
                assert "\n" not in message
            else:
                assert found is row or found.name.startswith(f"{row.name} {path}=")
                hash(found.network)


def attempt(row: Experiment, path: str, value: object) -> tuple[Experiment | None, str]:
    try:
        return varied(row, {path: value}), ""
    except (SettingError, UnknownNameError) as error:  # any other is a failure
        return None, str(error)


@each(
    "change, message",
    [
        ({"rate": -1}, "4-1 with training.rate=-1: rate is -1, expected a finite number"),
        ({"rate": "fast"}, "rate is 'fast', expected a finite number"),
        ({"update": "stp"}, "update 'stp' is unknown; did you mean 'step'?"),
        ({"output_derivative": "no"}, "training.output_derivative is 'no', expected true or false"),
        ({"output_derivative": 0}, "training.output_derivative is 0, expected true or false"),
        ({"input_gate_bias": -1}, "network.init.input_gate_bias is -1, expected a list"),
        ({"input_gate_bias": [-1]}, "1 values, expected one for each of 2 blocks"),
        ({"blocks": 3}, "4-1 with network.cell.blocks=3: input_gate_bias has 2 values"),
        ({"budget": 1.5}, "budget is 1.5, expected a whole number"),
        ({"budget": 0}, "budget is 0, expected a whole number"),
        ({"h": [0, 5]}, "h '[0,5]' is unknown; did you mean '[0,1]'"),
        ({"length": 3}, "length is 3, expected a whole number"),
    ],
)
def test_errors_about_values_say_what_is_expected(change, message):
    with pytest.raises((SettingError, UnknownNameError)) as caught:
        varied(ROW, change)
    assert message in str(caught.value)


def test_errors_have_fields():
    with pytest.raises(SettingError) as caught:
        varied(ROW, {"rate": -1})
    error = caught.value
    assert (error.argument, error.got, error.source) == ("rate", -1, "4-1 with training.rate=-1")
    assert error.text(place=False) == "rate is -1, expected a finite number of at least 0.0"
    with pytest.raises(UnknownNameError) as caught_name:
        varied(ROW, {"rat": 1})
    assert (caught_name.value.got, caught_name.value.fix is None) == ("rat", False)


def test_values_may_be_allowed_only_together():
    with pytest.raises(SettingError):
        varied(ROW, {"blocks": 3})
    found = varied(ROW, {"blocks": 3, "input_gate_bias": [-1, -2, -3]})
    assert found.network.cell.n_cells == 6
