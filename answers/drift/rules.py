"""Deviations from a baseline, and decisions about them.

A fingerprint identifies a finding: tenant, baseline, item, field and kind. A decision is about the finding's value: the
field's content in the baseline and now.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from inventory.canonical import Canonicalizer, JsonObject, JsonValue, encode, shows_no_change
from inventory.differences import Difference, DifferenceKind, exact_differences, is_number_of_a_setting
from inventory.differing_parts import differing_parts
from inventory.exact_json import decode_object
from inventory.normal_form import NormalForm, read_in_form_0


class BaselineKind(StrEnum):
    RUN = "run"
    """One run's coverage, as of the run's end."""
    MOMENT = "moment"
    TENANT = "tenant"
    """Another tenant's inventory, as it is."""


class FindingKind(StrEnum):
    """A field, a member of a list in it, or the whole item."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    ITEM_ADDED = "item_added"
    ITEM_MISSING = "item_missing"


class Decision(StrEnum):
    """A person's judgement of a finding. `open` takes an earlier one back."""

    OPEN = "open"
    ACCEPTED = "accepted"
    EXPECTED = "expected"
    """This tenant is meant to deviate."""


class NewDecision(NamedTuple):
    """Holds for good if `until` is None."""

    decision: Decision
    decided_by: str
    reason: str
    until: datetime | None = None


class DecisionLapse(StrEnum):
    """Why a decision no longer holds."""

    VALUE_CHANGED = "value_changed"
    EXPIRED = "expired"


class CurrentDecision(NamedTuple):
    """`fallen`: why the latest decision lapsed."""

    decision: Decision
    fallen: DecisionLapse | None = None


class DriftRules(NamedTuple):
    """The parts of a collection's documents that count, by today's catalog."""

    canonicalizer: Canonicalizer
    form: NormalForm
    asked_for: frozenset[str] = frozenset()
    """Properties that every whole document has, even if empty, since a detail requests them."""
    expanded: frozenset[str] = frozenset()
    """Properties that requests expand."""


class DriftDocument(NamedTuple):
    """A document that is not whole lacks details."""

    document: bytes
    is_whole: bool = True
    is_sorted: bool = False
    """Whether the document has normal form 0, in which only some orders can be compared."""


class Deviation(NamedTuple):
    """`before` and `after` may be shown; `value_hash` covers both and tells hidden values apart.

    A list of plain values has one deviation, which is `added` or `removed` if all its changes are. `member` tells other
    set members of one path apart. A deviation is uncertain if its hidden value shows no change but its object was
    edited.
    """

    path: str
    kind: FindingKind
    before: JsonValue
    after: JsonValue
    hidden: bool
    member: str
    value_hash: bytes
    is_certain: bool = True
    is_of_list: bool = False

    @property
    def lasting_kind(self) -> FindingKind:
        """The kind in a finding's identity; a list keeps one kind whether members come or go."""
        return FindingKind.CHANGED if self.is_of_list else self.kind


def deviations(before: DriftDocument, after: DriftDocument, rules: DriftRules) -> list[Deviation]:
    """Sorted by path.

    Leaves out values that only one side hides; hidden values with a constant mark, unless their object was edited; if
    a document lacks details, values that only the other has; properties that a baseline of normal form 0 lacks.
    """
    is_sorted = before.is_sorted or after.is_sorted
    old, new = (_whole if is_sorted else differing_parts)(before.document, after.document)
    for name in rules.asked_for:
        if (name in old) != (name in new):
            old.pop(name, None)
            new.pop(name, None)
    old, new = rules.canonicalizer.canonical_value(old), rules.canonicalizer.canonical_value(new)
    if before.is_sorted and not after.is_sorted:
        new = read_in_form_0(old, new, rules.expanded)
    form = rules.form.of_sorted() if is_sorted else rules.form
    found = exact_differences(old, new, form)
    untold = {difference.path for difference in found if _is_untold(difference)}
    return deviations_of(
        difference
        for difference in found
        if not is_number_of_a_setting(difference.path)
        and difference.path not in untold
        and _is_of_both(difference, before, after)
    )


def _whole(before: bytes, after: bytes) -> tuple[JsonObject, JsonObject]:
    return decode_object(before), decode_object(after)


def deviations_of(differences: Iterable[Difference]) -> list[Deviation]:
    groups: dict[tuple[str, DifferenceKind | None, str], list[Difference]] = {}
    for difference in differences:
        is_of_list = _is_plain_member(difference)
        kind, member = (None, "") if is_of_list else (difference.kind, _member(difference))
        groups.setdefault((difference.path, kind, member), []).append(difference)
    return [
        _deviation_of_list(same) if kind is None else _deviation(member, same)
        for (_, kind, member), same in groups.items()
    ]


def item_added(document: DriftDocument | None, rules: DriftRules | None) -> Deviation:
    """A given `document` is the value, so a decision lapses when the document changes."""
    value: JsonValue = None
    if document is not None and rules is not None:
        value = rules.form.of(rules.canonicalizer.canonical_value(decode_object(document.document)))
    return Deviation("", FindingKind.ITEM_ADDED, None, None, False, "", _hash([None, value]))


def item_missing(protection: JsonObject | None = None) -> Deviation:
    """`protection` is the property by which the item protected."""
    return Deviation("", FindingKind.ITEM_MISSING, protection, None, False, "", _hash([None, None]))


def fingerprint(tenant_id: UUID, baseline: str, type_key: str, external_id: str, deviation: Deviation) -> str:
    """SHA-256, hexadecimal."""
    named: JsonObject = {
        "tenant_id": str(tenant_id),
        "baseline": baseline,
        "type_key": type_key,
        "external_id": external_id,
        "path": deviation.path,
        "member": deviation.member,
        "kind": str(deviation.lasting_kind),
    }
    return _hash(named).hex()


def current_decision(
    decision: Decision | None, decided_on: bytes | None, until: datetime | None, value_hash: bytes, now: datetime
) -> CurrentDecision:
    """The decision in force about the value; the latest `decision` was about the value `decided_on`."""
    if decision is None or decision is Decision.OPEN:
        return CurrentDecision(Decision.OPEN)
    if decided_on != value_hash:
        return CurrentDecision(Decision.OPEN, DecisionLapse.VALUE_CHANGED)
    if until is not None and now >= until:
        return CurrentDecision(Decision.OPEN, DecisionLapse.EXPIRED)
    return CurrentDecision(decision)


def first_seen(
    deviation: Deviation,
    current: datetime,
    earlier: Iterable[tuple[datetime, Mapping[tuple[str, str, str], Deviation]]],
) -> datetime:
    """`earlier`: observation times and deviations of versions before the current one, newest first."""
    since = current
    for observed_at, found in earlier:
        if key_of(deviation) not in found:
            break
        since = observed_at
    return since


def key_of(deviation: Deviation) -> tuple[str, str, str]:
    return deviation.path, deviation.lasting_kind, deviation.member


def _is_untold(difference: Difference) -> bool:
    """Whether it is unknown if a hidden value differs."""
    if not difference.hidden:
        return False
    if difference.kind is DifferenceKind.MAY_HAVE_CHANGED:
        return difference.untold
    return difference.untold or any(shows_no_change(value) for value in (difference.before, difference.after))


def _is_of_both(difference: Difference, before: DriftDocument, after: DriftDocument) -> bool:
    """False if a document without details lacks the value; listings show some details as null."""
    return (before.is_whole or difference.before is not None) and (after.is_whole or difference.after is not None)


def _member(difference: Difference) -> str:
    """A set member's hash, since members share one path; empty for others."""
    if not difference.path.endswith("[]"):
        return ""
    value = difference.after if difference.kind is DifferenceKind.ADDED else difference.before
    return _hash(value).hex()


def _is_plain_member(difference: Difference) -> bool:
    value = difference.after if difference.kind is DifferenceKind.ADDED else difference.before
    is_shown = not difference.hidden and difference.kind in (DifferenceKind.ADDED, DifferenceKind.REMOVED)
    return difference.path.endswith("[]") and is_shown and not isinstance(value, dict | list)


def _deviation_of_list(members: list[Difference]) -> Deviation:
    shown = [member.shown() for member in members]
    removed = sorted(
        (difference.before for difference in shown if difference.kind is DifferenceKind.REMOVED), key=encode
    )
    added = sorted((difference.after for difference in shown if difference.kind is DifferenceKind.ADDED), key=encode)
    kind = FindingKind.CHANGED if removed and added else FindingKind.ADDED if added else FindingKind.REMOVED
    value_hash = _hash([[*removed], [*added]])
    return Deviation(members[0].path, kind, removed or None, added or None, False, "", value_hash, is_of_list=True)


def _deviation(member: str, same: list[Difference]) -> Deviation:
    values: list[JsonValue] = sorted(([difference.before, difference.after] for difference in same), key=encode)
    shown = same[0].shown()
    value = values[0] if len(values) == 1 else values
    is_certain = shown.kind is not DifferenceKind.MAY_HAVE_CHANGED
    kind = FindingKind(shown.kind) if is_certain else FindingKind.CHANGED
    return Deviation(shown.path, kind, shown.before, shown.after, shown.hidden, member, _hash(value), is_certain)


def _hash(value: JsonValue) -> bytes:
    return hashlib.sha256(encode(value)).digest()
