"""Volatile properties are named with their place; each other published place of the same word is judged."""

from collections.abc import Iterator

from graph.catalog import Collection, load_catalog
from inventory.canonical import JsonObject
from inventory.exact_json import decode
from inventory.observation import ObservationRules, Observer
from tests.graph.catalog_judge import Shape, shape_of

COLLECTIONS = load_catalog().collections

MEAN_THE_SAME_EVERYWHERE = {"lastModifiedDateTime", "modifiedDateTime"}

CONTENT = {
    ("groups", "owners.onPremisesLastSyncDateTime"): "owners are read as ids alone",
    ("groups", "owners.onPremisesProvisioningErrors"): "owners are read as ids alone",
    ("groups", "owners.renewedDateTime"): "owners are read as ids alone",
    ("mobileApps", "assignments.settings.version"): "pins the app's version",
    ("policySets", "items.settings.version"): "pins the app's version",
    ("windowsDriverUpdateProfiles", "driverInventories.version"): "the driver's version",
    ("servicePrincipals", "owners.mailboxSettings.automaticRepliesSetting.status"): "owners are read as ids alone",
    ("servicePrincipals", "owners.status"): "owners are read as ids alone",
    ("servicePrincipals", "owners.transitionDetails.status"): "owners are read as ids alone",
    ("teamsApps", "appDefinitions.publishingState"): "whether the app is submitted or published",
    ("teamsApps", "appDefinitions.version"): "the app's version",
    ("tenantGovernanceRelationships", "policySnapshot.version"): "of the policy that was agreed on",
}
"""Places where a word is content, though volatile elsewhere in the collection, and its meaning there."""

READ_AS_IDS = frozenset(
    {
        "domainJoinConfiguration", "identityCertificate", "identityCertificateForClientAuthentication",
        "networkAccessConfigurations", "rootCertificate", "rootCertificateForClientValidation",
        "rootCertificateForServerValidation", "rootCertificatesForClientValidation",
        "rootCertificatesForServerValidation", "secondaryIdentityCertificateForClientAuthentication",
        "secondaryRootCertificateForClientValidation", "singleSignOnExtensionPkinitCertificate",
        "smimeEncryptionCertificate", "smimeSigningCertificate",
    }
)  # fmt: skip
"""Bound profiles, of which only the id is read (`$select=id`)."""


def test_only_names_with_one_meaning_are_volatile_at_any_depth() -> None:
    for entry in COLLECTIONS.values():
        at_any_depth = {name for name in entry.volatile if "/" not in name}
        assert at_any_depth <= MEAN_THE_SAME_EVERYWHERE, entry.type_key


def test_each_place_of_a_volatile_word_is_volatile_or_known_as_content() -> None:
    looked_up, content = 0, set()
    for key, entry in COLLECTIONS.items():
        shape = shape_of(entry)
        if shape is None:
            continue
        words = {name.rpartition("/")[2] for name in entry.volatile} - MEAN_THE_SAME_EVERYWHERE - {"value"}
        for path in places(shape, words):
            looked_up += 1
            if not is_volatile_path(entry, path):
                content.add((key, ".".join(path)))
    assert content == CONTENT.keys()
    assert looked_up > 200


def test_installer_is_content_and_its_upload_is_not() -> None:
    apps = Observer(COLLECTIONS["mobileApps"].observation_rules())
    app: JsonObject = {
        "id": "a",
        "@odata.type": "#microsoft.graph.win32LobApp",
        "size": 1,
        "committedContentVersion": "1",
    }
    changes: JsonObject = {
        "id": "a", "size": 2, "committedContentVersion": "2", "uploadState": 2, "publishingState": "processing",
    }  # fmt: skip
    hashes = {name: apps.observe({**app, name: value}).content_hash for name, value in changes.items()}
    assert hashes["uploadState"] == hashes["publishingState"] == hashes["id"]
    assert len({hashes["id"], hashes["size"], hashes["committedContentVersion"]}) == 3


def test_pinned_version_is_content_and_the_objects_version_is_not() -> None:
    drivers = Observer(COLLECTIONS["windowsDriverUpdateProfiles"].observation_rules())
    profile: JsonObject = {"id": "a", "version": 1, "driverInventories": [{"id": "b", "version": "1.0"}]}
    same = drivers.observe({**profile, "version": 2})
    other = drivers.observe({**profile, "driverInventories": [{"id": "b", "version": "2.0"}]})
    assert drivers.observe(profile).content_hash == same.content_hash != other.content_hash


def test_sensitive_property_of_the_document_is_hidden_only_there() -> None:
    rules = ObservationRules(type_key="a", sensitive=frozenset({"/displayName"}))
    observation = Observer(rules).observe({"id": "a", "displayName": "hunter2", "part": {"displayName": "shown"}})
    assert observation.display_name is None
    assert decode(observation.document) == {
        "id": "a",
        "displayName": {"sensitive": True},
        "part": {"displayName": "shown"},
    }


def is_volatile_path(entry: Collection, path: tuple[str, ...]) -> bool:
    parent = path[-2] if len(path) > 1 else ""
    kept = {"mobileApps", "cloudPc.deviceImages", "termsAndConditions"}
    return (
        f"{parent}/{path[-1]}" in entry.volatile
        or not READ_AS_IDS.isdisjoint(path[:-1])
        or (path == ("version",) and entry.type_key in kept)
    )


def places(
    shape: Shape, words: set[str], path: tuple[str, ...] = (), met: set[object] | None = None
) -> Iterator[tuple[str, ...]]:
    """Paths of properties with these names, by the published types; visits each type once."""
    met = set() if met is None else met
    properties = {name: place for type_name in shape.types for name, place in shape.facts.properties(type_name).items()}
    for word in sorted(words & properties.keys()):
        yield (*path, word)
    for name in sorted({name for name, place in properties.items() if place.type_name} | shape.added.keys()):
        inner = shape.step(name)
        if inner is not None and inner.types and (name, inner.types) not in met:
            met.add((name, inner.types))
            yield from places(inner, words, (*path, name), met)
