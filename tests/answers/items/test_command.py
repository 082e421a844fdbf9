"""`items` and `missing` by pages: each item on one page, and `--after` where the page before ended."""

from pathlib import Path
from uuid import UUID

import pytest

from storage.database import Database
from tests.cli.looking import CommandLine
from tests.storage.support import observation, sync

TENANT = UUID(int=7)
IDS = ("a", "b/c", "d d", "z", "é")
KEYS = [(type_key, external_id) for type_key in ("groups", "namedLocations") for external_id in IDS]


@pytest.fixture
async def command(database: Database, database_url: str, tmp_path: Path) -> CommandLine:
    types = ("groups", "namedLocations")
    await sync(database, TENANT, [observation(type_key, external_id) for type_key, external_id in KEYS], *types)
    return CommandLine(database_url, tmp_path, TENANT)


async def pages(command: CommandLine, name: str, limit: int, *options: str) -> list[list[tuple[str, str]]]:
    """The keys on each page, to the first empty one."""
    found: list[list[tuple[str, str]]] = []
    after: list[str] = []
    while not found or found[-1]:
        done = await command(name, "--limit", str(limit), "--json", *options, *after)
        assert done.code == 0, done.stderr
        found.append([(one["type_key"], one["external_id"]) for one in done.objects()])
        if found[-1]:
            after = ["--after", "/".join(found[-1][-1])]
    return found[:-1]


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
async def test_pages_of_items_are_the_whole_listing(command: CommandLine, limit: int) -> None:
    found = await pages(command, "items", limit)
    assert [key for page in found for key in page] == KEYS
    assert {len(page) for page in found[:-1]} <= {limit}


async def test_pages_keep_to_a_collection(command: CommandLine) -> None:
    assert await pages(command, "items", 4, "--type", "groups") == [KEYS[:4], KEYS[4:5]]


async def test_pages_of_missing_items(command: CommandLine, database: Database) -> None:
    await sync(database, TENANT, [observation("groups", "b/c")], "groups", "namedLocations")
    missing = [key for key in KEYS if key != ("groups", "b/c")]
    assert await pages(command, "missing", 4) == [missing[:4], missing[4:8], missing[8:]]


async def test_a_page_for_people_says_how_to_go_on(command: CommandLine) -> None:
    done = await command("items", "--limit", "2")
    assert "there may be more: --after groups/b/c" in done.stderr
    assert "d d" not in done.stdout
    assert "may be more" not in (await command("items")).stderr


@pytest.mark.parametrize("after", ["groups", "groups/", "/a"])
async def test_after_names_an_item(command: CommandLine, after: str) -> None:
    done = await command("items", "--after", after)
    assert done.code == 2
    assert "TYPE/ID" in done.stderr
