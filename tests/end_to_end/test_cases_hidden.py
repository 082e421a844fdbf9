"""The cases of `../shared/cases` about hidden values: edits that Graph does not show, and secrets in new places."""

import asyncio
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import orjson
import pytest

from connections import connect_temporal
from inventory.records import RunRecord
from local.postgres import EmbeddedPostgres
from local.temporal import EmbeddedTemporal
from tests.end_to_end.cases import Case, Documents, SharedSystem, TenantPair, needs_cases, shared_system
from tests.end_to_end.test_secrets import histories, shows, stored_values

pytestmark = needs_cases


@pytest.fixture(scope="module", params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["keyed", "keyless"])
def shared_case_system(
    request: pytest.FixtureRequest,
    postgres: EmbeddedPostgres,
    migrated_template: str,
    temporal: EmbeddedTemporal,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SharedSystem]:
    key = {"SENSITIVE_FIELDS_KEY": token_hex() if request.param else "none", "LOG_LEVEL": "DEBUG"}
    with shared_system(
        postgres, migrated_template, temporal, tmp_path_factory.mktemp("hidden"), key, cases=12
    ) as shared:
        yield shared


def is_keyed(pair: TenantPair) -> bool:
    return pair.system.environment["SENSITIVE_FIELDS_KEY"] != "none"


@pytest.mark.parametrize(
    ("name", "path", "moves"),
    [
        ("08-encrypted-value-edited", "omaSettings[./Device/Vendor/Example/Secret].value", False),
        pytest.param("09-hidden-payload-edited-without-a-key", "payload", True, marks=pytest.mark.slow),
    ],
)
def test_hidden_value_of_an_edited_object_may_have_changed(pair: TenantPair, name: str, path: str, moves: bool) -> None:
    case = Case(name)
    type_key, (external_id,) = case.type_keys[0], case.ids
    pair.play(case, baseline=True)
    (change,) = [entry for entry in pair.changes(type_key) if entry.kind == "changed"]
    kind = "changed" if moves and is_keyed(pair) else "may_have_changed"
    assert [(field.path, field.kind, field.hidden) for field in change.fields or ()] == [(path, kind, True)]
    (finding,) = pair.drift()
    assert (finding.path, finding.hidden, finding.evidence == "edited") == (path, True, kind == "may_have_changed")
    (difference,) = pair.diff(type_key, external_id)
    assert (difference.path, difference.kind, difference.hidden) == (path, kind, True)
    for command in (("changes",), ("drift",)):
        result = pair.command(*command)
        assert f"hidden, {kind.replace('_', ' ')}" in " ".join(result.stdout.split()), result.stdout
        for secret in ("****", "30000000-0000-4000-8000-000000000080_", "sensitive"):
            assert secret not in result.stdout + result.stderr
    # Values that move without an edit are not reported.
    (graph_object,) = case.after[type_key]
    for setting in graph_object.get("omaSettings", ()):
        setting["secretReferenceValueId"] = "another"
    graph_object["lastModifiedDateTime"] = "2026-03-01T08:00:00Z"
    pair.hold({type_key: [graph_object]})
    assert pair.sync(case.type_keys).counts.changed == 0


@pytest.mark.slow
def test_08_new_version_number_alone_is_no_change_without_hidden_values(pair: TenantPair) -> None:
    case = Case("08-encrypted-value-edited")
    type_key = case.type_keys[0]
    for documents in (case.before, case.after):
        documents[type_key][0]["omaSettings"] = []
    _, after = pair.play(case)
    assert (after.counts.changed, [change for change in pair.changes(type_key) if change.kind == "changed"]) == (0, [])


CATALOG_SECRET = "settings[com.apple.wifi.managed_password].settingInstance.simpleSettingValue.value"


def catalog_policy(changed_at: str, **properties: Any) -> Documents:
    """A settings catalog policy with a secret, for which Graph shows a new token at each read."""
    value = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSecretSettingValue",
        "settingValueTemplateReference": None,
        "value": "30000000-0000-4000-8000-0000000000a0",
        "valueState": "encryptedValueToken",
    }
    instance = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
        "settingDefinitionId": "com.apple.wifi.managed_password",
        "settingInstanceTemplateReference": None,
        "simpleSettingValue": value,
    }
    policy = {
        "id": "30000000-0000-4000-8000-0000000000b0",
        "name": "Wi-Fi",
        "description": "",
        "createdDateTime": "2026-01-01T08:00:00Z",
        "lastModifiedDateTime": changed_at,
        "settingCount": 1,
        "settings": [{"id": "0", "settingInstance": instance}],
        "assignments": [],
    }
    return {"configurationPolicies": [{**policy, **properties}]}


@pytest.mark.slow
def test_settings_catalog_secret_may_have_changed_if_its_policy_was_edited(pair: TenantPair) -> None:
    (type_key,) = documents = catalog_policy("2026-01-01T08:00:00Z")
    external_id = documents[type_key][0]["id"]
    pair.hold(documents)
    first = pair.sync([type_key])
    result = pair.command("baseline", "set", "golden", "--run", str(first.run_id), "--reason", "as it was")
    assert result.code == 0, result.stderr
    again = pair.sync([type_key], "--deep")
    assert (again.counts.changed, pair.changes(type_key)[1:]) == (0, []), "a new token is no edit"

    pair.hold(catalog_policy("2026-02-01T08:00:00.1230000Z"))
    edited = pair.sync([type_key])
    (change,) = [entry for entry in pair.changes(type_key) if entry.kind == "changed"]
    expected = (CATALOG_SECRET, "may_have_changed", True)
    assert edited.counts.changed == 1
    assert [(field.path, field.kind, field.hidden) for field in change.fields or ()] == [expected]
    (finding,) = pair.drift()
    assert (finding.path, finding.hidden, finding.evidence) == (CATALOG_SECRET, True, "edited")
    (difference,) = pair.diff(type_key, external_id)
    assert (difference.path, difference.kind, difference.hidden) == expected
    setting: Any = pair.show(type_key, external_id)["settings"][0]["settingInstance"]["simpleSettingValue"]
    assert setting["value"] == {"edited": "2026-02-01T08:00:00.1230000Z", "sensitive": True}
    assert setting["valueState"] == "encryptedValueToken"

    # A new token, or another spelling of the same time, is no edit.
    pair.hold(catalog_policy("2026-02-01T08:00:00.123Z"))
    assert pair.sync([type_key], "--deep").counts.changed == 0

    pair.hold(catalog_policy("2026-03-01T08:00:00Z"), pair.other)
    result = pair.system.starter("sync", pair.other.name, "--type", type_key, "--json")
    assert result.code == 0, result.stderr
    result = pair.system.starter("compare", pair.tenant.name, pair.other.name, "--type", type_key, "--json")
    (compared,) = [line for line in result.objects() if "matched_by" in line]
    assert (compared["status"], compared["fields"]) == ("undecided", [])
    assert "secret_not_shown" in compared["uncertain"]


SECRETS = {
    "26-secret-in-imported-wifi-profile": (
        "payload",
        ("MADE-UP-WIFI-KEY", "PGtleU1hdGVyaWFsPk1BREUtVVAtV0lGSS1LRVk8L2tleU1hdGVyaWFsPg=="),
    ),
    "27-secret-workspace-key": ("azureOperationalInsightsWorkspaceKey", ("MADE-UP-WORKSPACE-KEY",)),
    "28-secret-autopilot-device-account-password": ("deviceAccountPassword", ("MADE-UP-DEVICE-PASSWORD",)),
    "29-secret-in-logic-app-url": ("endpointConfiguration.url", ("MADE-UP-SIGNATURE",)),
    "30-secret-in-function-target-url": ("endpointConfiguration.targetUrl", ("MADE-UP-FUNCTION-KEY",)),
    "31-secret-in-office-configuration": ("officeConfigurationXml", ("MADE-UP-PRODUCT-KEY", "PENvbmZpZ3VyYXRp")),
    "32-secret-in-ios-sign-on-extension": ("iosSingleSignOnExtension.configurations", ("MADE-UP-SSO-TOKEN-32",)),
    "33-secret-in-macos-sign-on-extension": ("macOSSingleSignOnExtension.configurations", ("MADE-UP-SSO-TOKEN-33",)),
}
"""The path of each case's secret, and the spellings of the secret."""


def test_no_secret_is_stored_shown_exported_or_logged(pair: TenantPair) -> None:
    cases = {name: Case(name) for name in SECRETS}
    type_keys = sorted({case.type_keys[0] for case in cases.values()})
    before, after = Documents(), Documents()
    for name, case in cases.items():
        other = orjson.dumps(case.after[case.type_keys[0]])
        for secret in SECRETS[name][1]:
            other = other.replace(secret.encode(), secret[::-1].replace("=", "A").encode())
        before.setdefault(case.type_keys[0], []).extend(case.before[case.type_keys[0]])
        after.setdefault(case.type_keys[0], []).extend(orjson.loads(other))
    pair.hold(before)
    first = pair.sync(type_keys)
    kept = [pair.system.logs().encode(), asyncio.run(history(pair, first)).encode()]
    for name, case in cases.items():
        document = pair.show(case.type_keys[0], case.ids[0])
        assert "sensitive" in hidden_value(document, SECRETS[name][0]), name
        kept.append(repr(document).encode())
    exported = pair.system.folder / f"exported-{is_keyed(pair)}"
    assert pair.command("export", str(exported)).code == 0
    kept += [file.read_bytes() for file in exported.rglob("*") if file.is_file()]
    kept += stored_values(pair.system.environment["DATABASE_URL"])
    for name, case in cases.items():
        assert any(case.ids[0].encode() in text for text in kept), name
        for secret in SECRETS[name][1]:
            assert not any(shows(text, secret) for text in kept), name

    pair.hold(after)
    assert pair.sync(type_keys).counts.changed == (len(cases) if is_keyed(pair) else 0)
    changes = {change.external_id: change.fields for change in pair.changes(*type_keys) if change.kind == "changed"}
    assert changes.keys() == ({case.ids[0] for case in cases.values()} if is_keyed(pair) else set())
    for name, case in cases.items() if is_keyed(pair) else ():
        (field,) = list(changes[case.ids[0]] or [])
        assert (field.path.startswith(SECRETS[name][0]), field.hidden, field.kind) == (True, True, "changed"), name


def hidden_value(document: dict[str, Any], path: str) -> Any:
    """The value that replaces a secret; in a list of configurations, the value that replaces its token."""
    part: Any = document
    for step in path.split("."):
        part = part[step]
    if path.endswith("configurations"):
        assert [value["key"] for value in part] == ["endpoint", "token"]
        part = part[1]["value"]
    return part


async def history(pair: TenantPair, record: RunRecord) -> str:
    """All text in the histories of a run."""
    return await histories(await connect_temporal({"target_host": pair.system.environment["TEMPORAL_ADDRESS"]}), record)
