"""Differences of two documents of an item."""

from collections.abc import Mapping
from typing import NamedTuple

from inventory.canonical import Canonicalizer, JsonObject, JsonValue
from inventory.cut_lists import cut_properties
from inventory.differences import Difference, differences, is_number_of_a_setting
from inventory.normal_form import NormalForm


class Comparability(NamedTuple):
    """How two documents of one collection are compared.

    `completed_by` are the properties that details add to what a list shows, None where details show the whole item.
    `asked_for` are the properties that a whole document always has, be they empty, since a detail asks for each, and
    `expanded` those that requests expand.
    """

    canonicalizer: Canonicalizer
    form: NormalForm
    completed_by: frozenset[str] | None
    asked_for: frozenset[str] = frozenset()
    expanded: frozenset[str] = frozenset()


def changed_fields(before: JsonObject, after: JsonObject, comparability: Comparability) -> list[Difference]:
    """The differences of two documents by today's rules.

    A property that a rule leaves out today is no difference to a document from before the rule. If a rule has begun or
    ceased to hide a value, it is not known whether the value changed. A detail that the release of one document did not
    read is no difference, either. The id of a setting is its number among the others.
    """
    unasked = {name for name in comparability.asked_for if (name in before) != (name in after)}
    before, after = _only(before, before.keys() - unasked), _only(after, after.keys() - unasked)
    found = differences(
        comparability.canonicalizer.canonical_value(before),
        comparability.canonicalizer.canonical_value(after),
        comparability.form,
    )
    return [difference for difference in found if not difference.untold and not is_number_of_a_setting(difference.path)]


def changed_fields_of_listed(before: JsonObject, after: JsonObject, comparability: Comparability) -> list[Difference]:
    """The differences of a document that lacks its details and a whole one, in what a list shows right.

    What details add is new and no change, nor is the rest of a list that was cut. Where they show the whole item, only
    plain values that the list shows, too, can be compared.
    """
    if comparability.completed_by is None:
        names = {name for name, value in before.items() if _is_plain(value) and _is_plain(after.get(name))}
    else:
        names = {name for name, value in before.items() if value is not None and name not in comparability.completed_by}
    names -= cut_properties(before)
    return changed_fields(_only(before, names), _only(after, names), comparability)


def _is_plain(value: JsonValue) -> bool:
    return isinstance(value, str | int | float)


def _only(document: Mapping[str, JsonValue], names: set[str]) -> JsonObject:
    return {name: value for name, value in document.items() if name in names}
