"""Translates a tenant's ids into texts that mean the same in every tenant."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare import queries
from answers.compare.queries import Target
from graph.catalog import kind_of, kinds_in, load_catalog
from inventory.coverage import Coverage
from inventory.exact_json import decode_object
from inventory.references import NOT_READ, collection_of, is_by_alternate_key
from inventory.tenant_neutral import IdTranslation, Translate, UnresolvedReason, meaning_text
from storage.bodies import Documents

TargetIds = Iterable[tuple[tuple[str, ...], str]]
"""Objects' possible collections and ids."""


class IdTranslations:
    def __init__(self, coverage: Mapping[str, Coverage], read: Documents) -> None:
        self._read = read
        self._listed = {key for key, collection in coverage.items() if collection.listed_at is not None}
        self._known: dict[tuple[str, str], IdTranslation] = {}
        self._shared_names: dict[str, set[tuple[str, str]]] = {}

    @property
    def asked_types(self) -> set[str]:
        return {collection_of(target_type) for target_type, _ in self._known}

    async def learn(self, session: AsyncSession, ids: TargetIds) -> None:
        """Looks up ids not known yet."""
        named = {(key, target_id) for target_types, target_id in ids for key in target_types} - self._known.keys()
        if not named:
            return
        target_keys = {(collection_of(target_type), target_id) for target_type, target_id in named}
        telling = {key for key, _ in target_keys if _says(key)}
        found = {
            (target.type_key, target.external_id): target
            for target in await queries.targets(session, target_keys, telling, self._read)
        }
        for type_key in {type_key for type_key, _ in found} - self._shared_names.keys():
            names = await queries.shared_names(session, type_key)
            bearers = Counter((name, kind_of(type_key, meta)) for name, meta in names)
            self._shared_names[type_key] = {bearer for bearer, count in bearers.items() if count > 1}
        for target_type, target_id in named:
            type_key = collection_of(target_type)
            target = found.get((type_key, target_id))
            # An object that no collection reads goes by its alternate key in every tenant.
            is_settled = type_key in self._listed or (type_key in NOT_READ and is_by_alternate_key(target_type))
            why_unsaid = UnresolvedReason.UNKNOWN if is_settled else UnresolvedReason.NOT_READ
            text, why_unknown = (None, why_unsaid) if target is None else self._translation(target)
            shared = is_shared(target_type, target_id)
            self._known[target_type, target_id] = IdTranslation(text, why_unknown, shared)

    def of(self, target_types: tuple[str, ...], target_id: str) -> IdTranslation:
        """Call `learn` with the id before."""
        translations = [self._known[key, target_id] for key in target_types]
        known = [translation for translation in translations if translation.text is not None]
        if known:
            return known[0]
        best = min(translations, key=lambda translation: _TELLING.index(translation.reason or UnresolvedReason.UNKNOWN))
        return best._replace(is_shared=any(translation.is_shared for translation in translations))

    def beside(self, other: "IdTranslations") -> Translate:
        """Uses the other tenant's knowledge of shared ids, too. An alternate key that neither tenant knows stands for
        itself.
        """

        def translate(target_types: tuple[str, ...], target_id: str) -> IdTranslation:
            own = self.of(target_types, target_id)
            if own.is_shared and own.reason in (UnresolvedReason.UNKNOWN, UnresolvedReason.NOT_READ):
                translation = other.of(target_types, target_id)
                if translation.text is not None:
                    return translation
                if own.reason is UnresolvedReason.UNKNOWN and all(map(is_by_alternate_key, target_types)):
                    return IdTranslation(target_id)
            return own

        return translate

    def _translation(self, target: Target) -> tuple[str | None, UnresolvedReason | None]:
        kind = kind_of(target.type_key, target.meta)
        if target.is_absent:
            return None, UnresolvedReason.GONE
        if target.is_damaged:
            return None, UnresolvedReason.DAMAGED
        if target.document is not None:
            document = decode_object(target.document)
            says = {name: document[name] for name in _says(target.type_key) if document.get(name) is not None}
            if says:
                return meaning_text(target.display_name, kind, says), None
        text = meaning_text(target.display_name, kind if kind in kinds_in(target.type_key) else None)
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
"""By priority: the first reason that applies is told."""


def is_shared(target_type: str, target_id: str) -> bool:
    """Whether the id is the same in every tenant: Microsoft's, or an alternate key."""
    if is_by_alternate_key(target_type):
        return True
    collection = load_catalog().collections.get(target_type)
    pattern = None if collection is None else collection.shared_ids
    return pattern is not None and re.search(pattern, target_id) is not None


def _says(type_key: str) -> tuple[str, ...]:
    """Properties whose values translate ids of the collection."""
    collection = load_catalog().collections.get(type_key)
    return () if collection is None else collection.meaning
