"""Secrets of every kind, planted in a tenant, appear in nothing that the product stores, prints or logs."""

import asyncio
import base64
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg
import pytest
from psycopg import sql
from temporalio.client import Client
from zstandard import ZstdDecompressor, ZstdError

from connections import connect_temporal
from graph.catalog import load_catalog
from inventory.outcomes import RunStatus
from inventory.records import RunRecord
from inventory.selection import Selection
from local.simulated_graph import Fault, FaultKind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.conftest import GRAPH_DATA
from tests.end_to_end.system import SEEDS, System
from tests.readable_history import readable
from tests.simulated_items import listing_documents, whole_document
from workflows.messages import SyncInput
from workflows.requests import sync_workflow_id
from workflows.sync import SyncWorkflow

MARK = "sample-secret-"
"""The simulated Graph's own samples of secrets begin with it, too."""

SCRIPT_MARK = "planted-script-"

SCRIPT_BODIES = ("scriptContent", "detectionScriptContent", "remediationScriptContent")

Document = dict[str, Any]


class Plant(NamedTuple):
    """The place of a secret: a path, and the document to add there."""

    path: str
    document: Callable[[str], Document]
    shows_change: bool = True
    """False if Graph shows a new token at each read, so that the product stores nothing of it."""


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _typed(name: str, **properties: Any) -> Document:
    return {"@odata.type": f"#microsoft.graph.{name}", **properties}


CONFIGURATIONS = "deviceManagement/deviceConfigurations"

PLANTS: dict[str, Plant] = {
    "OMA-URI value": Plant(
        CONFIGURATIONS,
        lambda secret: _typed(
            "windows10CustomConfiguration",
            omaSettings=[_typed("omaSettingString", displayName="Key", omaUri="./Vendor/Key", value=secret)],
        ),
    ),
    "OMA-URI file": Plant(
        CONFIGURATIONS,
        lambda secret: _typed(
            "androidCustomConfiguration",
            omaSettings=[_typed("omaSettingStringXml", omaUri="./Vendor/Xml", value=_encoded(secret))],
        ),
    ),
    "Wi-Fi key": Plant(CONFIGURATIONS, lambda secret: _typed("iosWiFiConfiguration", ssid="a", preSharedKey=secret)),
    "VPN secret": Plant(CONFIGURATIONS, lambda secret: _typed("iosikEv2VpnConfiguration", sharedSecret=secret)),
    "VPN data": Plant(
        CONFIGURATIONS,
        lambda secret: _typed("iosVpnConfiguration", customData=[{"key": "password", "value": secret}]),
    ),
    "Apple profile": Plant(
        CONFIGURATIONS, lambda secret: _typed("macOSCustomConfiguration", payload=_encoded(f"<plist>{secret}</plist>"))
    ),
    "product key": Plant(CONFIGURATIONS, lambda secret: _typed("editionUpgradeConfiguration", productKey=secret)),
    "licence file": Plant(CONFIGURATIONS, lambda secret: _typed("editionUpgradeConfiguration", license=secret)),
    "PFX blob and its password": Plant(
        "identity/apiConnectors",
        lambda secret: {
            "targetUrl": f"https://functions.example/api/check?code={secret}",
            "authenticationConfiguration": _typed("pkcs12Certificate", pkcs12Value=_encoded(secret), password=secret),
        },
    ),
    "API connector password": Plant(
        "identity/apiConnectors",
        lambda secret: {"authenticationConfiguration": _typed("basicAuthentication", username="u", password=secret)},
    ),
    "function key": Plant(
        "identity/customAuthenticationExtensions",
        lambda secret: {"endpointConfiguration": {"targetUrl": f"https://functions.example/api/claims?code={secret}"}},
    ),
    "Logic App signature": Plant(
        "identityGovernance/entitlementManagement/catalogs",
        lambda secret: {
            "customWorkflowExtensions": [
                _typed(
                    "accessPackageAssignmentRequestWorkflowExtension",
                    id="one",
                    endpointConfiguration={"url": f"https://logic.example/workflows?sig={secret}"},
                )
            ]
        },
    ),
    "client secret": Plant("identity/identityProviders", lambda secret: {"clientId": "a", "clientSecret": secret}),
    "application secret": Plant(
        "applications",
        lambda secret: {
            "appId": "a",
            "passwordCredentials": [{"displayName": "key", "hint": secret[:30], "secretText": secret}],
            "keyCredentials": [{"type": "AsymmetricX509Cert", "key": _encoded(secret)}],
        },
    ),
    "VPP token": Plant("deviceAppManagement/vppTokens", lambda secret: {"token": secret}, shows_change=False),
    "app configuration": Plant(
        "deviceAppManagement/mobileAppConfigurations",
        lambda secret: _typed(
            "iosMobileAppConfiguration", settings=[{"appConfigKey": "licence", "appConfigKeyValue": secret}]
        ),
    ),
    "app configuration of Android": Plant(
        "deviceAppManagement/mobileAppConfigurations",
        lambda secret: _typed("androidManagedStoreAppConfiguration", payloadJson=_encoded(secret)),
    ),
    "custom app setting": Plant(
        "deviceAppManagement/targetedManagedAppConfigurations",
        lambda secret: {"customSettings": [{"name": "key", "value": secret}]},
    ),
    "enrollment token": Plant(
        "deviceManagement/androidDeviceOwnerEnrollmentProfiles",
        lambda secret: {"tokenValue": secret, "qrCodeContent": f'{{"token":"{secret}"}}', "wifiPassword": secret},
    ),
    "Wi-Fi password of enrollment": Plant(
        "deviceManagement/androidForWorkEnrollmentProfiles", lambda secret: {"wifiPassword": secret}
    ),
    "BIOS password": Plant(
        "deviceManagement/hardwareConfigurations",
        lambda secret: {"fileName": "bios.cctk", "configurationFileContent": _encoded(f"SetupPwd={secret}")},
    ),
    "domain password": Plant(
        "deviceManagement/virtualEndpoint/onPremisesConnections", lambda secret: {"adDomainPassword": secret}
    ),
    "onboarding address": Plant(
        "deviceManagement/remoteAssistancePartners", lambda secret: {"onboardingUrl": f"https://a.example/?{secret}"}
    ),
    "ServiceNow secret": Plant(
        "deviceManagement/serviceNowConnections", lambda secret: {"authenticationMethod": {"appSecret": secret}}
    ),
}

SCRIPTS: dict[str, Plant] = {
    "PowerShell": Plant("deviceManagement/deviceManagementScripts", lambda body: {"scriptContent": _encoded(body)}),
    "shell": Plant("deviceManagement/deviceShellScripts", lambda body: {"scriptContent": _encoded(body)}),
    "remediation": Plant(
        "deviceManagement/deviceHealthScripts",
        lambda body: {
            "isGlobalScript": False,
            "detectionScriptContent": _encoded(body),
            "remediationScriptContent": _encoded(f"{body}!"),
        },
    ),
    "compliance": Plant(
        "deviceManagement/deviceComplianceScripts", lambda body: {"detectionScriptContent": _encoded(body)}
    ),
    "Linux compliance": Plant(
        "deviceManagement/reusablePolicySettings",
        lambda body: {
            "settingDefinitionId": "linux_customcompliance_discoveryscript_reusablesetting",
            "settingInstance": _typed(
                "deviceManagementConfigurationSimpleSettingInstance",
                settingDefinitionId="linux_customcompliance_discoveryscript_reusablesetting",
                simpleSettingValue=_typed("deviceManagementConfigurationStringSettingValue", value=_encoded(body)),
            ),
        },
    ),
    "app": Plant(
        "deviceAppManagement/mobileApps",
        lambda body: _typed(
            "win32LobApp",
            isAssigned=True,
            rules=[_typed("win32LobAppPowerShellScriptRule", scriptContent=_encoded(body))],
        ),
    ),
}


class Planted:
    """The documents planted in a tenant, with their ids for edits."""

    def __init__(self, system: System, plants: dict[str, Plant], secret: Callable[[str], str]) -> None:
        self._tenant = system.tenant
        self._plants = plants
        self._keys: dict[str, str] = {}
        for kind, plant in plants.items():
            document = {"displayName": f"planted: {kind}", **plant.document(secret(kind))}
            self._keys[kind] = system.tenant.add(plant.path, document)

    def change(self, secret: Callable[[str], str]) -> None:
        """Changes each planted secret."""
        for kind, plant in self._plants.items():
            self._tenant.change(plant.path, self._keys[kind], plant.document(secret(kind)))


@pytest.fixture
def system(temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    """Real documents if the checkout has them, and samples of all other collections."""
    with (
        SimulatedGraph(GRAPH_DATA if GRAPH_DATA.is_dir() else None, tenants=1, seed=next(SEEDS)) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        system.environment |= {"SENSITIVE_FIELDS_KEY": token_hex(), "LOG_LEVEL": "DEBUG"}
        yield system


def stored_values(database_url: str) -> Iterator[bytes]:
    """Every column of every row of every table, decompressed if it is a Zstandard frame."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        ).fetchall()
        assert {("document",), ("inventory_item",), ("pending_item",), ("staged_item",)} <= set(tables)
        for (table,) in tables:
            for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))):
                for value in row:
                    yield _plain(value) if isinstance(value, bytes) else str(value).encode()


def _plain(value: bytes) -> bytes:
    try:
        return ZstdDecompressor().decompress(value)
    except ZstdError:
        return value


def forms(secret: str) -> list[bytes]:
    """The forms in which a text may appear: plain, and inside any base64."""
    encoded = [base64.b64encode(b"\0" * shift + secret.encode()) for shift in range(3)]
    # The characters at the edges depend on the neighbouring bytes.
    return [secret.encode(), *(text[4 if shift else 0 : -4] for shift, text in enumerate(encoded))]


def shows(text: bytes, secret: str) -> bool:
    return any(form in text for form in forms(secret))


async def histories(client: Client, record: RunRecord) -> str:
    """All text in the histories of a run, from its first execution to its last."""
    texts, run_id = [], str(record.run_id)
    while run_id:
        history = await client.get_workflow_handle(record.workflow_id, run_id=run_id).fetch_history()
        texts.append(readable(history))
        run_id = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return "".join(texts)


def printed(system: System, record: RunRecord) -> Iterator[str]:
    """The output of commands that show stored data."""
    tenant = system.tenant.name
    for arguments in (["runs"], ["run", str(record.run_id)], ["items", tenant], ["missing", tenant]):
        for form in ([], ["--json"]):
            result = system.starter(*arguments, *form)
            assert result.code in (0, 3), result.stderr
            yield result.stdout + result.stderr


async def kept_texts(system: System, client: Client, database_url: str, record: RunRecord) -> list[bytes]:
    stored = await asyncio.to_thread(lambda: list(stored_values(database_url)))
    spoken = await asyncio.to_thread(lambda: list(printed(system, record)))
    return [*stored, *(text.encode() for text in (*spoken, system.logs(), await histories(client, record)))]


async def synced(
    system: System, client: Client, type_keys: Iterable[str] | None = None, *, deep: bool = False
) -> RunRecord:
    """A whole run over the named collections, or over all of them, opt-in collections included."""
    selection = Selection(type_keys=tuple(sorted(type_keys or load_catalog().collections)))
    result = await client.execute_workflow(
        SyncWorkflow.run,
        SyncInput(tenant_id=UUID(system.tenant.id), selection=selection, deep=deep),
        id=sync_workflow_id(UUID(system.tenant.id), selection),
        task_queue=system.environment["TEMPORAL_TASK_QUEUE"],
    )
    command = await asyncio.to_thread(system.starter, "run", str(result.run_id), "--json")
    return command.run()


def script_bodies(value: Any) -> Iterator[str]:
    """All script bodies in a document."""
    if isinstance(value, list):
        for member in value:
            yield from script_bodies(member)
    elif isinstance(value, dict):
        for name, child in value.items():
            if name in SCRIPT_BODIES and isinstance(child, str) and child:
                yield child
            else:
                yield from script_bodies(child)


def served_script_bodies(system: System) -> set[str]:
    catalog = load_catalog().collections.values()
    return {
        body
        for collection in catalog
        if collection.script_bodies
        for document in listing_documents(system.tenant, collection)
        for body in script_bodies(whole_document(system.tenant, collection, document))
    }


@pytest.mark.slow
async def test_no_secret_is_stored_printed_or_logged(
    system: System, temporal: EmbeddedTemporal, database_url: str
) -> None:
    system.environment["HIDE_SCRIPT_BODIES"] = "true"
    secrets = Planted(system, PLANTS, lambda kind: f"{MARK}{kind}")
    scripts = Planted(system, SCRIPTS, lambda kind: f"# {SCRIPT_MARK}{kind}")
    policy = system.tenant.documents("deviceManagement/configurationPolicies")[0]["id"]
    system.tenant.add(f"deviceManagement/configurationPolicies/{policy}/settings", secret_setting(f"{MARK}setting"))
    token = system.tenant.documents("deviceManagement/depOnboardingSettings")[0]["id"]
    system.tenant.add(
        f"deviceManagement/depOnboardingSettings/{token}/enrollmentProfiles",
        _typed("depMacOSEnrollmentProfile", displayName="planted", adminAccountPassword=f"{MARK}administrator"),
    )
    bodies = served_script_bodies(system)
    assert len(bodies) > len(SCRIPTS)
    await asyncio.to_thread(system.start_worker)
    client = await connect_temporal({"target_host": temporal.address})

    first = await synced(system, client)
    assert first.status is RunStatus.SUCCESS
    kept = await kept_texts(system, client, database_url, first)
    assert any(b"planted: VPN secret" in text for text in kept), "documents are readable, or nothing would be found"
    for text in kept:
        assert not shows(text, MARK), text
        assert not shows(text, SCRIPT_MARK), text
    everything = b"\n".join(kept)
    assert not [body for body in bodies if body.encode() in everything]
    assert not [secret for secret in (system.tenant.client_secret, "the key of the test") if shows(everything, secret)]

    again = await synced(system, client, deep=True)
    assert again.status is RunStatus.SUCCESS
    assert (again.counts.created, again.counts.changed) == (0, 0)

    secrets.change(lambda kind: f"{MARK}other-{kind}")
    scripts.change(lambda kind: f"# {SCRIPT_MARK}other-{kind}")
    changed = await synced(system, client)
    assert changed.status is RunStatus.SUCCESS
    assert changed.counts.created == 0
    assert changed.counts.changed == sum(plant.shows_change for plant in (*PLANTS.values(), *SCRIPTS.values()))
    for text in await kept_texts(system, client, database_url, changed):
        assert not shows(text, MARK), text
        assert not shows(text, SCRIPT_MARK), text


def test_pending_items_store_no_secret(
    graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path
) -> None:
    with System(graph, temporal, database_url, tmp_path) as system:
        Planted(system, {"BIOS": PLANTS["BIOS password"]}, lambda kind: f"{MARK}{kind}")
        graph.faults.add(Fault(FaultKind.THROTTLED, path="hardwareConfigurations/[^/]+/assignments", retry_after="1"))
        worker = system.start_worker()
        following = system.begin("sync", system.tenant.name, "--type", "hardwareConfigurations", "--json")

        def answers_wait() -> bool:
            with psycopg.connect(database_url) as connection:
                waiting = connection.execute("SELECT FROM pending_item WHERE progress IS NOT NULL").fetchone()
            return waiting is not None

        worker.wait_until(answers_wait)
        stored = list(stored_values(database_url))
        graph.faults.clear()
        assert following.finished().code == 0
    assert any(b"configurationFileContent" in text for text in stored), "the answers are readable"
    for text in stored:
        assert not shows(text, MARK), text


def secret_setting(token: str) -> Document:
    return {
        "id": "planted",
        "settingInstance": _typed(
            "deviceManagementConfigurationSimpleSettingInstance",
            settingDefinitionId="com.apple.wifi.managed_password",
            simpleSettingValue=_typed(
                "deviceManagementConfigurationSecretSettingValue", value=token, valueState="notEncrypted"
            ),
        ),
    }


async def test_script_bodies_are_stored_whole_by_default(
    system: System, temporal: EmbeddedTemporal, database_url: str
) -> None:
    Planted(system, SCRIPTS, lambda kind: f"# {SCRIPT_MARK}{kind}")
    bodies = served_script_bodies(system)
    await asyncio.to_thread(system.start_worker)
    client = await connect_temporal({"target_host": temporal.address})
    scripts = {key for key, collection in load_catalog().collections.items() if collection.script_bodies}
    record = await synced(system, client, scripts)
    assert record.status is RunStatus.SUCCESS
    stored = b"\n".join(await asyncio.to_thread(lambda: list(stored_values(database_url))))
    assert {body for body in bodies if orjson.dumps(body) not in stored} == set()
    assert not shows(stored, MARK)
