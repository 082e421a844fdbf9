"""Few permissions, by Microsoft's map: none that is not needed, and none that nothing names."""

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


def test_each_collection_is_read_and_no_permission_can_go() -> None:
    chosen = set(least_permissions(EVERYTHING))
    assert chosen < set().union(*(entry.permissions for entry in EVERYTHING))
    assert [entry.type_key for entry in EVERYTHING if not reads(chosen, entry)] == []
    for permission in chosen:
        assert least_permissions(EVERYTHING)[permission], permission
        assert not all(reads(chosen - {permission}, entry) for entry in EVERYTHING), permission


def test_a_permission_of_a_deviation_is_covered_by_no_other() -> None:
    """The map lets the permission for configuration read scripts, which Graph does not."""
    script, configuration = COLLECTIONS["deviceShellScripts"], COLLECTIONS["deviceConfigurations"]
    assert configuration.permission in permissions_of(script.path)
    assert set(least_permissions([script, configuration])) == {script.permission, configuration.permission}


def test_the_collections_that_need_a_permission_are_told() -> None:
    names = ("groups", "oauth2PermissionGrants", "domains")
    assert least_permissions(COLLECTIONS[name] for name in names) == {
        "Directory.Read.All": ["domains", "groups", "oauth2PermissionGrants"],
        "Domain-InternalFederation.Read.All": ["domains"],
    }


def test_what_is_listed_under_parents_needs_the_permission_that_lists_them() -> None:
    for entry in COLLECTIONS.values():
        if entry.parent is not None:
            chosen = set(least_permissions([entry]))
            assert chosen & permissions_of(COLLECTIONS[entry.parent].path).keys(), entry.type_key
