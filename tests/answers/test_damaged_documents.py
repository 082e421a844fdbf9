"""A stored document that contradicts its hash is named, and everything else works."""

import re
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from zstandard import ZstdCompressor, ZstdError

from answers.drift.baselines import set_moment
from answers.export.rules import file_path
from storage.bodies import DamagedDocumentError, document_of
from storage.compression import MAX_DOCUMENT_BYTES, compress, decompress
from storage.database import Database
from tests.cli.command_line import CommandLine, CommandResult
from tests.storage.support import observation, sync

TENANT, OTHER = UUID(int=1), UUID(int=2)
POLICIES, GROUPS = "conditionalAccessPolicies", "groups"
GROUP_ID = "7f6d1a3e-5b0c-4b9e-8a57-2f0c5f5f4c11"


def bomb() -> bytes:
    """A frame of a few KB that decompresses to more than the largest document."""
    return ZstdCompressor(level=1).compress(bytes(MAX_DOCUMENT_BYTES + 1))


BODIES = {
    "garbage": b"garbage",
    "empty": b"",
    "cut": compress(b'{"displayName":"MFA","id":"p","state":"enabled"}' * 20)[:-3],
    "altered": compress(b'{"displayName":"MFA","id":"p","state":"disabled"}'),
    "no JSON": compress(b"\xff\xfe"),
    "without its size": ZstdCompressor(write_content_size=False).compress(b"{}"),
    "a bomb": bomb(),
}


async def two_versions(database: Database) -> None:
    """Two tenants with two policies of two versions each, and a baseline of the first tenant's first versions."""
    for state in ("enabled", "disabled"):
        items = [
            observation(GROUPS, GROUP_ID, displayName="Pilot"),
            *(
                observation(
                    POLICIES,
                    name,
                    displayName=f"Policy {name}",
                    state=state,
                    conditions={"users": {"includeGroups": [GROUP_ID]}},
                )
                for name in "pq"
            ),
        ]
        for tenant_id in (TENANT, OTHER):
            await sync(database, tenant_id, items, GROUPS, POLICIES)
        if state == "enabled":
            async with database.tenant(TENANT) as session:
                await set_moment(session, "golden", None, "the test", None)


pytestmark = pytest.mark.filled.with_args(two_versions)


def damage(database_url: str, version: int, body: bytes, external_id: str = "p") -> None:
    """Replaces the stored body of a policy's version past its trigger, as a disk error might."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        altered = connection.execute(
            "UPDATE document AS d SET body = %s FROM item_version AS v"
            " WHERE (d.tenant_id, d.content_hash) = (v.tenant_id, v.content_hash)"
            " AND (v.tenant_id, v.external_id, v.version_number) = (%s, %s, %s)",
            [body, TENANT, external_id, version],
        )
        assert altered.rowcount == 1


def names_version(result: CommandResult, version: int, code: int = 3) -> bool:
    """Whether stderr names the version; fails on another exit code."""
    assert "unexpected" not in result.stderr
    assert result.code == code, result.stderr
    return f"the stored document of version {version} of {POLICIES} p" in " ".join(result.stderr.split())


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_export_names_a_damaged_document_and_writes_the_others(
    starter: CommandLine, database_url: str, tmp_path: Path, body: bytes
) -> None:
    damage(database_url, 2, body)
    result = await starter("export", "out", "--json")
    (record,) = result.objects()
    assert (record["written"], record["damaged"]) == (
        2,
        [{"type_key": POLICIES, "external_id": "p", "version": 2, "tenant_id": None}],
    )
    assert result.code == 3
    assert (tmp_path / "out" / file_path("conditional-access", POLICIES, "Policy q", "q")).is_file()
    assert names_version(await starter("export", "out"), 2)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_show_and_diff_refuse_a_damaged_version_by_name(
    starter: CommandLine, database_url: str, body: bytes
) -> None:
    damage(database_url, 1, body)
    assert names_version(await starter("show", POLICIES, "p", "--version", "1"), 1, 1)
    assert names_version(await starter("diff", POLICIES, "p", "--json"), 1, 1)
    assert (await starter("show", POLICIES, "p")).code == 0
    assert (await starter("versions", POLICIES, "p")).code == 0
    assert (await starter("diff", POLICIES, "q")).code == 0


@pytest.mark.parametrize("version", [1, 2])
async def test_changes_name_damaged_versions_and_omit_their_fields(
    starter: CommandLine, database_url: str, tmp_path: Path, version: int
) -> None:
    damage(database_url, version, b"garbage")
    result = await starter("changes", "--json")
    *changes, last = result.objects()
    of_policies = {change["external_id"]: change for change in changes if change["kind"] == "changed"}
    assert of_policies["p"]["fields"] is None
    assert of_policies["p"]["damaged_versions"] == [version]
    assert [field["path"] for field in of_policies["q"]["fields"]] == ["state"]
    assert [document["version"] for document in last["summary"]["damaged"]] == [version]
    assert result.code == 3
    printed = await starter("changes")
    assert names_version(printed, version)
    assert f"not known: the stored document of version {version} is damaged" in printed.stdout
    assert "is forgotten" not in printed.stdout
    assert (await starter("changes", "--html", "page.html")).code == 3
    page = (tmp_path / "page.html").read_text()
    assert f"The stored document of version {version} is damaged" in page
    assert "1 stored document damaged" in page


@pytest.mark.parametrize("version", [1, 2])
async def test_drift_opens_and_closes_no_finding_about_a_damaged_document(
    starter: CommandLine, database_url: str, tmp_path: Path, version: int
) -> None:
    before = (await starter("drift", "--json")).objects()[1:]
    assert {finding["external_id"] for finding in before} == {"p", "q"}
    damage(database_url, version, b"garbage")
    result = await starter("drift", "--json")
    report, *findings = result.objects()
    assert result.code == 3
    assert [(document["external_id"], document["version"]) for document in report["damaged"]] == [("p", version)]
    assert {finding["fingerprint"]: finding["is_checked"] for finding in findings} == {
        finding["fingerprint"]: finding["external_id"] == "q" for finding in before
    }
    assert names_version(await starter("drift"), version)
    assert (await starter("drift", "--html", "page.html")).code == 3
    assert "1 stored document damaged" in (tmp_path / "page.html").read_text()


async def test_drift_opens_no_first_finding_about_a_damaged_document(starter: CommandLine, database_url: str) -> None:
    damage(database_url, 1, b"garbage")
    _, *findings = (await starter("drift", "--json")).objects()
    assert {finding["external_id"] for finding in findings} == {"q"}


async def test_drift_is_found_despite_a_damaged_intermediate_version(
    database: Database, starter: CommandLine, database_url: str
) -> None:
    items = [
        observation(GROUPS, GROUP_ID, displayName="Pilot"),
        *(observation(POLICIES, name, displayName=f"Policy {name}", state="off") for name in "pq"),
    ]
    await sync(database, TENANT, items, GROUPS, POLICIES)
    damage(database_url, 2, b"garbage")
    result = await starter("drift", "--json")
    report, *findings = result.objects()
    assert {finding["external_id"] for finding in findings} == {"p", "q"}
    assert [document["version"] for document in report["damaged"]] == [2]


async def test_comparison_of_a_damaged_document_is_undecided(
    starter: CommandLine, database_url: str, tmp_path: Path
) -> None:
    damage(database_url, 2, b"garbage")
    result = await starter("compare", str(OTHER), "--json")
    *items, record = result.objects()
    statuses = {item["here"][0]["external_id"]: (item["status"], item["uncertain"]) for item in items}
    assert statuses["p"] == ("undecided", ["damaged_document"])
    assert statuses["q"][0] == "same"
    assert [
        (document["external_id"], document["version"], document["tenant_id"]) for document in record["damaged"]
    ] == [("p", 2, str(TENANT))]
    assert result.code == 3
    assert names_version(await starter("compare", str(OTHER)), 2)
    for arguments in ((str(OTHER),), ("--golden", str(OTHER))):
        assert (await starter("compare", *arguments, "--html", "page.html")).code == 3
        assert "1 stored document damaged" in (tmp_path / "page.html").read_text()
    (*_, matrix) = (await starter("compare", "--golden", str(OTHER), "--json")).objects()
    assert [document["version"] for document in matrix["damaged"]] == [2]


async def test_comparison_is_undecided_if_a_referenced_filter_is_damaged(
    database: Database, starter: CommandLine, database_url: str
) -> None:
    """A filter is compared by its rule, which is in its document."""
    filters, profiles = "assignmentFilters", "deviceConfigurations"
    items = [
        observation(filters, "p", displayName="Windows 11", rule="(device.osVersion -ge 10)"),
        observation(
            profiles,
            "c",
            displayName="Profile",
            assignments=[
                {
                    "target": {
                        "@odata.type": "#microsoft.graph.allDevicesAssignmentTarget",
                        "deviceAndAppManagementAssignmentFilterId": "p",
                        "deviceAndAppManagementAssignmentFilterType": "include",
                    }
                }
            ],
        ),
    ]
    for tenant_id in (TENANT, OTHER):
        await sync(database, tenant_id, items, filters, profiles)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE document AS d SET body = 'garbage' FROM item_version AS v WHERE v.type_key = %s"
            " AND v.tenant_id = %s AND (d.tenant_id, d.content_hash) = (v.tenant_id, v.content_hash)",
            [filters, TENANT],
        )
    result = await starter("compare", str(OTHER), "--type", profiles, "--json")
    item, record = result.objects()
    assert item["status"] == "undecided"
    assert [reference["reason"] for reference in item["unresolved_here"]] == ["damaged"]
    assert [document["type_key"] for document in record["damaged"]] == [filters]
    assert result.code == 3


async def test_every_dependency_answer_names_a_damaged_document(starter: CommandLine, database_url: str) -> None:
    damage(database_url, 2, b"garbage")
    for arguments in (
        ("dependencies", GROUPS, GROUP_ID),
        ("dependencies", "--all"),
        ("dependencies", "--reaches", GROUP_ID),
        ("dangling",),
        ("unassigned",),
    ):
        result = await starter(*arguments, "--json")
        assert names_version(result, 2)
        (open_one,) = (record for record in result.objects() if record.get("reason") == "damaged")
        assert (open_one["type_key"], open_one["references"]) == (POLICIES, 1)
        assert names_version(await starter(*arguments), 2)
    needed_by = (await starter("dependencies", GROUPS, GROUP_ID, "--json")).objects()
    assert "q" in {line["item"]["external_id"] for line in needed_by if line["answer"] == "dependency"}


async def test_run_completes_despite_a_damaged_document_of_a_recreated_item(
    database: Database, starter: CommandLine, database_url: str
) -> None:
    damage(database_url, 2, b"garbage")
    group = observation(GROUPS, GROUP_ID, displayName="Pilot")
    made_again = [
        observation(
            POLICIES,
            f"{name}-again",
            displayName=f"Policy {name}",
            state="disabled",
            conditions={"users": {"includeGroups": [GROUP_ID]}},
        )
        for name in "pq"
    ]
    await sync(database, TENANT, [group, *made_again], GROUPS, POLICIES)
    result = await starter("changes", "--json")
    recreated = {record["recreates_external_id"] for record in result.objects()[:-1]} - {None}
    assert recreated == {"q"}


def test_only_known_modules_decompress_bodies() -> None:
    """Only `storage.bodies` reads documents of versions; plans and details have other bodies."""
    checkout = Path(__file__).resolve().parents[2]
    packages = ("activities", "answers", "cli", "inventory", "storage", "workflows")
    found = {
        path.relative_to(checkout).as_posix()
        for package in packages
        for path in (checkout / package).rglob("*.py")
        if re.search(r"\bdecompress\b|Decompressor", path.read_text())
    }
    plans = {"answers/promotion/answer.py"}
    assert found == plans | {"storage/bodies.py", "storage/compression.py", "storage/details.py"}


def test_documents_over_the_limit_are_neither_written_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.compression.MAX_DOCUMENT_BYTES", 10)
    assert decompress(compress(b"x" * 10)) == b"x" * 10
    with pytest.raises(ValueError, match="a document has at most"):
        compress(b"x" * 11)
    with pytest.raises(ZstdError):
        decompress(ZstdCompressor().compress(b"x" * 11))


def test_decompression_bomb_with_the_right_hash_is_damaged() -> None:
    unfolded = bytes(MAX_DOCUMENT_BYTES + 1)
    with pytest.raises(DamagedDocumentError, match="version 7 of groups g"):
        document_of(bomb(), sha256(unfolded).digest(), "groups", "g", 7)
