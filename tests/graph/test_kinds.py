import csv
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from graph.catalog import Collection, kind_of, kinds, kinds_in, load_catalog
from graph.catalog.facts import metadata
from inventory.meta import COMMON_KEYS
from inventory.observation import Observer
from tests.conftest import GRAPH_DATA, needs_graph_data
from tests.entry_tests import of_each
from tests.real_documents import real_documents

TABLE = GRAPH_DATA.parent / "reference" / "graph-subtypes.csv"
COLLECTIONS_TABLE = GRAPH_DATA.parent / "reference" / "graph-collections.csv"

GRAPH = "#microsoft.graph."

FOLDER = Path(kinds.__file__).parent

CATALOG = load_catalog().collections


def subtypes() -> list[tuple[str, dict[str, str]]]:
    """Each row of the tables of subtypes: the collection, and the meta that determines the kind."""
    if not TABLE.is_file():
        return []
    with TABLE.open(newline="") as lines, COLLECTIONS_TABLE.open(newline="") as more:
        rows = [*csv.DictReader(lines), *csv.DictReader(more)]
    found: list[tuple[str, dict[str, str]]] = []
    for row in rows:
        collection, _, kind = row["type_key"].partition(".")
        marks = row["odata_filter_or_type"]
        if row["type_key"] in CATALOG or not kind:
            continue
        if marks.startswith("templateReference/templateId in ("):
            ids = re.findall(r"[0-9a-f-]{36}_\d+", marks)
            found += [(collection, {"template_id": template_id, "template_family": "baseline"}) for template_id in ids]
        else:
            found.append((collection, {"odata_type": marks}))
    return found


@pytest.mark.skipif(not TABLE.is_file(), reason="the table of subtypes is not here")
def test_the_tables_hold_all_tested_subtypes() -> None:
    assert len(subtypes()) == 211


@needs_graph_data
@of_each({str(subtype): subtype for subtype in subtypes()})
def test_every_kind_of_the_tables_has_its_own_name(subtype: tuple[str, dict[str, str]]) -> None:
    collection, meta = subtype
    kind = kind_of(collection, meta)
    assert kind not in (CATALOG[collection].title, "Security baseline")
    spelled_so = {"AppX", "BitLocker", "ConfigMgr", "OEMConfig", "iOS", "macOS"}
    assert {word for word in re.findall(r"\w+", kind) if re.search("[a-z][A-Z]", word)} <= spelled_so


@pytest.mark.parametrize(
    ("type_key", "meta", "kind"),
    [
        ("windowsUpdateRings", {"odata_type": f"{GRAPH}windowsUpdateForBusinessConfiguration"}, "Windows update ring"),
        ("deviceConfigurations", {"odata_type": f"{GRAPH}macOSPkcsCertificateProfile"}, "macOS PKCS certificate"),
        ("configurationPolicies", {"template_family": "none", "template_id": ""}, "Settings catalog policy"),
        (
            "configurationPolicies",
            {"template_family": "endpointSecurityFirewall", "template_id": "new_1"},
            "Firewall policy",
        ),
        ("configurationPolicies", {"template_family": "unheardOf"}, "Settings catalog and endpoint security policies"),
        (
            "mobileAppConfigurations",
            {"odata_type": f"{GRAPH}androidManagedStoreAppConfiguration", "oem_config": True},
            "Android OEMConfig profile",
        ),
        (
            "mobileAppConfigurations",
            {"odata_type": f"{GRAPH}androidManagedStoreAppConfiguration", "oem_config": False},
            "Managed Google Play app configuration",
        ),
        ("deviceConfigurations", {"odata_type": f"{GRAPH}ofTomorrow"}, "Device configuration profiles"),
        ("groups", {"odata_type": ["odd"]}, "Groups"),
        ("groups", {}, "Groups"),
        ("ofYesterday", {}, "ofYesterday"),
    ],
)
def test_kind_comes_from_collection_and_meta(type_key: str, meta: dict[str, Any], kind: str) -> None:
    assert kind_of(type_key, meta) == kind


@needs_graph_data
def test_real_settings_catalog_policies_show_their_template_in_their_meta() -> None:
    observer = Observer(CATALOG["configurationPolicies"].observation_rules())
    kinds = {
        kind_of("configurationPolicies", observer.observe(document).meta)
        for path, document in real_documents()
        if path == "deviceManagement/configurationPolicies" and "id" in document
    }
    assert {"Settings catalog policy", "Windows LAPS", "Attack surface reduction rules"} <= kinds
    assert CATALOG["configurationPolicies"].title not in kinds


def test_kinds_name_existing_collections_and_meta() -> None:
    for type_key, tables in tomllib.loads((FOLDER / "kinds.toml").read_text()).items():
        assert tables.keys() <= {*COMMON_KEYS, *CATALOG[type_key].meta}, type_key
        assert set(kinds_in(type_key)) == {kind for kinds in tables.values() for kind in kinds.values()}
    assert kinds_in("groups") == []


ABSTRACT = frozenset({
    "androidCertificateProfileBase", "androidDeviceOwnerCertificateProfileBase", "androidForWorkCertificateProfileBase",
    "androidForWorkEasEmailProfileBase", "androidWorkProfileCertificateProfileBase",
    "androidWorkProfileEasEmailProfileBase", "aospDeviceOwnerCertificateProfileBase",
    "appleDeviceFeaturesConfigurationBase", "appleExpeditedCheckinConfigurationBase", "appleVpnConfiguration",
    "depEnrollmentBaseProfile", "easEmailProfileConfigurationBase", "iosCertificateProfile",
    "iosCertificateProfileBase", "macOSCertificateProfileBase", "managedApp", "managedAppConfiguration",
    "managedAppProtection", "managedMobileLobApp", "mobileLobApp", "samlOrWsFedProvider",
    "targetedManagedAppProtection", "vpnConfiguration",
    "windows10CertificateProfileBase", "windows10XCertificateProfile", "windows81CertificateProfileBase",
    "windowsCertificateProfileBase", "windowsInformationProtection", "windowsPhone81CertificateProfileBase",
    "windowsVpnConfiguration",
})  # fmt: skip
"""Types that are abstract in Graph's metadata: no object has such a type."""

NO_ITEMS = {"whatIfAnalysisResult": "what a call to try policies answers"}
"""Types that the collection never lists, and why."""


def derived_types(entry: Collection) -> set[str]:
    """The published types that items of an entry may have beside the declared one."""
    facts = metadata(entry.api_version)
    place = facts.resolve(re.sub(r"\{\w+\}", "x", entry.path))
    if place is None:
        return set()
    found = set(facts.family(place.type_name)) - {place.type_name}
    only = re.search(r"isof\('microsoft\.graph\.(\w+)'\)", entry.filter or "")
    if only is not None:
        found &= facts.family(only[1])
    return found - {kind.removeprefix(GRAPH) for kind in entry.left_out_types}


@of_each(CATALOG)
def test_every_published_type_of_an_entry_has_a_name(entry: Collection) -> None:
    named = set(kinds.named_types(entry.type_key))
    published = derived_types(entry) - ABSTRACT - NO_ITEMS.keys()
    # A singleton has one type, which its title names.
    assert published <= named or entry.singleton, sorted(published - named)
    for kind in published & named:
        assert kind_of(entry.type_key, {"odata_type": f"{GRAPH}{kind}"}) != entry.title


def test_abstract_and_unlisted_types_are_published() -> None:
    named = sum(len(derived_types(entry) - ABSTRACT) for entry in CATALOG.values() if not entry.singleton)
    assert named >= 250
    assert all(any(kind in derived_types(entry) for entry in CATALOG.values()) for kind in (*ABSTRACT, *NO_ITEMS))
