"""The fields of an item that a version changes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from inventory.canonical import Canonicalizer, JsonObject, JsonValue
from inventory.cut_lists import cut_properties
from inventory.differences import Difference, differences, is_number_of_a_setting
from inventory.differing_parts import differing_parts
from inventory.document_parts import DetailPlace, without_places
from inventory.exact_json import decode_object
from inventory.normal_form import NormalForm, read_in_form_0
from inventory.stale import StalePart, lacking


class Comparability(NamedTuple):
    """How documents of a collection are compared.

    `completed_by`: properties that details add; None if details show the whole item. `asked_for`: properties that each
    whole document has, even if empty. `expanded`: properties that requests expand.
    """

    canonicalizer: Canonicalizer
    form: NormalForm
    completed_by: frozenset[str] | None
    asked_for: frozenset[str] = frozenset()
    expanded: frozenset[str] = frozenset()


class VersionPair(Protocol):
    """A version and the one before. A document is None if it is unreadable.

    `is_sorted` and `was_sorted`: the document is of normal form 0. `lacked_before`: details that the version before
    lacks.
    """

    @property
    def document(self) -> bytes | None: ...
    @property
    def document_before(self) -> bytes | None: ...
    @property
    def details_complete(self) -> bool: ...
    @property
    def before_complete(self) -> bool | None: ...
    @property
    def is_sorted(self) -> bool: ...
    @property
    def was_sorted(self) -> bool: ...
    @property
    def lacked_before(self) -> Sequence[StalePart] | None: ...


class ComparedParts(NamedTuple):
    """The parts of two documents to compare."""

    before: JsonObject
    after: JsonObject


def compared_parts(pair: VersionPair) -> ComparedParts | None:
    """None if a document is deleted or damaged."""
    if pair.document is None or pair.document_before is None:
        return None
    if pair.is_sorted or pair.was_sorted:  # `read_in_form_0` needs the names of equal parts, too
        return ComparedParts(decode_object(pair.document_before), decode_object(pair.document))
    return ComparedParts(*differing_parts(pair.document_before, pair.document))


def changed_by(pair: VersionPair, comparability: Comparability) -> list[Difference] | None:
    """None if a document is deleted or damaged; empty if the version only adds details or was read by other rules."""
    parts = compared_parts(pair)
    return None if parts is None else changed_in(parts, pair, comparability)


def changed_in(parts: ComparedParts, pair: VersionPair, comparability: Comparability) -> list[Difference]:
    """As `changed_by`, with the pair's `compared_parts`."""
    before, after = parts
    if pair.was_sorted and not pair.is_sorted:
        after = read_in_form_0(before, after, comparability.expanded)
    if pair.is_sorted or pair.was_sorted:
        comparability = comparability._replace(form=comparability.form.of_sorted())
    lacked = [DetailPlace(*part.place) for part in lacking(pair.lacked_before or ())]
    if lacked and all(place.property is not None for place in lacked):
        return changed_fields(without_places(before, lacked), without_places(after, lacked), comparability)
    if pair.details_complete and not pair.before_complete:
        return changed_fields_of_listed(before, after, comparability)
    return changed_fields(before, after, comparability)


def not_compared(pair: VersionPair, comparability: Comparability, changed: Sequence[Difference]) -> list[str]:
    """Paths that differ, beside `changed`, but were not read alike, so that a change is unknown."""
    if pair.document is None or pair.document_before is None:
        return []
    is_of_form_0 = pair.is_sorted or pair.was_sorted
    all_differences = differences(
        comparability.canonicalizer.canonical_value(decode_object(pair.document_before)),
        comparability.canonicalizer.canonical_value(decode_object(pair.document)),
        comparability.form.of_sorted() if is_of_form_0 else comparability.form,
    )
    changed_paths = {difference.path for difference in changed}
    return sorted(
        {
            difference.path
            for difference in all_differences
            if difference.path not in changed_paths and not is_number_of_a_setting(difference.path)
        }
    )


def changed_fields(before: JsonObject, after: JsonObject, comparability: Comparability) -> list[Difference]:
    """Compares by today's rules.

    Left out: properties that today's rules drop; hidden values whose change is unknown; details that one document's
    release did not read; a setting's id, which is its number.
    """
    unasked = {name for name in comparability.asked_for if (name in before) != (name in after)}
    before, after = _only(before, before.keys() - unasked), _only(after, after.keys() - unasked)
    every = differences(
        comparability.canonicalizer.canonical_value(before),
        comparability.canonicalizer.canonical_value(after),
        comparability.form,
    )
    return [difference for difference in every if not difference.untold and not is_number_of_a_setting(difference.path)]


def changed_fields_of_listed(before: JsonObject, after: JsonObject, comparability: Comparability) -> list[Difference]:
    """Compares a list's document with a whole one, without details and cut lists.

    If details show the whole item, only plain values are compared.
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
