"""The catalog's entries, read from this folder."""

from collections.abc import Collection as CollectionOf
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from graph.catalog.model import Collection
from inventory.titles import TitleRule
from inventory.toml_file import table_beside
from inventory.user_errors import UserError

if TYPE_CHECKING:  # as in graph.catalog.model
    from inventory.changed_fields import Comparability
    from inventory.reference_extraction import ReadingRules
    from inventory.references import ReferenceRules

_SHARED_TABLES = frozenset({"references"})
"""Top tables of a file that its entries share."""

NO_ENTRIES = frozenset({
    "defaults.toml", "deviations.toml", "kinds.toml", "permission_ids.toml", "write_rules.toml",
})  # fmt: skip
"""Files without entries."""


MOST_NAMED = 3
"""Categories or collections in a selection's name."""


class UnknownCategoryError(UserError):
    """The message names the unknown categories and the known ones."""


class Catalog:
    def __init__(self, collections: Iterable[Collection]) -> None:
        self.collections: dict[str, Collection] = {}
        for collection in sorted(collections, key=lambda collection: collection.type_key):
            if collection.type_key in self.collections:
                raise ValueError(f"the catalog has two entries {collection.type_key}")
            self.collections[collection.type_key] = collection

    def everything(self) -> set[str]:
        """Type keys that are not opt-in."""
        return {key for key, collection in self.collections.items() if not collection.opt_in}

    def first_url(self, type_key: str, tenant_id: UUID) -> str:
        """For a collection under parents, the URL of the parents' ids."""
        collection = self.collections[type_key]
        if collection.parent is not None:
            return self.collections[collection.parent].ids_url(collection.parent_filter)
        return collection.first_url(tenant_id)

    def permission_of_listing(self, type_key: str, url: str) -> str:
        """The permission for a URL of the listing, which may be of the parents' ids."""
        collection = self.collections[type_key]
        if collection.parent is None or collection.is_own_listing(url):
            return collection.permission
        return self.collections[collection.parent].permission

    def comparability(self, type_key: str) -> "Comparability":
        """A collection that left the catalog is compared without rules."""
        from inventory.canonical import Canonicalizer
        from inventory.changed_fields import Comparability
        from inventory.normal_form import NormalForm

        entry = self.collections.get(type_key)
        return Comparability(Canonicalizer(), NormalForm(), None) if entry is None else entry.comparability

    def title_of(self, type_key: str) -> str:
        """The type key if the collection left the catalog."""
        return self.collections[type_key].title if type_key in self.collections else type_key

    def category_of(self, type_key: str) -> str | None:
        """None if the collection left the catalog."""
        return self.collections[type_key].category if type_key in self.collections else None

    def references_of(self, type_key: str) -> "ReferenceRules":
        """Empty if the collection left the catalog."""
        return self.collections[type_key].references if type_key in self.collections else {}

    def reading_rules(self) -> "dict[str, ReadingRules]":
        return {key: collection.reading_rules for key, collection in self.collections.items()}

    def title_rules(self) -> dict[str, TitleRule]:
        """Rules by type key, for collections with nameless items."""
        rules = {key: collection.title_rule for key, collection in self.collections.items()}
        return {key: rule for key, rule in rules.items() if rule != TitleRule()}

    def name_of(self, type_keys: CollectionOf[str]) -> str:
        """A selection's name: `everything`, its categories, a few collections, or their number."""
        keys = set(type_keys)
        if keys == self.everything():
            return "everything"
        whole = [name for name in self.categories() if self.in_categories([name]) <= keys]
        if whole and self.in_categories(whole) == keys and len(whole) <= MOST_NAMED:
            return ", ".join(whole)
        if len(keys) <= MOST_NAMED:
            return ", ".join(sorted(keys))
        return f"{len(keys)} collections"

    def categories(self) -> list[str]:
        return sorted({collection.category for collection in self.collections.values()})

    @property
    def logs(self) -> frozenset[str]:
        return frozenset(key for key, collection in self.collections.items() if collection.is_log)

    @property
    def confirmable(self) -> frozenset[str]:
        """Collections whose unlisted items a run asks for by id."""
        return frozenset(key for key, collection in self.collections.items() if collection.confirmable)

    def in_categories(self, names: Iterable[str]) -> set[str]:
        """Raises `UnknownCategoryError`."""
        chosen, categories = set(names), self.categories()
        unknown = sorted(chosen - set(categories))
        if unknown:
            raise UnknownCategoryError(
                f"unknown category {', '.join(map(repr, unknown))}; there are: {', '.join(categories)}"
            )
        return {key for key, collection in self.collections.items() if collection.category in chosen}


@cache
def load_catalog() -> Catalog:
    """Raises `ValueError` only if the release is faulty."""
    folder = Path(__file__).parent
    defaults = table_beside(__file__, "defaults.toml")
    return Catalog(
        _entry(type_key, entry, shared, defaults)
        for path in sorted(folder.glob("*.toml"))
        if path.name not in NO_ENTRIES
        for shared, type_key, entry in _entries(path)
    )


def _entries(path: Path) -> Iterable[tuple[dict[str, Any], str, dict[str, Any]]]:
    content = table_beside(__file__, path.name)
    shared = {key: value for key, value in content.items() if key in _SHARED_TABLES or not isinstance(value, dict)}
    for type_key, entry in content.items():
        if type_key not in shared:
            yield shared, type_key, entry


def _entry(type_key: str, entry: dict[str, Any], shared: dict[str, Any], defaults: dict[str, Any]) -> Collection:
    """An entry with its file's shared values and the default lists, without properties in `kept`."""
    merged = {**shared, **entry, "type_key": type_key}
    for name in ("volatile", "sensitive", "ordered", "unordered", "flags", "change_signs", "identity"):
        merged[name] = [*defaults.get(name, []), *merged.get(name, [])]
    kept = set(merged.pop("kept", ()))
    for name in ("volatile", "change_signs"):
        merged[name] = [path for path in merged[name] if path not in kept]
    for name in _SHARED_TABLES:
        merged[name] = {**shared.get(name, {}), **entry.get(name, {})}
    return Collection.model_validate(merged)
