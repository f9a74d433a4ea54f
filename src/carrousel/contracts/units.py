"""Sets of units, and how settings spell them: ``input_gates+outputs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from carrousel.checks import check_choice
from carrousel.errors import SettingError

Group = Literal["input_gates", "forget_gates", "cells", "output_gates", "outputs"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""Groups of units in the order of a network's units; simple units count as cells."""

HIDDEN: tuple[Group, ...] = GROUPS[:-1]
GATES: tuple[Group, ...] = ("input_gates", "forget_gates", "output_gates")

UNIT_SETS: Mapping[str, tuple[Group, ...]] = {
    "none": (),
    "gates": GATES,
    "hidden": HIDDEN,
    "all": GROUPS,
}
"""Names of sets of several groups, or of none; a set without gates of some kind omits them."""


def parse_units(
    argument: str, text: object, among: tuple[Group, ...] = GROUPS
) -> tuple[Group, ...]:
    """Parse a set of units: names of groups or of sets, joined by ``+``.

    Every set has one spelling, so that equal settings have equal fingerprints: groups in order,
    and the name of a set in place of its groups.

    Args:
        argument: name of the setting, for errors.
        text: the set.
        among: groups that the set may contain.

    Raises:
        UnknownNameError: a name is unknown.
        SettingError: a group is not allowed here, or the set has another spelling.

    >>> parse_units("bias", "gates+outputs")
    ('input_gates', 'forget_gates', 'output_gates', 'outputs')
    >>> parse_units("bias", "outputs+input_gates")
    Traceback (most recent call last):
        ...
    carrousel.errors.SettingError: bias is 'outputs+input_gates'; write 'input_gates+outputs'
    """
    sets = {name: groups for name, groups in UNIT_SETS.items() if set(groups) <= set(among)}
    names = (*sets, *among)
    terms = text.split("+") if isinstance(text, str) else [text]
    wanted: set[str] = set()
    for term in terms:
        name = check_choice(argument, term, names)
        wanted |= set(sets.get(name, (name,)))
    found: tuple[Group, ...] = tuple(group for group in GROUPS if group in wanted)
    if text != spelled(found):
        raise SettingError(
            f"{argument} is {text!r}", argument=argument, got=text, fix=f"write {spelled(found)!r}"
        )
    return found


def spelled(groups: tuple[Group, ...]) -> str:
    """Return the spelling of a set of groups.

    >>> spelled(("input_gates", "cells")), spelled(())
    ('input_gates+cells', 'none')
    """
    if groups in UNIT_SETS.values():
        return next(name for name, each in UNIT_SETS.items() if each == groups)
    if set(GATES) <= set(groups):
        return "+".join(["gates", *(group for group in groups if group not in GATES)])
    return "+".join(groups)
