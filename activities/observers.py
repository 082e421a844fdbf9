"""The rules for reading each collection, under each tenant's data key."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from temporalio.exceptions import ApplicationError

from graph.catalog import Catalog
from graph.cpu_executor import crunch
from inventory.canonical import SENSITIVE_MARK, Canonicalizer
from inventory.changed_fields import changed_by
from inventory.data_keys import DataKey, DataKeyError, DataKeyKind
from inventory.error_codes import ErrorCode
from inventory.exact_json import decode, encode
from inventory.normal_form import likeness_hash
from inventory.observation import ObservationRules, Observer
from inventory.raw_digest import RawDigests, code_hash, left_out_secrets, rules_hash
from inventory.titles import TitleRule
from inventory.wrapping_keys import WrappingKeys
from storage.data_keys import StoredDataKey, a_shared_data_key, keep_data_key, stored_data_key
from storage.database import Database
from storage.first_form import FirstFormItem
from storage.new_versions import NewVersion
from storage.recreated_items import StoredDocument

_MARK = f'"{SENSITIVE_MARK}":'.encode()

READERS = (
    "activities.digested_pages",
    "activities.page_observations",
    "graph.bodies",
    "graph.pages",
    "graph.raw_pages",
)
"""The modules outside `inventory` that make observations of an answer's bytes."""

KNOWN_FOR_SECONDS = 300.0
"""How long a data key is cached: a purged tenant may return with another."""


class SensitivityRules(NamedTuple):
    """Without `keys`, every sensitive value becomes one constant.

    `is_comparable` gives tenants without a data key a shared one, so that equal values have equal marks.
    """

    keys: WrappingKeys | None = None
    is_comparable: bool = False
    hide_script_bodies: bool = False
    show_payloads: bool = False


class TenantObservers(NamedTuple):
    observers: "Observers"
    data_key: DataKey | None
    tenant_id: UUID

    def observer(self, type_key: str) -> Observer:
        return self.observers.observer(type_key).under(self.data_key)

    def canonicalizer(self, type_key: str) -> Canonicalizer:
        return self.observers.observer(type_key).canonicalizer.under(self.data_key)

    def raw_digests(self, type_key: str) -> RawDigests | None:
        rules = self.observers.raw_rules(type_key)
        return None if rules is None else RawDigests(self.data_key, self.tenant_id, *rules)


class Observers:
    """The observer of each collection, made at first use."""

    def __init__(
        self,
        catalog: Catalog,
        secrecy: SensitivityRules,
        database: Database,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._secrecy = secrecy
        self._database = database
        self._now = now
        self._observers: dict[str, Observer] = {}
        self._raw_rules: dict[str, tuple[bytes, frozenset[bytes]] | None] = {}
        self._known: dict[UUID, tuple[float, DataKey | None]] = {}

    async def of_tenant(self, tenant_id: UUID) -> TenantObservers:
        """Makes and stores a missing data key. Raises `DataKeyError`."""
        read_at, data_key = self._known.get(tenant_id, (0.0, None))
        if tenant_id not in self._known or self._now() - read_at > KNOWN_FOR_SECONDS:
            data_key = await self._data_key(tenant_id)
            self._known[tenant_id] = self._now(), data_key
        return TenantObservers(self, data_key, tenant_id)

    async def _data_key(self, tenant_id: UUID) -> DataKey | None:
        stored = await self._stored(tenant_id)
        keys = self._secrecy.keys
        if keys is None:
            if stored.wrapped is None:
                return None
            raise DataKeyError(
                "SENSITIVE_FIELDS_KEY is not set, and this tenant was read with one; set it again (docs/secrets.md)"
            )
        if stored.wrapped is None:
            kind = stored.kind or (DataKeyKind.SHARED if self._secrecy.is_comparable else DataKeyKind.TENANT)
            wrapped = keys.wrap(await self._new_secret(keys, kind), tenant_id)
            async with self._database.tenant(tenant_id) as session:
                await keep_data_key(session, wrapped, kind)
            # Another worker may have been first: the stored key counts.
            stored = await self._stored(tenant_id)
        if stored.wrapped is None or stored.kind is None:
            raise _tenant_is_gone()
        return DataKey.of(keys.unwrap(stored.wrapped, tenant_id), stored.kind)

    async def _new_secret(self, keys: WrappingKeys, kind: DataKeyKind) -> bytes:
        if kind is DataKeyKind.SHARED:
            async with self._database.portfolio() as session:
                shared = await a_shared_data_key(session)
            if shared is not None and shared.wrapped is not None:
                return keys.unwrap(shared.wrapped, shared.tenant_id)
        return keys.new_secret(kind)

    async def _stored(self, tenant_id: UUID) -> StoredDataKey:
        async with self._database.tenant(tenant_id, read_only=True) as session:
            stored = await stored_data_key(session)
        if stored is None:
            raise _tenant_is_gone()
        return stored

    def observer(self, type_key: str) -> Observer:
        """A collection's observer without a tenant's key."""
        if type_key not in self._observers:
            rules = self._catalog.collections[type_key].reading_rules
            self._observers[type_key] = Observer(self._rules(type_key), reading=rules)
        return self._observers[type_key]

    def raw_rules(self, type_key: str) -> tuple[bytes, frozenset[bytes]] | None:
        """The hash of a collection's rules, and the names of secrets that its documents lack.

        None for singletons, and if an item depends on more than its object.
        """
        if type_key not in self._raw_rules:
            collection, rules = self._catalog.collections[type_key], self._rules(type_key)
            has_none = collection.singleton or collection.left_out_where or collection.title_rule != TitleRule()
            entry = collection.model_dump(exclude={"title", "note", "licence_hint"})
            self._raw_rules[type_key] = (
                None
                if has_none
                else (rules_hash(code_hash(READERS), entry, rules.model_dump()), left_out_secrets(rules))
            )
        return self._raw_rules[type_key]

    def comparison(self, tenant_id: UUID) -> "TenantComparison":
        return TenantComparison(self, self._catalog, tenant_id)

    def likenesses(self, documents: Sequence[StoredDocument]) -> list[bytes]:
        """Each document's hash without its item's identity."""
        return [self._likeness(document) for document in documents]

    def _likeness(self, stored: StoredDocument) -> bytes:
        collection = self._catalog.collections[stored.type_key]
        document = stored.document
        if collection.masked:
            # Earlier releases stored nothing in place of a masked value.
            value: Any = decode(document)
            document = self.observer(stored.type_key).canonicalizer.canonical(value)
        return likeness_hash(document, stored.external_id, collection.form, id_field=collection.id_field)

    def _rules(self, type_key: str) -> ObservationRules:
        collection = self._catalog.collections[type_key]
        return collection.observation_rules(
            hide_script_bodies=self._secrecy.hide_script_bodies, show_payloads=self._secrecy.show_payloads
        )


class TenantComparison:
    """Compares documents by the catalog's rules (`storage.merge.DocumentComparison`)."""

    def __init__(self, observers: Observers, catalog: Catalog, tenant_id: UUID) -> None:
        self._observers = observers
        self._catalog = catalog
        self._tenant_id = tenant_id

    async def says_the_same(self, items: Sequence[FirstFormItem]) -> list[bool]:
        """Whether, by today's rules, each stored document of form 0 has the hash of Graph's document."""
        observers = await self._observers.of_tenant(self._tenant_id)
        return await crunch(self._tenant_id, lambda: [self._is_same(observers, item) for item in items])

    def _is_same(self, observers: TenantObservers, item: FirstFormItem) -> bool:
        if item.stored is None:
            return False
        stored: Any = decode(item.stored)
        by_todays_rules = observers.canonicalizer(item.type_key).canonical_value(stored)
        # A value stored in clear that is hidden today gets a version that hides it.
        is_hidden_anew = encode(by_todays_rules).count(_MARK) > encode(stored).count(_MARK)
        form = self._catalog.collections[item.type_key].form
        return not is_hidden_anew and form.hash(by_todays_rules) == item.content_hash

    async def are_changes(self, versions: Sequence[NewVersion]) -> list[bool]:
        """Whether `changes` shows a change in each version."""
        return await crunch(self._tenant_id, lambda: [self._is_change(version) for version in versions])

    def _is_change(self, version: NewVersion) -> bool:
        return changed_by(version, self._catalog.comparability(version.type_key)) != []


def _tenant_is_gone() -> ApplicationError:
    return ApplicationError(
        "the tenant was taken out of the database", type=ErrorCode.RUN_ABANDONED, non_retryable=True
    )
