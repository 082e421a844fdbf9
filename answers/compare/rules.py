"""Matches and compares the items of one collection in two tenants; swapping the tenants gives the same result.

Items match by name and kind, then by content. If several share a key, equal content decides, or they stay ambiguous.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from answers.compare.records import MatchedBy, Status
from answers.field_labels import properties_of
from inventory.canonical import JsonObject, is_mark, mark_keys
from inventory.differences import Difference, DifferenceKind, differences, exact_differences
from inventory.stale import Staleness
from inventory.tenant_neutral import NeutralDocument, Neutralizer, Uncertainty, without_digits


class Entry(NamedTuple):
    """`is_only_one`: a tenant cannot have another of the kind. `likeness` is shared by items of equal content; None if
    uncertain or not computed yet.
    """

    external_id: str
    name: str | None
    kind: str
    is_only_one: bool = False
    likeness: bytes | None = None
    stale: Staleness | None = None


class Pair(NamedTuple):
    here: Entry
    there: Entry
    by: MatchedBy


class AmbiguousGroup(NamedTuple):
    """Items with one key: at least one on each side, several on one."""

    here: list[Entry]
    there: list[Entry]
    by: MatchedBy


class MatchResult(NamedTuple):
    pairs: list[Pair]
    ambiguous: list[AmbiguousGroup]
    only_here: list[Entry]
    only_there: list[Entry]


class Verdict(NamedTuple):
    """`certain`: differences, by path and kind, that hold whatever the unknown values are."""

    status: Status
    differences: list[Difference]
    uncertain: frozenset[Uncertainty]
    certain: frozenset[tuple[str, DifferenceKind]] = frozenset()


def matched_by_name(here: Iterable[Entry], there: Iterable[Entry]) -> MatchResult:
    """Matches singletons by kind, then other items by kind and exact name, then by name without case and spaces."""
    matching = MatchResult([], [], _in_order(here), _in_order(there))
    for by, key in ((MatchedBy.TYPE, _only_one), (MatchedBy.NAME, _name), (MatchedBy.NAME_IN_OTHER_LETTERS, _letters)):
        matching = _matched(matching, by, key)
    return matching


def told_apart_by_content(group: AmbiguousGroup) -> MatchResult:
    pairs, here, there = _one_to_one(group.here, group.there, group.by)
    if len(here) == len(there) == 1:
        return MatchResult([*pairs, Pair(here[0], there[0], group.by)], [], [], [])
    if here and there:
        return MatchResult(pairs, [AmbiguousGroup(here, there, group.by)], [], [])
    return MatchResult(pairs, [], here, there)


def matched_by_content(here: Iterable[Entry], there: Iterable[Entry], *, names_tell: bool) -> MatchResult:
    """If `names_tell` items apart, several items of equal content are ambiguous; else (names are ids) any two of them
    match.
    """
    if names_tell:
        return _matched(MatchResult([], [], _in_order(here), _in_order(there)), MatchedBy.CONTENT, _content)
    pairs, only_here, only_there = _one_to_one(_in_order(here), _in_order(there), MatchedBy.CONTENT)
    return MatchResult(pairs, [], only_here, only_there)


def verdict(here: NeutralDocument, there: NeutralDocument, rules: Neutralizer) -> Verdict:
    """A difference counts only if it holds for all possible values of untranslated ids and incomparable hidden values.
    If an item lacks details, only details that both have are compared.
    """
    unresolved = (*here.unresolved, *there.unresolved)
    uncertain = here.uncertain | there.uncertain
    unread = here.details ^ there.details if Uncertainty.DETAILS_INCOMPLETE not in uncertain else frozenset()
    if unread:
        uncertain |= {Uncertainty.DETAIL_NOT_READ}
    if not all(reference.is_shared for reference in unresolved):
        uncertain |= {Uncertainty.UNRESOLVED_REFERENCE}
    alike = Status.UNDECIDED if uncertain else Status.SAME
    if here.canonical == there.canonical:
        return Verdict(alike, [], uncertain)
    document_here, document_there = here.document, there.document
    if Uncertainty.DETAILS_INCOMPLETE in uncertain:
        document_here, document_there = _known_of(document_here, here, there), _known_of(document_there, here, there)
    document_here, document_there = (
        {name: value for name, value in document.items() if name not in unread}
        for document in (document_here, document_there)
    )
    form = rules.rules.form
    exact = exact_differences(document_here, document_there, form)
    if not exact:
        return Verdict(alike, [], uncertain)
    found = [difference.shown() for difference in exact]
    if len(mark_keys(here.canonical) | mark_keys(there.canonical)) > 1:
        uncertain |= {Uncertainty.HIDDEN_UNDER_TWO_KEYS}
    if any(field.untold and is_mark(field.before) != is_mark(field.after) for field in exact):
        uncertain |= {Uncertainty.HIDDEN_ON_ONE_SIDE}
    paths = {reference.path for reference in unresolved}
    if paths:
        document_here, document_there = rules.masked(document_here, paths), rules.masked(document_there, paths)
    if {Uncertainty.HIDDEN_WITHOUT_KEY, Uncertainty.HIDDEN_UNDER_TWO_KEYS} & uncertain:
        document_here, document_there = without_digits(document_here), without_digits(document_there)
    certain = [
        difference
        for difference in differences(document_here, document_there, form.counting())
        if not difference.untold
        and not any(side.stale is not None and side.stale.is_about(difference.path) for side in (here, there))
    ]
    if not certain:
        untranslated = {Uncertainty.UNRESOLVED_REFERENCE} if paths else set()
        return Verdict(Status.UNDECIDED, found, uncertain | untranslated)
    is_renamed = not uncertain and {difference.path for difference in found} == {rules.rules.name_field}
    return Verdict(Status.RENAMED if is_renamed else Status.DIFFERENT, found, uncertain, _certain(found, certain))


def _certain(differing: list[Difference], certain: list[Difference]) -> frozenset[tuple[str, DifferenceKind]]:
    """Without ids, list members have other paths: they are certain if as many of them differ."""
    certain_fields = {(difference.path, difference.kind) for difference in certain}
    found_in, certain_in = (
        Counter((properties_of(difference.path), difference.kind) for difference in some)
        for some in (differing, certain)
    )
    return frozenset(
        (difference.path, difference.kind)
        for difference in differing
        for place in [(properties_of(difference.path), difference.kind)]
        if (difference.path, difference.kind) in certain_fields or found_in[place] <= certain_in[place]
    )


def _known_of(document: JsonObject, here: NeutralDocument, there: NeutralDocument) -> JsonObject:
    """Keeps properties that both sides have: a list omits details, or shows null."""
    for lacking in (here, there):
        if Uncertainty.DETAILS_INCOMPLETE in lacking.uncertain:
            document = {name: value for name, value in document.items() if lacking.document.get(name) is not None}
    return document


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.name or "", entry.kind, entry.external_id))


def _matched(matching: MatchResult, by: MatchedBy, key: Callable[[Entry], object]) -> MatchResult:
    groups: dict[object, tuple[list[Entry], list[Entry]]] = {}
    alone: tuple[list[Entry], list[Entry]] = ([], [])
    for side, entries in enumerate((matching.only_here, matching.only_there)):
        for entry in entries:
            shared = key(entry)
            if shared is None:
                alone[side].append(entry)
            else:
                groups.setdefault(shared, ([], []))[side].append(entry)
    pairs, ambiguous = list(matching.pairs), list(matching.ambiguous)
    for here, there in groups.values():
        if len(here) == len(there) == 1:
            pairs.append(Pair(here[0], there[0], by))
        elif here and there:
            ambiguous.append(AmbiguousGroup(here, there, by))
        else:
            alone[0].extend(here)
            alone[1].extend(there)
    return MatchResult(pairs, ambiguous, _in_order(alone[0]), _in_order(alone[1]))


def _only_one(entry: Entry) -> object:
    return entry.kind if entry.is_only_one else None


def _name(entry: Entry) -> object:
    return (entry.name, entry.kind) if entry.name else None


def _letters(entry: Entry) -> object:
    letters = " ".join((entry.name or "").split()).casefold()
    return (letters, entry.kind) if letters else None


def _content(entry: Entry) -> object:
    return None if entry.likeness is None else (entry.likeness, entry.kind)


def _one_to_one(
    here: Iterable[Entry], there: Iterable[Entry], by: MatchedBy
) -> tuple[list[Pair], list[Entry], list[Entry]]:
    waiting: dict[object, list[Entry]] = {}
    left: list[Entry] = []
    for entry in there:
        shared = _content(entry)
        if shared is None:
            left.append(entry)
        else:
            waiting.setdefault(shared, []).append(entry)
    pairs: list[Pair] = []
    alone: list[Entry] = []
    for entry in here:
        same = waiting.get(_content(entry))
        if same:
            pairs.append(Pair(entry, same.pop(0), by))
        else:
            alone.append(entry)
    return pairs, alone, _in_order([*left, *(entry for rest in waiting.values() for entry in rest)])
