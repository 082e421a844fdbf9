"""What the ids of a tenant's objects mean in any tenant."""

import re
from collections.abc import Iterable, Mapping
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare import queries
from answers.compare.queries import Target
from graph.catalog import kind_of, kinds_in, load_catalog
from inventory.canonical import JsonObject
from inventory.coverage import Coverage
from inventory.exact_json import decode
from inventory.tenant_neutral import IdTranslation, Translate, UnresolvedReason, meaning_text
from storage.bodies import Documents

TargetIds = Iterable[tuple[tuple[str, ...], str]]
"""Ids of objects, each with the collections that it may belong to."""


class IdTranslations:
    """The translations of the ids of one tenant that have been asked for."""

    def __init__(self, coverage: Mapping[str, Coverage], read: Documents) -> None:
        self._read = read
        self._listed = {key for key, collection in coverage.items() if collection.listed_at is not None}
        self._known: dict[tuple[str, str], IdTranslation] = {}
        self._shared_names: dict[str, set[tuple[str, str]]] = {}

    @property
    def asked_types(self) -> set[str]:
        """The collections whose objects were asked for."""
        return {type_key for type_key, _ in self._known}

    async def learn(self, session: AsyncSession, ids: TargetIds) -> None:
        """Asks for the ids that are not known yet."""
        wanted = {(key, target_id) for target_types, target_id in ids for key in target_types} - self._known.keys()
        if not wanted:
            return
        telling = {key for key, _ in wanted if _says(key)}
        found = await queries.targets(session, wanted, telling, self._read)
        for type_key in {target.type_key for target in found} - self._shared_names.keys():
            names = await queries.shared_names(session, type_key)
            bearers = [(name, kind_of(type_key, meta)) for name, meta in names]
            self._shared_names[type_key] = {bearer for bearer in bearers if bearers.count(bearer) > 1}
        for type_key, external_id in wanted:
            reason = UnresolvedReason.UNKNOWN if type_key in self._listed else UnresolvedReason.NOT_READ
            self._known[type_key, external_id] = IdTranslation(None, reason, is_shared(type_key, external_id))
        for target in found:
            text, why_unknown = self._translation(target)
            shared = is_shared(target.type_key, target.external_id)
            self._known[target.type_key, target.external_id] = IdTranslation(text, why_unknown, shared)

    def of(self, target_types: tuple[str, ...], target_id: str) -> IdTranslation:
        """What an id means. An id that may belong to several collections is looked for in all of them."""
        translations = [self._known[key, target_id] for key in target_types]
        known = [translation for translation in translations if translation.text is not None]
        if known:
            return known[0]
        return min(translations, key=lambda translation: _TELLING.index(translation.reason or UnresolvedReason.UNKNOWN))

    def beside(self, other: "IdTranslations") -> Translate:
        """These translations, with those of the other tenant for the ids that Microsoft gave."""

        def translate(target_types: tuple[str, ...], target_id: str) -> IdTranslation:
            own = self.of(target_types, target_id)
            if own.is_shared and own.reason in (UnresolvedReason.UNKNOWN, UnresolvedReason.NOT_READ):
                told = other.of(target_types, target_id)
                return own if told.text is None else told
            return own

        return translate

    def _translation(self, target: Target) -> tuple[str | None, UnresolvedReason | None]:
        kind = kind_of(target.type_key, target.meta)
        if target.is_absent:
            return None, UnresolvedReason.GONE
        if target.is_damaged:
            return None, UnresolvedReason.DAMAGED
        if target.document is not None:
            document = cast("JsonObject", decode(target.document))
            says = {name: document[name] for name in _says(target.type_key) if document.get(name) is not None}
            if says:
                return meaning_text(target.display_name, kind, says), None
        text = meaning_text(target.display_name, kind if kinds_in(target.type_key) else None)
        if text is None:
            return None, UnresolvedReason.UNNAMED
        if target.type_key not in self._listed:
            return None, UnresolvedReason.NOT_READ
        if (target.display_name, kind) in self._shared_names[target.type_key]:
            return None, UnresolvedReason.AMBIGUOUS
        return text, None


_TELLING = (
    UnresolvedReason.DAMAGED,
    UnresolvedReason.AMBIGUOUS,
    UnresolvedReason.GONE,
    UnresolvedReason.UNNAMED,
    UnresolvedReason.NOT_READ,
    UnresolvedReason.UNKNOWN,
)
"""Of several reasons the first one is said."""


def is_shared(type_key: str, external_id: str) -> bool:
    """Whether Microsoft gave the id, so that it is the same in every tenant."""
    collection = load_catalog().collections.get(type_key)
    pattern = None if collection is None else collection.shared_ids
    return pattern is not None and re.search(pattern, external_id) is not None


def _says(type_key: str) -> tuple[str, ...]:
    """The properties that say what an object of a collection means."""
    collection = load_catalog().collections.get(type_key)
    return () if collection is None else collection.meaning
