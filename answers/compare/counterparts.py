"""Counterparts of one tenant's objects in another."""

from collections.abc import Iterable
from typing import NamedTuple

from answers.compare import queries
from answers.compare.id_translation import is_shared
from answers.compare.records import CoverageState
from answers.compare.sides import Side
from graph.catalog import load_catalog
from inventory.references import NOT_READ, collection_of, is_by_alternate_key
from inventory.tenant_neutral import UnresolvedReason

TargetId = tuple[tuple[str, ...], str]
"""The possible collections of an object, and its id."""


class Counterpart(NamedTuple):
    """The other tenant's object for an id, or the `reason` why there is none.

    `text` is the id's translation; `here`: this tenant has none.
    """

    type_key: str
    target_id: str | None
    name: str | None = None
    reason: UnresolvedReason | None = None
    here: bool = False
    text: str | None = None


async def counterparts(here: Side, there: Side, ids: Iterable[TargetId]) -> dict[TargetId, Counterpart]:
    """A shared id is its own counterpart if its object exists. For another id, the latest listing must be complete and
    have one object of the same translation, or among several one of the same name.
    """
    target_ids = list(dict.fromkeys(ids))
    await here.id_translations.learn(here.session, target_ids)
    names_here = await _names(here, target_ids)
    keys_of_target: dict[TargetId, list[tuple[str, str | None]]] = {}
    for target_types, target_id in target_ids:
        keys_of_target[target_types, target_id] = [
            (key, names_here.get((collection_of(key), target_id))) for key in target_types
        ]
    names_by_type: dict[str, set[str]] = {}
    for (_, target_id), keys in keys_of_target.items():
        for target_type, name in keys:
            if not is_shared(target_type, target_id) and name is not None:
                names_by_type.setdefault(collection_of(target_type), set()).add(name)
    candidates = {
        type_key: await queries.named_items(there.session, type_key, None if _has_meaning(type_key) else names)
        for type_key, names in names_by_type.items()
    }
    named = {((type_key,), item_id) for type_key, found in candidates.items() for item_id, _ in found}
    shared = {((key,), one_id) for keys, one_id in target_ids for key in keys if is_shared(key, one_id)}
    await there.id_translations.learn(there.session, named | shared)
    names_there = await _names(there, shared)
    by_meaning = {type_key: _Candidates(there, type_key, items) for type_key, items in candidates.items()}
    nothing = _Candidates(there, "", ())
    found: dict[TargetId, Counterpart] = {}
    for wanted_id, keys in keys_of_target.items():
        translated = [
            _shared(there, target_type, wanted_id[1], names_there)
            if is_shared(target_type, wanted_id[1])
            else _by_meaning(
                here, there, target_type, wanted_id[1], name, by_meaning.get(collection_of(target_type), nothing)
            )
            for target_type, name in keys
        ]
        # A collection in which the id has a counterpart precedes the others.
        found[wanted_id] = min(translated, key=lambda counterpart: (counterpart.target_id is None, counterpart.here))
    return found


async def own_counterparts(side: Side, ids: Iterable[TargetId]) -> dict[TargetId, Counterpart]:
    """An id is its own counterpart if its object exists.

    People count as existing: Graph refuses ids of deleted people.
    """
    target_ids = list(dict.fromkeys(ids))
    await side.id_translations.learn(side.session, target_ids)
    names = await _names(side, target_ids)
    found: dict[TargetId, Counterpart] = {}
    for target_types, target_id in target_ids:
        candidates = [
            Counterpart(
                type_key,
                None if known.reason in _NOT_THERE and type_key not in NOT_READ else target_id,
                names.get((type_key, target_id)),
                known.reason,
            )
            for target_type in target_types
            for type_key, known in [(collection_of(target_type), side.id_translations.of((target_type,), target_id))]
        ]
        found[target_types, target_id] = min(candidates, key=lambda counterpart: counterpart.target_id is None)
    return found


_NOT_THERE = frozenset({UnresolvedReason.UNKNOWN, UnresolvedReason.GONE, UnresolvedReason.NOT_READ})


def _shared(there: Side, target_type: str, target_id: str, names: dict[tuple[str, str], str | None]) -> Counterpart:
    type_key = collection_of(target_type)
    known = there.id_translations.of((target_type,), target_id)
    name = names.get((type_key, target_id))
    if known.text is not None or known.reason is UnresolvedReason.AMBIGUOUS:
        return Counterpart(type_key, target_id, name, text=known.text)
    return Counterpart(type_key, None, name, known.reason)


class _Candidates:
    """`ambiguous`: names that several objects share."""

    def __init__(self, there: Side, type_key: str, items: Iterable[tuple[str, str | None]]) -> None:
        self.by_text: dict[str, list[tuple[str, str | None]]] = {}
        self.ambiguous: set[str | None] = set()
        for item_id, name in items:
            known = there.id_translations.of((type_key,), item_id)
            if known.text is not None:
                self.by_text.setdefault(known.text, []).append((item_id, name))
            elif known.reason is UnresolvedReason.AMBIGUOUS:
                self.ambiguous.add(name)


def _by_meaning(
    here: Side, there: Side, target_type: str, target_id: str, name: str | None, candidates: _Candidates
) -> Counterpart:
    type_key = collection_of(target_type)
    own = here.id_translations.of((target_type,), target_id)
    if own.text is None:
        return Counterpart(type_key, None, name, own.reason or UnresolvedReason.UNKNOWN, here=True)
    if is_by_alternate_key(target_type) or type_key in NOT_READ:
        return Counterpart(type_key, None, name, UnresolvedReason.UNKNOWN, text=own.text)
    if there.covered(type_key).state is not CoverageState.COMPLETE:
        return Counterpart(type_key, None, name, UnresolvedReason.NOT_READ, text=own.text)
    if not _has_meaning(type_key) and name in candidates.ambiguous:
        return Counterpart(type_key, None, name, UnresolvedReason.AMBIGUOUS, text=own.text)
    alike = candidates.by_text.get(own.text, [])
    of_the_name = [(item_id, other) for item_id, other in alike if other == name]
    chosen = alike if len(alike) == 1 else of_the_name
    if len(chosen) == 1:
        return Counterpart(type_key, chosen[0][0], chosen[0][1], text=own.text)
    reason = UnresolvedReason.AMBIGUOUS if alike else UnresolvedReason.UNKNOWN
    return Counterpart(type_key, None, name, reason, text=own.text)


async def _names(side: Side, ids: Iterable[TargetId]) -> dict[tuple[str, str], str | None]:
    target_keys = {(collection_of(key), target_id) for keys, target_id in ids for key in keys}
    targets = await queries.targets(side.session, target_keys, (), side.read)
    return {(target.type_key, target.external_id): target.display_name for target in targets}


def _has_meaning(type_key: str) -> bool:
    collection = load_catalog().collections.get(type_key)
    return collection is not None and bool(collection.meaning)
