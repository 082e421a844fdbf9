"""Few permissions that read collections, by Microsoft's published permissions of paths."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from graph.catalog import ChildCall, Collection, DetailCall, load_catalog
from graph.catalog.facts import permissions_of


class PermissionNeed(NamedTuple):
    """The permissions for a path that a collection reads; any of `readers` suffices."""

    type_key: str
    named: str
    """The least permission, which the catalog names."""
    readers: frozenset[str]


def least_permissions(collections: Iterable[Collection]) -> dict[str, list[str]]:
    """Permissions that suffice, sorted, each with the type keys that need it.

    A permission is left out if others read its paths: `Directory.Read.All` makes `Group.ReadBasic.All` needless.
    """
    needs = [need for collection in collections for need in _needs(collection)]
    named = {need.named for need in needs}
    needs = [need._replace(readers=need.readers & named) for need in needs]
    chosen = {reader for need in needs if len(need.readers) == 1 for reader in need.readers}
    open_needs = [need for need in needs if not need.readers & chosen]
    while open_needs:
        counts = {name: sum(name in need.readers for need in open_needs) for name in sorted(named)}
        chosen.add(max(counts, key=counts.__getitem__))
        open_needs = [need for need in open_needs if not need.readers & chosen]
    needed: dict[str, set[str]] = defaultdict(set)
    for need in needs:
        reader = need.named if need.named in chosen else min(need.readers & chosen)
        needed[reader].add(need.type_key)
    return {name: sorted(needed[name]) for name in sorted(needed)}


def _needs(collection: Collection) -> Iterator[PermissionNeed]:
    yield _need(collection, collection.path, collection.permission)
    if collection.parent is not None:
        parents = load_catalog().collections[collection.parent]
        yield _need(collection, parents.path, parents.permission)
    for detail in collection.details:
        permission = detail.permission or collection.permission
        calls: tuple[DetailCall | ChildCall, ...] = (detail, *detail.children)
        for call in calls:
            paths = [call.path.replace("{type}", kind.removeprefix("#")) for kind in detail.types or [""]]
            for path in paths:
                yield _need(collection, path.partition("?")[0], permission)


def _need(collection: Collection, path: str, permission: str) -> PermissionNeed:
    known = permissions_of(path)
    return PermissionNeed(collection.type_key, permission, frozenset(known if permission in known else {permission}))
