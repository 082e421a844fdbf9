"""The fewest permissions that read the collections, by Microsoft's map."""

from graph.catalog import Collection, load_catalog
from graph.catalog.facts import permissions_of
from graph.least_permissions import least_permissions

COLLECTIONS = load_catalog().collections
EVERYTHING = [COLLECTIONS[key] for key in sorted(load_catalog().everything())]


def reads(granted: set[str], entry: Collection) -> bool:
    """Whether the permissions read the listing and each detail."""
    calls = [(entry.path, entry.permission)]
    calls += [(detail.path.partition("?")[0], detail.permission or entry.permission) for detail in entry.details]
    return all(permission in granted or bool(granted & permissions_of(path).keys()) for path, permission in calls)


def test_each_collection_is_read_and_each_permission_is_needed() -> None:
    chosen = set(least_permissions(EVERYTHING))
    assert chosen < set().union(*(entry.permissions for entry in EVERYTHING))
    assert [entry.type_key for entry in EVERYTHING if not reads(chosen, entry)] == []
    for permission in chosen:
        assert least_permissions(EVERYTHING)[permission], permission
        assert not all(reads(chosen - {permission}, entry) for entry in EVERYTHING), permission


def test_permission_of_a_deviation_is_not_replaced() -> None:
    """By the map, the permission for configuration also reads scripts; Graph refuses that."""
    script, configuration = COLLECTIONS["deviceShellScripts"], COLLECTIONS["deviceConfigurations"]
    assert configuration.permission in permissions_of(script.path)
    assert set(least_permissions([script, configuration])) == {script.permission, configuration.permission}


def test_each_permission_names_its_collections() -> None:
    names = ("groups", "oauth2PermissionGrants", "domains")
    assert least_permissions(COLLECTIONS[name] for name in names) == {
        "Directory.Read.All": ["domains", "groups", "oauth2PermissionGrants"],
        "Domain-InternalFederation.Read.All": ["domains"],
    }


def test_child_collection_needs_its_parents_permission() -> None:
    for entry in COLLECTIONS.values():
        if entry.parent is not None:
            chosen = set(least_permissions([entry]))
            assert chosen & permissions_of(COLLECTIONS[entry.parent].path).keys(), entry.type_key
