"""Two tenants by setting on a database: policies are read, and uncertain policies are named."""

from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest

from answers.compare.answer import side
from answers.compare.records import Status, TenantRecord
from answers.compare.setting_comparison import SETTING_COLLECTIONS, SettingsComparison
from answers.compare.setting_records import SettingComparison, SettingsComparisonRecord, SettingUncertainty
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.observation import Observation, Observer
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.inventory.test_settings import choice, custom, policy, simple
from tests.storage.support import sync

HERE, THERE = UUID(int=41), UUID(int=42)
CATALOG, CONFIGURATIONS, COMPLIANCE = "configurationPolicies", "deviceConfigurations", "deviceCompliancePolicies"
TYPES = (CATALOG, CONFIGURATIONS, COMPLIANCE, "groups", "configurationSettings")
CORTANA = "device_vendor_msft_policy_config_experience_allowcortana"
PIN = "device_vendor_msft_policy_config_devicelock_minlength"
FAILED: tuple[Outcome, ErrorCode | None] = (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)
COMPLETE: tuple[Outcome, ErrorCode | None] = (Outcome.COMPLETE, None)


def observed(type_key: str, external_id: str, document: dict[str, Any]) -> Observation:
    name = load_catalog().collections[type_key].name_field
    rules = load_catalog().collections[type_key].observation_rules()
    whole = {name: external_id, "assignments": [], **document, "id": external_id}
    return Observer(rules).observe(whole)._replace(list_hash=None)


def assigned(group_id: str) -> dict[str, Any]:
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id}
    return {"assignments": [{"id": "1", "target": target}]}


async def compared(database: Database) -> tuple[dict[str, SettingComparison], SettingsComparisonRecord]:
    async with (
        database.tenant(HERE, read_only=True, snapshot=True) as first,
        database.tenant(THERE, read_only=True, snapshot=True) as second,
    ):
        comparison = SettingsComparison(
            await side(TenantRecord(tenant_id=HERE, name="here"), first),
            await side(TenantRecord(tenant_id=THERE, name="there"), second),
        )
        return {setting.key: setting for setting in await comparison.settings()}, comparison.record()


def test_the_collections_of_settings_are_in_the_catalog() -> None:
    assert set(SETTING_COLLECTIONS) <= load_catalog().collections.keys()


async def test_a_conflict_names_values_policies_and_assignments(database: Database) -> None:
    pilot = "11111111-2222-4333-8444-555555555555"
    definition = {
        "displayName": "Allow Cortana",
        "options": [
            {"itemId": f"{CORTANA}_1", "displayName": "Allow"},
            {"itemId": f"{CORTANA}_0", "displayName": "Block"},
        ],
    }
    here = [
        observed(CATALOG, "Baseline", policy(choice(CORTANA, "1"), simple(PIN, 6)) | assigned(pilot)),
        observed("groups", pilot, {"displayName": "Pilot"}),
        observed("configurationSettings", CORTANA, definition),
    ]
    there = [
        observed(CATALOG, "Hardening A", policy(choice(CORTANA, "0"))),
        observed(CATALOG, "Hardening B", policy(choice(CORTANA, "1"), simple(PIN, 6))),
    ]
    await sync(database, HERE, here, *TYPES)
    await sync(database, THERE, there, *TYPES)
    settings, record = await compared(database)
    assert {key: setting.status for key, setting in settings.items()} == {CORTANA: Status.DIFFERENT, PIN: Status.SAME}
    conflict = settings[CORTANA]
    assert (conflict.label, conflict.differs_within_here, conflict.differs_within_there) == (
        "Allow Cortana",
        False,
        True,
    )
    [allowed] = conflict.here
    assert (allowed.text, [held.assigned_to for held in allowed.policies]) == ("Allow", [['include group "Pilot"']])
    assert {held.text: [policy.display_name for policy in held.policies] for held in conflict.there} == {
        "Block": ["Hardening A"],
        "Allow": ["Hardening B"],
    }
    assert record.is_complete
    assert (record.counts.shared, record.counts.different, record.counts.differs_within) == (2, 1, 1)


async def test_a_hidden_oma_uri_value_is_undecided_against_its_csp_setting(database: Database) -> None:
    path = "./Device/Vendor/MSFT/Policy/Config/Experience/AllowCortana"
    await sync(database, HERE, [observed(CONFIGURATIONS, "OMA", custom({"omaUri": path, "value": 1}))], *TYPES)
    await sync(database, THERE, [observed(CATALOG, "Catalog", policy(choice(CORTANA, "1")))], *TYPES)
    settings, _ = await compared(database)
    assert settings[CORTANA].status is Status.UNDECIDED
    assert settings[CORTANA].uncertain == [SettingUncertainty.HIDDEN]
    assert settings[CORTANA].here[0].value is None


async def test_an_unread_collection_is_left_out_of_both_sides_and_named(database: Database) -> None:
    compliance = {"@odata.type": "#microsoft.graph.windows10CompliancePolicy", "bitLockerEnabled": True}
    baseline = observed(CATALOG, "Baseline", policy(choice(CORTANA, "1")))
    await sync(database, HERE, [baseline, observed(COMPLIANCE, "Compliance", compliance)], *TYPES)
    outcomes = dict.fromkeys(TYPES, COMPLETE) | {COMPLIANCE: FAILED}
    await sync(database, THERE, [], *TYPES, status=RunStatus.PARTIAL, outcomes=outcomes)
    settings, record = await compared(database)
    assert settings.keys() == {CORTANA}
    assert settings[CORTANA].status is Status.ONLY_HERE
    assert settings[CORTANA].uncertain == [SettingUncertainty.COLLECTION_NOT_READ]
    assert [collection.type_key for collection in record.collections if not collection.is_compared] == [COMPLIANCE]
    assert not record.is_complete


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE inventory_item SET stale_since = now(), stale_parts = '[]' WHERE tenant_id = %s",
         SettingUncertainty.STALE),
        ("UPDATE item_version SET details_complete = false WHERE tenant_id = %s",
         SettingUncertainty.DETAILS_INCOMPLETE),
        ("DELETE FROM item_version WHERE tenant_id = %s", SettingUncertainty.NO_DOCUMENT),
    ],
)  # fmt: skip
async def test_an_incompletely_known_policy_is_named_and_makes_settings_uncertain(
    database: Database, database_url: str, statement: LiteralString, reason: SettingUncertainty
) -> None:
    baseline = observed(CATALOG, "Baseline", policy(choice(CORTANA, "1")))
    await sync(database, HERE, [baseline], *TYPES)
    await sync(database, THERE, [baseline, observed(CATALOG, "More", policy(simple(PIN, 6)))], *TYPES)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement, [HERE])
    settings, record = await compared(database)
    is_read = reason is not SettingUncertainty.NO_DOCUMENT
    assert settings[CORTANA].status is (Status.UNDECIDED if is_read else Status.ONLY_THERE)
    assert [settings[key].uncertain for key in (CORTANA, PIN)] == [[reason], [reason]]
    assert [(policy.tenant.name, policy.reasons) for policy in record.uncertain_policies] == [("here", [reason])]


@pytest.mark.parametrize("value", [True, False])
async def test_a_typed_property_conflicts_only_if_both_tenants_set_it(database: Database, value: bool) -> None:
    kind = {"@odata.type": "#microsoft.graph.windows10CompliancePolicy"}
    policy_here = observed(COMPLIANCE, "One", kind | {"osMinimumVersion": "10.1", "tpmRequired": True})
    policy_there = observed(COMPLIANCE, "Two", kind | {"osMinimumVersion": "10.2", "tpmRequired": value})
    await sync(database, HERE, [policy_here], *TYPES)
    await sync(database, THERE, [policy_there], *TYPES)
    settings, _ = await compared(database)
    assert {key.partition("/")[2]: setting.status for key, setting in settings.items()} == {
        "osMinimumVersion": Status.DIFFERENT,
        "tpmRequired": Status.SAME if value else Status.ONLY_HERE,
    }
