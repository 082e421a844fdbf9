"""`items` and `missing` by pages: `--after` continues after the last item, and no item appears twice."""

import re
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from inventory.selection import Selection
from storage import runs
from storage.database import Database
from storage.settings import keep_settings
from tests.cli.command_line import CommandLine
from tests.storage.support import SLOTS, end, observation, sync

TENANT = UUID(int=7)
NAMES = {"d d": "alpha", "é": "Alpha", "z": "beta", "a": "Zulu", "b/c": None}
"""Ids in the order of their names, which ignores letter case; an item without a name comes last."""

IDS = tuple(NAMES)
KEYS = [(type_key, external_id) for type_key in ("groups", "namedLocations") for external_id in IDS]


def named_item(type_key: str, external_id: str) -> Observation:
    name = NAMES[external_id]
    return observation(type_key, external_id, **({} if name is None else {"displayName": name}))


@pytest.fixture
async def command(database: Database, database_url: str, tmp_path: Path) -> CommandLine:
    types = ("groups", "namedLocations")
    await sync(database, TENANT, [named_item(*key) for key in sorted(KEYS)], *types)
    return CommandLine(database_url, tmp_path, TENANT)


async def pages(command: CommandLine, name: str, limit: int, *options: str) -> list[list[tuple[str, str]]]:
    """The keys on each page, up to the first empty page."""
    found: list[list[tuple[str, str]]] = []
    after: list[str] = []
    while not found or found[-1]:
        result = await command(name, "--limit", str(limit), "--json", *options, *after)
        assert result.code == 0, result.stderr
        found.append([(line["type_key"], line["external_id"]) for line in result.items()])
        if found[-1]:
            after = ["--after", "/".join(found[-1][-1])]
    return found[:-1]


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
async def test_pages_of_items_cover_the_whole_listing(command: CommandLine, limit: int) -> None:
    found = await pages(command, "items", limit)
    assert [key for page in found for key in page] == KEYS
    assert {len(page) for page in found[:-1]} <= {limit}


async def test_pages_are_limited_to_the_chosen_collection(command: CommandLine) -> None:
    assert await pages(command, "items", 4, "--type", "groups") == [KEYS[:4], KEYS[4:5]]


async def test_pages_of_missing_and_unread_items(command: CommandLine, database: Database) -> None:
    await sync(database, TENANT, [named_item("groups", "z")], "groups", "namedLocations")
    missing = [key for key in KEYS if key != ("groups", "z")]
    assert await pages(command, "missing", 4) == [missing[:4], missing[4:8], missing[8:]]
    outcomes = dict.fromkeys(("groups", "namedLocations"), REFUSED)
    await sync(database, TENANT, [], "groups", "namedLocations", status=RunStatus.FAILED, outcomes=outcomes)
    assert await pages(command, "missing", 4) == [KEYS[:4], KEYS[4:8], KEYS[8:]]
    assert await pages(command, "missing", 4, "--not-read") == [[("groups", "z")]]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (("--name", "a"), [key for key in KEYS if key[1] not in ("b/c", "a")]),
        (("--state", "present"), KEYS),
        (("--state", "missing"), []),
        (("--kind", "group"), KEYS[:5]),
    ],
)
async def test_pages_of_filtered_items_keep_the_order(
    command: CommandLine, choice: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    assert [key for page in await pages(command, "items", 3, *choice) for key in page] == expected


async def test_pages_filtered_by_setting_or_state_are_sorted_by_name(command: CommandLine, database: Database) -> None:
    types = ("groups", "namedLocations")
    some = [key for key in KEYS if key[1] != "z"]
    async with database.tenant(TENANT) as session:
        await keep_settings(session, KEYS, {key: [("camera", "off")] for key in KEYS})
    await sync(database, TENANT, [named_item(*key) for key in KEYS if key not in some], *types)
    for choice in (("--state", "missing"), ("--setting", "camera", "--state", "missing")):
        assert [key for page in await pages(command, "items", 3, *choice) for key in page] == some
    assert [key for page in await pages(command, "items", 3, "--setting", "camera=off") for key in page] == KEYS


async def test_page_continues_after_the_new_name_of_a_renamed_item(command: CommandLine, database: Database) -> None:
    types = ("groups", "namedLocations")
    renamed = [
        observation("groups", "d d", displayName="Yankee"),
        *(named_item(*key) for key in KEYS if key[1] != "d d"),
    ]
    await sync(database, TENANT, renamed, *types)
    result = await command("items", "--json", "--type", "groups", "--after", "groups/d d")
    assert [line["external_id"] for line in result.items()] == ["a", "b/c"]


async def test_cut_table_shows_how_to_continue(command: CommandLine) -> None:
    result = await command("items", "--limit", "2")
    assert "the first by collection and name; there may be more: --after groups/é" in result.stderr
    assert "beta" not in result.stdout
    assert "may be more" not in (await command("items")).stderr


@pytest.mark.parametrize("name", ["items", "missing"])
@pytest.mark.parametrize(
    ("after", "words"),
    [
        ("groups", "TYPE/ID"),
        ("groups/", "TYPE/ID"),
        ("/a", "TYPE/ID"),
        ("groups/x", "there is no item groups/x to continue after; start from the first page"),
    ],
)
async def test_after_must_name_an_item(command: CommandLine, name: str, after: str, words: str) -> None:
    result = await command(name, "--after", after)
    assert result.code == 2
    assert words in result.stderr


OTHER = UUID(int=8)


@pytest.fixture
def other(database_url: str, tmp_path: Path) -> CommandLine:
    return CommandLine(database_url, tmp_path, OTHER)


REFUSED: tuple[Outcome, ErrorCode | None] = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)


async def test_revoked_app_makes_no_items_missing(database: Database, other: CommandLine) -> None:
    wave = [observation(type_key, external_id) for type_key, external_id in KEYS]
    await sync(database, OTHER, wave, "groups", "namedLocations")
    await sync(database, OTHER, wave[1:], "groups", "namedLocations")
    outcomes = dict.fromkeys(("groups", "namedLocations"), REFUSED)
    await sync(database, OTHER, [], "groups", "namedLocations", status=RunStatus.FAILED, outcomes=outcomes)
    result = await other("missing")
    table, unread = result.stdout.split("not read to their end: ", 1)
    assert "not_listed" in table
    assert " d d " in table
    assert "namedLocations" not in table
    assert [" ".join(line.split()) for line in unread.splitlines()] == [
        "2 collections; 9 items of unknown state",
        "each row: why = failed:graph_permission_missing, last read = just now",
        "collection items",
        "groups 4",
        "namedLocations 5",
    ]
    as_csv = await other("missing", "--csv", "--not-read")
    assert len(as_csv.stdout.splitlines()) == 10
    assert as_csv.stderr.splitlines()[-1] == "not read to their end: 2 collections; 9 items of unknown state"

    every = (await other("missing", "--json")).items()
    assert len(every) == len(KEYS)
    assert [line["evidence"] for line in every if line["first_missed_at"]] == ["not_listed"]
    assert len((await other("missing", "--json", "--not-read")).items()) == len(KEYS) - 1
    assert len((await other("missing", "--json", "--evidence", "not_listed")).items()) == 1
    assert (await other("missing", "--json", "--confidence", "high")).items() == []
    assert (await other("missing", "--not-read", "--evidence", "confirmed")).code == 2
    assert "b/c" in (await other("missing", "--not-read")).stdout
    (latest, *_) = (await other("runs", "--json")).objects()
    assert (latest["counts"]["missing"], latest["counts"]["not_read"]) == (0, 10)


async def test_unread_items_are_called_not_read_in_texts(database: Database, other: CommandLine) -> None:
    types = ("groups", "namedLocations")
    await sync(database, OTHER, [named_item(*key) for key in KEYS], *types)
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {
        "groups": REFUSED,
        "namedLocations": (Outcome.COMPLETE, None),
    }
    wave = [named_item(*key) for key in KEYS if key[0] != "groups" and key[1] != "a"]
    await sync(database, OTHER, wave, *types, status=RunStatus.PARTIAL, outcomes=outcomes)
    records = (await other("items", "--json")).items()
    assert {line["state"] for line in records if line["type_key"] == "groups"} == {"missing"}, "JSON keeps its contract"
    selection = str((await other("runs", "--json")).objects()[0]["selection_hash"])
    for options in ((), ("--selection", selection)):
        result = await other("items", *options)
        groups, others = result.stdout.split("Named locations", 1)
        assert groups.count("not read") == len(IDS)
        assert groups.count("failed:graph_permission_missing") == len(IDS)
        assert "missing " not in groups.replace("permission_missing", "")
        assert "low" not in groups, "an unknown state has no confidence"
        [missing_line] = [line for line in others.splitlines() if "missing" in line]
        assert missing_line.split()[:5] == ["Zulu", "a", "missing", "low", "not_listed"]
    details = await other("show", "groups", "z")
    assert "item: not read (failed:graph_permission_missing); details" in details.stderr
    gone_too = await other("show", "namedLocations", "a")
    assert "item: missing, low confidence, not_listed; details" in gone_too.stderr
    only = await other("missing", "--not-read", "--type", "groups")
    assert "collection_" not in only.stdout


async def test_sync_of_another_collection_keeps_the_answers(database: Database, other: CommandLine) -> None:
    wave = [observation(type_key, external_id) for type_key, external_id in KEYS]
    await sync(database, OTHER, wave, "groups", "namedLocations")
    await sync(database, OTHER, wave[:-1], "groups", "namedLocations")
    items, missing = [(await other(command, "--json")).items() for command in ("items", "missing")]
    assert len(missing) == 1
    await sync(database, OTHER, [], "roleDefinitions")
    assert (await other("items", "--json")).items() == items
    assert (await other("missing", "--json")).objects() == missing
    (selected, *_) = (await other("runs", "--json")).objects()
    of_a_selection = (await other("items", "--json", "--selection", selected["selection_hash"])).objects()
    assert {line["state"] for line in of_a_selection} == {None}


async def test_empty_answer_states_its_coverage(database: Database, other: CommandLine) -> None:
    for command in ("items", "missing"):
        result = await other(command)
        assert (result.code, result.stdout) == (3, "")
        assert "this tenant was never read: no run has completed" in result.stderr
    await sync(database, OTHER, [], "groups", "namedLocations")
    assert (await other("items")).stdout.startswith("no items: 2 collections read to their end since 20")
    assert (await other("missing")).stdout.startswith("nothing is missing: 2 collections read to their end since 20")
    of_one = await other("missing", "--type", "groups")
    assert of_one.stdout.startswith("nothing is missing: 1 collection read to its end since 20")
    never = await other("missing", "--type", "roleDefinitions")
    assert never.stdout == "nothing is missing: no collection was read to its end\n"
    await sync(database, OTHER, [], "groups", status=RunStatus.FAILED, outcomes={"groups": REFUSED})
    refused = (await other("missing")).stdout.splitlines()
    assert refused[0].startswith("nothing is missing: 1 collection read to its end since 20")
    assert refused[1] == "not read to its end: 1 collection; 0 items of unknown state"
    assert refused[3].split()[:3] == ["groups", "0", "failed:graph_permission_missing"]


async def test_title_tells_the_age_of_the_oldest_reading(command: CommandLine, database: Database) -> None:
    first, *_ = (await command("items")).stdout.splitlines()
    assert "the oldest" not in first, "one run read all"
    await sync(database, TENANT, [named_item("groups", "z")], "groups")
    both = " ".join((await command("items")).stdout.split())
    assert re.search(r"the last one \S+ \S+ \(success\), the oldest \S+ \S+ ", both)


async def test_collections_that_were_not_read_are_named(database: Database, other: CommandLine) -> None:
    await sync(database, OTHER, [observation("namedLocations", "n")], "groups", "namedLocations")
    await sync(database, OTHER, [], "groups", status=RunStatus.FAILED, outcomes={"groups": REFUSED})
    reason = "failed:graph_permission_missing"
    of_groups = await other("items", "--type", "groups")
    assert of_groups.stdout == "no items: no collection was read to its end\n"
    assert of_groups.stderr == f"not read: groups ({reason})\n"
    assert (await other("items", "--type", "groups", "--json")).not_read() == [(reason, ["groups"])]
    assert (await other("items", "--type", "namedLocations", "--json")).not_read() == []
    opt_in = await other("items", "--type", "auditEvents")
    assert opt_in.stderr == "never read: auditEvents\n"
    every = await other("items")
    refused, never = every.stderr.splitlines()
    assert (refused, never[:12], never[-5:]) == (f"not read: groups ({reason})", "never read: ", " more")
    (_, [*keys]) = dict((await other("items", "--json")).not_read()).popitem()
    assert "applications" in keys
    assert "auditEvents" not in keys, "opt-in, so nobody expects it"


@pytest.mark.parametrize("command", ["show", "versions", "diff", "dependencies"])
async def test_unknown_item_of_an_unread_collection_may_exist(
    database: Database, other: CommandLine, command: str
) -> None:
    await sync(database, OTHER, [], "groups")
    unknown = "error: groups has no item 'x' in this tenant's inventory"
    result = await other(command, "groups", "x")
    assert (result.code, result.stderr.partition(";")[0]) == (2, unknown)
    await sync(database, OTHER, [], "groups", status=RunStatus.FAILED, outcomes={"groups": REFUSED})
    result = await other(command, "groups", "x")
    unread = f"{unknown}, which was not read to its end (failed:graph_permission_missing)"
    assert (result.code, result.stderr.partition(";")[0]) == (3, unread)


async def test_missing_names_unread_collections_without_items(database: Database, other: CommandLine) -> None:
    await sync(database, OTHER, [], "groups", "namedLocations")
    assert (await other("missing", "--json")).objects() == [], "what was never read can miss nothing"
    await sync(database, OTHER, [], "groups", status=RunStatus.FAILED, outcomes={"groups": REFUSED})
    (line,) = (await other("missing", "--json")).objects()
    assert line == {
        "answer": "not_read",
        "reason": "failed:graph_permission_missing",
        "type_keys": ["groups"],
        "tenant_ids": [str(OTHER)],
    }
    type_options = ("--type", "namedLocations", "--type", "roleDefinitions")
    assert (await other("missing", *type_options, "--json")).not_read() == [("never_read", ["roleDefinitions"])]
    assert (await other("missing", *type_options)).stderr == "never read: roleDefinitions\n"


async def test_selection_is_found_by_its_name(command: CommandLine, database: Database) -> None:
    run = runs.RunIdentity(uuid4(), "sync/test", Selection(type_keys=("groups",)), "Contoso", "people")
    async with database.tenant(TENANT) as session:
        await runs.open_run(session, run, SLOTS)
    await end(database, TENANT, run)
    result = await command("missing", "--selection", "people", "--json")
    assert {line["type_key"] for line in result.objects()} == {"groups"}
    refused = await command("missing", "--selection", "nobody")
    assert (refused.code, "no run of this tenant has a selection named 'nobody'" in refused.stderr) == (2, True)


async def test_expired_log_entries_are_missing_only_if_requested(command: CommandLine, database: Database) -> None:
    types = ("auditEvents", "groups", "namedLocations")
    kept = [observation(type_key, external_id) for type_key, external_id in KEYS[1:]]
    await sync(database, TENANT, [*kept, observation("auditEvents", "expired")], *types)
    await sync(database, TENANT, kept, *types)
    assert await pages(command, "missing", 9) == [KEYS[:1]]
    assert await pages(command, "missing", 9, "--type", "auditEvents") == [[("auditEvents", "expired")]]
