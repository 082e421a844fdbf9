"""Bindings of profiles: Graph shows bound certificates, credentials and networks only under their own paths."""

from graph.catalog import load_catalog
from graph.catalog.facts import metadata
from inventory.references import path_of

PROFILES = load_catalog().collections["deviceConfigurations"]

GRAPH = "#microsoft.graph."

STATES = {
    "deviceSettingStateSummaries", "deviceStatusOverview", "deviceStatuses", "managedDeviceCertificateStates",
    "userStatusOverview", "userStatuses",
}  # fmt: skip
"""A profile's states on devices: data of devices and people."""


def test_each_binding_of_each_profile_type_is_read() -> None:
    facts = metadata("beta")
    read = {call.property: call for call in PROFILES.details}
    types = facts.family("deviceConfiguration")
    bases = {base for kind in types for base in list(facts.line(kind))[1:]}
    bound = {(name, kind) for kind in types - bases for name in facts.navigations(kind)}
    unread = {
        (name, kind)
        for name, kind in bound
        if name not in STATES | {"assignments", "groupAssignments"}
        and (name not in read or f"{GRAPH}{kind}" not in read[name].types)
    }
    assert unread == set()
    assert len([binding for binding in bound if binding[0] in read]) > 70


def test_a_bound_profile_is_a_reference() -> None:
    followed = {path_of(rule) for rule in PROFILES.references}
    values = {"privacyAccessControls"}
    assert {f"{call.property}.id" for call in PROFILES.details if call.property not in values} <= followed
