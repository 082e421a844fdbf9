"""`catalog` and `permissions`: they need neither a database nor Graph."""

import orjson
import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.options import selection_of
from graph.catalog import load_catalog
from tests.end_to_end.system import CommandResult

COLLECTIONS = load_catalog().collections


def starter(*arguments: str) -> CommandResult:
    """Runs one command in this process."""
    result = CliRunner().invoke(app, arguments)
    return CommandResult(result.exit_code, result.stdout, result.stderr)


def keys(*arguments: str) -> set[str]:
    result = starter("catalog", *arguments, "--json")
    assert result.code == 0, result.stderr
    return {line["type_key"] for line in result.objects()}


def test_filters_select_the_collections_that_they_name() -> None:
    assert keys() == set(COLLECTIONS)
    assert keys("--type", "groups", "--type", "cloudPc.cloudApps") == {"groups", "cloudPc.cloudApps"}
    assert keys("--category", "scripts", "--type", "groups") == {"groups"} | load_catalog().in_categories(["scripts"])
    assert keys("--permission", "devicemanagementrbac.read.all") == {"roleAssignments", "roleDefinitions"}
    assert keys("--opt-in") == set(COLLECTIONS) - load_catalog().everything()
    assert keys("--opt-in", "--category", "audit", "--category", "scripts") == {
        "auditEvents",
        "configurationDrifts",
        "directoryAudits",
    }


def test_an_entry_as_json_has_parent_kinds_details_and_sensitive_fields() -> None:
    (entry,) = starter("catalog", "depEnrollmentProfiles", "--json").objects()
    assert entry["endpoint"] == "/beta/deviceManagement/depOnboardingSettings/{parent_id}/enrollmentProfiles"
    assert entry["parent"] == "depOnboardingSettings"
    assert "adminAccountPassword" in entry["sensitive"]
    assert "macOS automated enrollment profile" in entry["kinds"]
    (entry,) = starter("catalog", "groupPolicyConfigurations", "--json").objects()
    assert [path.partition("?")[0].rpartition("/")[2] for path in entry["details"]] == [
        "definitionValues",
        "presentationValues",
    ]


@pytest.mark.parametrize(
    ("type_key", "sentences"),
    [
        (
            "deviceHealthScripts",
            [
                "Remediations: type key deviceHealthScripts, category scripts.",
                "listed at GET /beta/deviceManagement/deviceHealthScripts?$expand=assignments",
                "Objects with isGlobalScript = true are left out.",
                "the rest of the item comes by GET /deviceManagement/deviceHealthScripts/{id}",
                "assignments stay as the list shows them",
                "needs the application permission DeviceManagementScripts.Read.All",
                "licence for Windows Enterprise E3",
                "Hidden where the configuration says so: detectionScriptContent, remediationScriptContent.",
            ],
        ),
        ("authorizationPolicy", ["is one object at GET /v1.0/policies/authorizationPolicy,"]),
        ("conditionalAccessPolicies", ["one request a second", "No $top is sent", "groups (conditions.users.incl"]),
        ("auditEvents", ["It is opt-in: --all leaves it out"]),
        ("managedAppPolicies", ["left out, since other collections hold them: androidManagedAppProtection, "]),
        ("domains", ["an item may have none"]),
        ("groupPolicyConfigurations", ["for each of its members, presentationValues by GET"]),
        (
            "depEnrollmentProfiles",
            [
                "one listing for each item of depOnboardingSettings",
                "Kinds: Automated enrollment profile, iOS automated",
            ],
        ),
        ("crossTenantAccessPolicy.partners", ["Its tenantId identifies an item"]),
        (
            "deviceConfigurations",
            ["Hidden by a keyed hash, so that only a change shows: #microsoft.graph.androidOmaCp"],
        ),
    ],
)
def test_an_entry_is_explained_in_sentences(type_key: str, sentences: list[str]) -> None:
    result = starter("catalog", type_key)
    assert result.code == 0
    for sentence in sentences:
        assert sentence in result.stdout
    assert all(line.endswith(".") for line in result.stdout.splitlines())


def test_explain_covers_every_collection_of_a_filter() -> None:
    result = starter("catalog", "--category", "scripts", "--explain")
    assert result.stdout.count("type key") == len(load_catalog().in_categories(["scripts"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("catalog", "devicehealthscript"), "did you mean"),
        (("catalog", "--category", "none"), "unknown category 'none'"),
        (("catalog", "--permission", "Nothing.Read.All"), "no collection needs 'Nothing.Read.All'"),
        (("permissions", "--type", "nothing"), "unknown type key 'nothing'"),
        (("permissions", "--manifest", "--json"), "--manifest is JSON already"),
        (("permissions", "--manifest", "--csv"), "--manifest is JSON already; leave --csv out"),
        (("permissions", "--manifest", "--sort", "id"), "--manifest is JSON already; leave --sort out"),
        (("permissions", "--columns", ""), "--columns names no column"),
        (("catalog", "--sort", ","), "--sort names no column"),
    ],
)
def test_a_usage_error_is_a_single_line(arguments: tuple[str, ...], message: str) -> None:
    result = starter(*arguments)
    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_filter_that_nothing_fits_is_answered() -> None:
    assert starter("catalog", "--category", "scripts", "--opt-in").stdout == "no collection fits all options\n"


def test_permissions_of_a_selection_are_minimal_and_name_their_collections() -> None:
    listed = starter("permissions", "--category", "scripts", "--type", "groups", "--type", "auditEvents", "--json")
    assert listed.objects() == [
        {
            "permission": "DeviceManagementApps.Read.All",
            "id": "7a6ee1e7-141e-4cec-ae74-d9db155731ff",
            "type_keys": ["auditEvents"],
        },
        {
            "permission": "DeviceManagementScripts.Read.All",
            "id": "c7a5be92-2b3d-4540-8a67-c96dcaae8b43",
            "type_keys": sorted(load_catalog().in_categories(["scripts"])),
        },
        {"permission": "GroupMember.Read.All", "id": "98830695-27a2-44f7-8c18-0c3ebc9698f6", "type_keys": ["groups"]},
        {"permission": "GroupSettings.Read.All", "id": "f3c4f514-c65a-43f5-bfce-1735872258dd", "type_keys": ["groups"]},
    ]


def test_the_manifest_asks_for_the_permissions_of_the_selection() -> None:
    selection = ("--type", "groups", "--type", "auditEvents")
    result = starter("permissions", *selection, "--manifest")
    listed = starter("permissions", *selection, "--json").objects()
    assert orjson.loads(result.stdout) == {
        "requiredResourceAccess": [
            {
                "resourceAppId": "00000003-0000-0000-c000-000000000000",
                "resourceAccess": [{"id": permission["id"], "type": "Role"} for permission in listed],
            }
        ]
    }
    assert (result.code, result.stderr) == (0, "")


def test_permissions_default_to_all_collections() -> None:
    everything = starter("permissions", "--json")
    assert everything.stdout == starter("permissions", "--all", "--json").stdout
    needed = everything.objects()
    assert {key for line in needed for key in line["type_keys"]} == load_catalog().everything()
    assert [line["permission"] for line in needed] == sorted({line["permission"] for line in needed})
    named = set().union(*(COLLECTIONS[key].permissions for key in load_catalog().everything()))
    assert {line["permission"] for line in needed} < named


def test_permissions_covered_by_others_are_not_printed() -> None:
    narrow = starter("permissions", "--type", "groups", "--json").objects()
    assert [line["permission"] for line in narrow] == ["GroupMember.Read.All", "GroupSettings.Read.All"]
    both = starter("permissions", "--type", "groups", "--type", "oauth2PermissionGrants", "--json").objects()
    assert {line["permission"]: line["type_keys"] for line in both} == {
        "Directory.Read.All": ["groups", "oauth2PermissionGrants"]
    }


def test_all_omits_opt_in_collections_unless_they_are_named() -> None:
    assert set(selection_of(None, None, everything=True).type_keys) == load_catalog().everything()
    named = selection_of(["auditEvents"], ["device-data"], everything=True)
    devices = {"windowsAutopilotDeviceIdentities", "importedDeviceIdentities"}
    assert set(named.type_keys) - load_catalog().everything() == {"auditEvents"} | devices


def test_tables_are_not_json() -> None:
    categories = {collection.category for collection in COLLECTIONS.values()}
    permissions = starter("permissions", "--json").objects()
    for command, lines in (("catalog", len(categories) + len(COLLECTIONS)), ("permissions", 2 * len(permissions))):
        result = starter(command)
        assert (result.code, result.stderr) == (0, "")
        _heading, *rows = result.stdout.splitlines()
        assert len(rows) == lines
        for line in result.stdout.splitlines():
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(line)
