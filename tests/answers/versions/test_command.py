"""`versions`, `show`, `diff` as people and machines see them."""

from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from inventory.data_keys import DataKey
from inventory.exact_json import JsonObject
from inventory.observation import Observation, ObservationRules, Observer
from storage import versions
from storage.database import Database
from tests.cli.command_line import CommandLine
from tests.storage.support import begin, end, land, list_document, observation, sync

VERSION_FIELDS = [
    "tenant_id",
    "type_key",
    "external_id",
    "version",
    "is_current",
    "display_name",
    "change",
    "renamed_from",
    "returns_to_version",
    "recreates_external_id",
    "details_complete",
    "first_observed_at",
    "first_observed_run_id",
    "last_observed_at",
    "last_observed_run_id",
    "content_hash",
    "size_bytes",
    "pins",
    "stale",
]
SHOWN_FIELDS = [
    "tenant_id",
    "type_key",
    "external_id",
    "display_name",
    "kind",
    "version",
    "is_current",
    "details_complete",
    "first_observed_at",
    "last_observed_at",
    "state",
    "confidence",
    "evidence",
    "content_hash",
    "size_bytes",
    "details_read_at",
    "stale",
    "title",
    "document",
]
DIFFERENCE_FIELDS = ["path", "kind", "before", "after", "hidden", "label", "before_named", "after_named", "text"]

SECRETIVE = Observer(
    ObservationRules(type_key="groups", sensitive=frozenset({"password"})),
    data_key=DataKey(b"a key of this test"),
)
LONG_NUMBER = 12345678901234567890123


@pytest.fixture
def tenant_id() -> UUID:
    return uuid4()


def _group(external_id: str = "1", **properties: Any) -> Observation:
    return observation("groups", external_id, **{"displayName": "All staff", **properties})


async def test_versions_show_changes_and_renames(database: Database, starter: CommandLine, tenant_id: UUID) -> None:
    for name, value in (("Staff", "A"), ("All staff", "B"), ("Staff", "A")):
        await sync(database, tenant_id, [_group(displayName=name, value=value)], "groups")

    records = (await starter("versions", "groups", "1", "--json")).objects()
    assert [list(record) for record in records] == [VERSION_FIELDS] * 3
    assert [(record["version"], record["change"], record["renamed_from"]) for record in records] == [
        (3, "returned", "All staff"),
        (2, "changed", "Staff"),
        (1, "first", None),
    ]
    assert records[0]["returns_to_version"] == 1
    result = await starter("versions", "groups", "Staff")
    assert "'Staff' is 1" in result.stderr
    assert 'returned to version 1\'s document, renamed from "All staff", current' in result.stdout


async def test_user_sets_and_removes_a_pin(database: Database, starter: CommandLine, tenant_id: UUID) -> None:
    await sync(database, tenant_id, [_group()], "groups")
    (pinned,) = (await starter("versions", "groups", "1", "--pin", "1", "--reason", "audit", "--json")).objects()
    assert [list(pin) for pin in pinned["pins"]] == [["pinned_by", "reason", "pinned_at"]]
    assert (pinned["pins"][0]["pinned_by"], pinned["pins"][0]["reason"]) == ("ada", "audit")
    assert "ada (audit)" in (await starter("versions", "groups", "1")).stdout
    (unpinned,) = (await starter("versions", "groups", "1", "--unpin", "1", "--json")).objects()
    assert unpinned["pins"] == []

    again = await starter("versions", "groups", "1", "--unpin", "1")
    assert (again.code, again.stderr) == (2, "error: version 1 has no pin of ada\n")
    beyond = await starter("versions", "groups", "1", "--pin", "7")
    assert (beyond.code, beyond.stderr) == (2, "error: there is no version 7; the current one is 1\n")


async def test_show_prints_the_whole_document_with_every_digit(
    database: Database, starter: CommandLine, tenant_id: UUID
) -> None:
    await sync(database, tenant_id, [_group(number=LONG_NUMBER, inner={"b": [], "a": "é"})], "groups")
    await sync(database, tenant_id, [_group(number=1)], "groups")

    older = await starter("show", "groups", "1", "--version", "1", "--raw")
    assert older.stdout == (
        '{\n  "displayName": "All staff",\n  "id": "1",\n  "inner": {\n    "a": "é",\n    "b": []\n  },\n'
        f'  "number": {LONG_NUMBER}\n}}\n'
    )
    assert "version 1 (not the current one)" in older.stderr
    assert "item: present, high confidence, listed; details: complete" in older.stderr
    read = await starter("show", "groups", "1", "--version", "1")
    assert read.stdout.splitlines() == [
        'displayName: "All staff"',
        'id: "1"',
        'inner: a: "é"',
        f"number: {LONG_NUMBER}",
    ]
    machine = await starter("show", "groups", "1", "--version", "1", "--json")
    assert machine.stderr == ""
    assert f'"number":{LONG_NUMBER}' in machine.stdout
    (record,) = machine.objects()
    assert list(record) == SHOWN_FIELDS
    (current,) = (await starter("show", "groups", "1", "--json")).objects()
    assert (current["version"], current["is_current"], current["kind"]) == (2, True, "Groups")
    assert current["document"] == {"displayName": "All staff", "id": "1", "number": 1}


async def test_diff_prints_a_line_for_each_field(database: Database, starter: CommandLine, tenant_id: UUID) -> None:
    contents: list[tuple[str, JsonObject]] = [("a", {"gone": [1], "n": 1}), ("b", {"new": "x\ny", "n": 2})]
    for secret, properties in contents:
        item = SECRETIVE.observe({"id": "1", "displayName": "All staff", "password": secret, **properties})
        await sync(database, tenant_id, [item], "groups")

    people = await starter("diff", "groups", "1")
    assert people.code == 0
    assert people.stdout.splitlines() == [
        "- gone: 1",
        "~ n: 1 → 2",
        "+ new: 2 lines added",
        "  + x",
        "  + y",
        "~ password: hidden, changed",
    ]
    machine = (await starter("diff", "groups", "1", "--from", "1", "--to", "2", "--json")).objects()
    assert [list(line) for line in machine] == [DIFFERENCE_FIELDS] * 4
    assert [list(line.values())[:5] for line in machine[1::2]] == [
        ["n", "changed", 1, 2, False],
        ["password", "changed", None, None, True],
    ]
    assert [line["text"] for line in machine[1::2]] == ["1 → 2", "hidden, changed"]
    same = await starter("diff", "groups", "1", "--from", "2", "--to", "2")
    assert (same.code, same.stdout) == (0, "")
    assert "no difference" in same.stderr


async def test_diff_names_the_missing_or_incomplete_version(
    database: Database, starter: CommandLine, tenant_id: UUID
) -> None:
    run = await begin(database, tenant_id, "groups")
    await land(database, tenant_id, run, [list_document("groups", "1", displayName="one")])
    await end(database, tenant_id, run)
    first = await starter("diff", "groups", "1")
    assert (first.code, first.stdout) == (0, "")
    assert "version 1 is the first" in first.stderr

    for value in ("A", "B"):
        await sync(database, tenant_id, [_group(value=value)], "groups")
    assert "version 1 is incomplete" in (await starter("diff", "groups", "1", "--to", "2")).stderr
    async with database.tenant(tenant_id) as session:
        await versions.forget(session, older_than=None, kept=1, most=10)
    forgotten = await starter("diff", "groups", "1", "--json")
    assert (forgotten.code, forgotten.stdout) == (2, "")
    assert forgotten.stderr == "error: version 2 was deleted by retention; kept: 3\n"


async def test_diff_names_details_unread_by_an_earlier_release(
    database: Database, starter: CommandLine, tenant_id: UUID
) -> None:
    lifetimes = "tokenLifetimePolicies"
    for properties in ({}, {"appliesTo": [{"id": "app"}]}, {"appliesTo": [{"id": "other"}]}):
        await sync(database, tenant_id, [observation(lifetimes, "1", **properties)], lifetimes)
    words = "not compared, because the two were not read alike: appliesTo"
    unread = await starter("diff", lifetimes, "1", "--from", "1", "--to", "2")
    assert unread.stdout == ""
    assert words in unread.stderr
    both_read = await starter("diff", lifetimes, "1", "--from", "2", "--to", "3")
    assert both_read.stdout
    assert words not in both_read.stderr


async def test_diff_goes_backwards(database: Database, starter: CommandLine, tenant_id: UUID) -> None:
    for item in (_group(gone=1, n=1), _group(n=2)):
        await sync(database, tenant_id, [item], "groups")
    backwards = await starter("diff", "groups", "1", "--from", "2", "--to", "1")
    assert backwards.stdout.splitlines() == ["+ gone: 1", "~ n: 2 → 1"]


async def test_unknown_or_ambiguous_name_suggests_items(
    database: Database, starter: CommandLine, tenant_id: UUID
) -> None:
    await sync(database, tenant_id, [_group("1"), _group("2"), _group("3", displayName="Guests")], "groups")
    ambiguous = await starter("show", "groups", "All staff")
    assert (ambiguous.code, ambiguous.stdout) == (2, "")
    assert ambiguous.stderr == "error: several items of groups are called 'All staff'; give the id: 1, 2\n"
    misspelt = await starter("show", "groups", "guest")
    assert misspelt.code == 2
    assert misspelt.stderr.endswith("; did you mean 'Guests' (3)?\n")
    assert "did you mean 'groups'" in (await starter("diff", "group", "1")).stderr
    assert "lists what it has" in (await starter("versions", "groups", "nothing like it")).stderr


async def test_control_characters_are_not_printed(database: Database, starter: CommandLine, tenant_id: UUID) -> None:
    for value in ("quiet", "\x9b31mred\u202e"):
        await sync(database, tenant_id, [_group(value=value)], "groups")
    (line,) = (await starter("diff", "groups", "1")).stdout.splitlines()
    assert line == '~ value: "quiet" → "\ufffd31mred\ufffd"'
    (exact,) = (await starter("diff", "groups", "1", "--json")).stdout.splitlines()
    assert orjson.loads(exact)["after"] == "\x9b31mred\u202e"
