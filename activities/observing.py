"""How the objects of each collection are read: the catalog's rules, and what the configuration says of secrets."""

from collections.abc import Sequence
from typing import NamedTuple

from graph.catalog import Catalog
from inventory.canonical import Canonicalizer, likeness_hash
from inventory.observation import ObservationRules, Observer
from storage.recreating import StoredDocument


class Secrecy(NamedTuple):
    """The key under which sensitive values are hashed (None: they become a constant), and what is sensitive at all."""

    key: bytes | None = None
    hide_script_bodies: bool = False


class Observers:
    """One observer and one canonicalizer a collection, made when they are first asked for."""

    def __init__(self, catalog: Catalog, secrecy: Secrecy) -> None:
        self._catalog = catalog
        self._secrecy = secrecy
        self._observers: dict[str, Observer] = {}
        self._canonicalizers: dict[str, Canonicalizer] = {}

    def observer(self, type_key: str) -> Observer:
        """The observer of a collection's objects."""
        if type_key not in self._observers:
            self._observers[type_key] = Observer(
                self._rules(type_key),
                sensitive_key=self._secrecy.key,
                reading=self._catalog.collections[type_key].reading_rules,
            )
        return self._observers[type_key]

    def canonicalizer(self, type_key: str) -> Canonicalizer:
        """The canonicalizer of a collection's documents and their parts."""
        if type_key not in self._canonicalizers:
            rules = self._rules(type_key)
            self._canonicalizers[type_key] = Canonicalizer(
                volatile=rules.volatile,
                sensitive=rules.sensitive,
                ordered=rules.ordered,
                sensitive_key=self._secrecy.key,
            )
        return self._canonicalizers[type_key]

    def likenesses(self, documents: Sequence[StoredDocument]) -> list[bytes]:
        """What each document comes to without its item's identity."""
        return [self._likeness(one) for one in documents]

    def _likeness(self, one: StoredDocument) -> bytes:
        collection = self._catalog.collections[one.type_key]
        return likeness_hash(one.document, one.external_id, id_field=collection.id_field, ordered=collection.ordered)

    def _rules(self, type_key: str) -> ObservationRules:
        collection = self._catalog.collections[type_key]
        return collection.observation_rules(hide_script_bodies=self._secrecy.hide_script_bodies)
