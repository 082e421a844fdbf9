"""`changes` as people and machines see it."""

import time
from typing import Any
from uuid import UUID

import pytest

from graph.catalog import AUDIT_EVENTS
from storage import runs
from storage.database import Database
from storage.documents import database_time
from tests.cli.command_line import CommandLine
from tests.storage.support import audit_event, begin, end, land, observation, sync

POLICIES, GROUPS = "deviceCompliancePolicies", "groups"
HOSTILE = "\x1b[31mred"
RUNS = 3


TENANT = UUID(int=21)


async def three_runs(database: Database) -> list[runs.RunIdentity]:
    """Three runs: the first notices no changes, the others notice `SECOND` and `THIRD`."""
    first = [observation(POLICIES, external_id, displayName=f"Policy {external_id}") for external_id in "abcd"]
    group = [observation(GROUPS, "g", displayName="Everyone", extra=number) for number in range(RUNS)]
    second = [
        observation(POLICIES, "a", displayName="Other"),
        *first[1:3],
        observation(POLICIES, "e", displayName=HOSTILE),
    ]
    third = [observation(POLICIES, "a", displayName="Other", extra=1), *first[1:], second[-1]]
    done: list[runs.RunIdentity] = []
    for items in (first, second, third):
        async with database.tenant(TENANT, read_only=True) as session:
            at = await database_time(session)
        event = audit_event(f"on {len(done)}", "a", at=at)
        run = await begin(database, TENANT, POLICIES, GROUPS)
        await land(database, TENANT, run, [*items, group[len(done)], event])
        await end(database, TENANT, run)
        done.append(run)
    return done


pytestmark = pytest.mark.filled.with_args(three_runs)


def kinds_and_ids(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["kind"], line["external_id"]) for line in lines]


SECOND = {("renamed", "a"), ("appeared", "e"), ("missing", "d"), ("changed", "g")}
THIRD = {("changed", "a"), ("came_back", "d"), ("changed", "g")}


async def test_json_has_a_line_for_each_change_and_ends_with_the_summary(
    starter: CommandLine, filled: list[runs.RunIdentity]
) -> None:
    result = await starter("changes", "--json")
    assert (result.code, result.stderr) == (0, "")
    *lines, last = result.objects()
    assert set(kinds_and_ids(lines)) == SECOND | THIRD
    assert [line["run_id"] for line in lines] == [
        str(run.run_id) for run, some in ((filled[1], SECOND), (filled[2], THIRD)) for _ in some
    ]
    renamed = next(line for line in lines if line["kind"] == "renamed")
    assert (renamed["renamed_from"], renamed["display_name"], renamed["confidence"]) == ("Policy a", "Other", "high")
    assert [(field["path"], field["before"], field["after"]) for field in renamed["fields"]] == [
        ("displayName", "Policy a", "Other")
    ]
    assert list(last) == ["summary"]
    assert last["summary"]["changes"] == {"renamed": 1, "appeared": 1, "missing": 1, "came_back": 1, "changed": 3}
    assert (last["summary"]["listed"], last["summary"]["not_read"], last["summary"]["goes_on_after"]) == (2, [], None)


async def test_a_named_collection_that_was_never_read_leaves_changes_open(starter: CommandLine) -> None:
    type_options = ("--type", GROUPS, "--type", "namedLocations", "--type", "roleDefinitions")
    *_, line = (await starter("changes", *type_options, "--json")).objects()
    never = {gap["type_key"]: (gap["reason"], gap["listed_at"]) for gap in line["summary"]["not_read"]}
    assert never == dict.fromkeys(("namedLocations", "roleDefinitions"), ("never_read", None))
    result = await starter("changes", *type_options)
    words = "not read to the end, so their changes may still come: namedLocations, roleDefinitions (never_read)"
    assert words in result.stderr.splitlines()


async def test_text_shows_changes_field_by_field(starter: CommandLine) -> None:
    result = await starter("changes", "--type", POLICIES)
    assert result.code == 0, result.stderr
    assert 'renamed from "Policy a"  Compliance policy: Other' in result.stdout
    assert '    displayName: "Policy a" → "Other"' in result.stdout
    assert "missing (high, not listed)  Compliance policy: Policy d" in result.stdout
    assert "came back  Compliance policy: Policy d" in result.stdout
    assert "\x1b" not in result.stdout, "a name has no terminal control characters"
    assert "1 appeared, 1 came back, 1 changed, 1 missing, 1 renamed; " in result.stderr
    assert "groups" not in result.stdout


async def test_text_names_the_actor_of_a_change(starter: CommandLine, database: Database) -> None:
    unread = await starter("changes")
    for owner, log in (("Intune", "auditEvents"), ("Entra", "directoryAudits")):
        assert unread.stderr.count(f"{owner}'s audit log was not read; sync --type {log} reads it") == 1
    assert "not in the audit log" not in unread.stdout
    await sync(database, TENANT, [], AUDIT_EVENTS)
    read = await starter("changes")
    assert "Intune's audit log was" not in read.stderr
    below = {head: lines for head, *lines in blocks(read.stdout)}

    def lines_of(words: str) -> list[str]:
        return next(lines for head, lines in below.items() if words in head)

    assert any("by ada@contoso.example at " in line for line in lines_of("renamed from"))
    assert lines_of("missing") == ["    not in the audit log"]
    assert not any("audit" in line or "by " in line for line in lines_of("Group: ")), "Intune's log has no groups"


def blocks(output: str) -> list[list[str]]:
    """The line of each change, with the lines below it."""
    found: list[list[str]] = []
    for line in output.splitlines():
        if line.startswith(" "):
            found[-1].append(line)
        else:
            found.append([line])
    return found


@pytest.mark.parametrize("named", ["run", "time"])
async def test_since_shows_changes_noticed_after_a_run_or_time(
    starter: CommandLine, filled: list[runs.RunIdentity], named: str
) -> None:
    since = str(filled[1].run_id)
    if named == "time":
        lines = (await starter("changes", "--json")).objects()
        since = max(line["noticed_at"] for line in lines[:-1] if line["run_id"] == since)
    *lines, _ = (await starter("changes", "--since", since, "--json")).objects()
    assert set(kinds_and_ids(lines)) == THIRD


async def test_run_shows_the_changes_that_the_run_noticed(starter: CommandLine, filled: list[runs.RunIdentity]) -> None:
    for run, expected in zip(filled, (set(), SECOND, THIRD), strict=True):
        *lines, last = (await starter("changes", "--run", str(run.run_id), "--json")).objects()
        assert set(kinds_and_ids(lines)) == expected
        assert last["summary"]["run_id"] == str(run.run_id)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_add_up_to_the_whole_feed(starter: CommandLine, limit: int) -> None:
    *feed, _ = (await starter("changes", "--json")).objects()
    pages: list[Any] = []
    place: list[str] = []
    while True:
        *page, last = (await starter("changes", "--limit", str(limit), *place, "--json")).objects()
        pages += page
        goes_on = last["summary"]["goes_on_after"]
        if goes_on is None:
            break
        assert len(page) == limit
        place = ["--after", goes_on]
    assert pages == feed
    first_page = await starter("changes", "--limit", "1")
    assert "there are more: --after " in first_page.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "someday"], "'someday' is neither a run id nor a time"),
        (["--since", "2999-01-01"], "2999-01-01 is in the future"),
        (["--since", "tomorrow"], "tomorrow is in the future"),
        (["--since", str(UUID(int=5))], "this tenant has no run"),
        (["--run", str(UUID(int=5))], "this tenant has no run"),
        (["--run", str(UUID(int=5)), "--since", "2025-01-01"], "give one of them"),
        (["--after", "here"], "--after takes goes_on_after of a summary, not 'here'"),
        (["--type", "nothingOfTheKind"], "nothingOfTheKind"),
    ],
)
async def test_wrong_usage_is_reported_in_one_line(starter: CommandLine, arguments: list[str], message: str) -> None:
    result = await starter("changes", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


async def test_times_are_local_unless_utc_is_requested(
    database: Database, starter: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync(database, TENANT, [observation("groups", "a")], "groups")
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        begins = [
            (await starter("changes", "--since", "2026-01-02", *zone, "--json")).objects()[-1]["summary"]["since"]
            for zone in ((), ("--utc",))
        ]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert begins == ["2026-01-01T18:15:00Z", "2026-01-02T00:00:00Z"]
