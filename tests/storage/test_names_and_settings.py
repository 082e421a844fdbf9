"""The stored names and settings of items are those of their current versions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from answers.search.answer import Sought, find
from inventory.name_key import FOLDED, LONGEST_KEY, NAMELESS, UNFOLDED, name_key
from inventory.observation import Observation, ObservationRules, Observer
from inventory.reference_extraction import ReadingRules
from inventory.searched_settings import ENTRY, UNKNOWN, VALUE
from storage import references
from storage.database import Database
from storage.settings import entries
from tests.answers.test_damaged_documents import TENANT, damage
from tests.storage.support import begin, end, land, list_document, observation, sync

RULES = {"policies": ReadingRules({"groupIds": ("groups",)}, assignable=False, has_settings=True)}
REFERENCES_ALONE = {"policies": ReadingRules({"groupIds": ("groups",)}, assignable=False)}


def policy(external_id: str = "p", **properties: Any) -> Observation:
    return observation("policies", external_id, **properties)


def read_at_once(external_id: str = "p", rules: ReadingRules = RULES["policies"], **properties: Any) -> Observation:
    """A policy with its settings, as the first listing of its collection reads it."""
    observer = Observer(ObservationRules(type_key="policies"), reading=rules)
    return observer.observe({"id": external_id, **properties}, with_references=True)


async def catch_up(database: Database, rules: dict[str, ReadingRules] = RULES) -> None:
    await references.catch_up(database, TENANT, rules, in_turn=True)


async def stored_settings(database: Database) -> list[tuple[str, str, str | None]]:
    """Id, setting and value of each stored setting, in order."""
    async with database.tenant(TENANT, read_only=True) as session:
        found = await session.execute(text("SELECT external_id, settings FROM item_settings ORDER BY external_id"))
        entries = [(row.external_id, entry) for row in found for entry in row.settings.strip(ENTRY).split(ENTRY)]
    settings = [(external_id, *entry.split(VALUE, 1)) for external_id, entry in entries]
    return [(external_id, name, None if value == UNKNOWN else value) for external_id, name, value in settings]


async def names(database: Database) -> dict[str, str]:
    async with database.tenant(TENANT, read_only=True) as session:
        found = await session.execute(text("SELECT external_id, name_key FROM item_name"))
        return {row.external_id: row.name_key for row in found}


async def test_settings_are_those_of_the_current_version(database: Database) -> None:
    await sync(database, TENANT, [policy(camera=True, modes=["a", "b"]), policy("q", pin=None)], "policies")
    assert await stored_settings(database) == []
    await catch_up(database)
    assert await stored_settings(database) == [
        ("p", "policies/camera", "true"),
        ("p", "policies/modes", "a"),
        ("p", "policies/modes", "b"),
    ]
    await sync(database, TENANT, [policy(camera=False), policy("q", pin=6)], "policies")
    await catch_up(database)
    assert await stored_settings(database) == [("p", "policies/camera", "false"), ("q", "policies/pin", "6")]
    await sync(database, TENANT, [policy(), policy("q", pin=6)], "policies")
    await catch_up(database)
    assert await stored_settings(database) == [("q", "policies/pin", "6")]


async def test_settings_read_with_the_listing_are_merged_with_it(database: Database) -> None:
    await catch_up(database)
    script = "x" * 1_000
    await sync(database, TENANT, [read_at_once(camera=True, script=script), read_at_once("q")], "policies")
    assert await stored_settings(database) == [("p", "policies/camera", "true"), ("p", "policies/script", None)]
    async with database.tenant(TENANT) as session:
        assert await references.count_unread(session, RULES) == 0
    await catch_up(database)
    assert await stored_settings(database) == [("p", "policies/camera", "true"), ("p", "policies/script", None)]


async def test_items_read_by_the_previous_release_are_read_again(database: Database) -> None:
    await catch_up(database, REFERENCES_ALONE)
    await sync(database, TENANT, [read_at_once(rules=REFERENCES_ALONE["policies"], camera=True)], "policies")
    assert await stored_settings(database) == []
    await catch_up(database)
    assert await stored_settings(database) == [("p", "policies/camera", "true")]


async def stored_names(database: Database) -> list[tuple[str, str]]:
    async with database.tenant(TENANT, read_only=True) as session:
        found = await session.execute(text("SELECT type_key, setting FROM collection_setting ORDER BY setting"))
        return [tuple(row) for row in found]


async def test_collection_records_each_setting_once_and_permanently(database: Database) -> None:
    await catch_up(database)
    await sync(database, TENANT, [read_at_once(camera=True), read_at_once("q", camera=True, pin=6)], "policies")
    await sync(database, TENANT, [policy(camera=False, mode="a"), policy("q")], "policies")
    await catch_up(database)
    noted = [("policies", f"policies/{name}") for name in ("camera", "mode", "pin")]
    assert await stored_names(database) == noted
    await sync(database, TENANT, [read_at_once("r", mode="b")], "policies")
    assert await stored_names(database) == noted


async def test_separators_in_names_and_values_add_no_setting(database: Database) -> None:
    await catch_up(database)
    hostile: dict[str, Any] = {
        f"cam{ENTRY}era{VALUE}": "on",
        "mode": f"a{ENTRY}policies/pin{VALUE}6",
        "open": f"{VALUE}",
        "shut": "b",
    }
    await sync(database, TENANT, [read_at_once(**hostile)], "policies")
    at_once = await stored_settings(database)
    assert at_once == [
        ("p", "policies/camera", "on"),
        ("p", "policies/mode", None),
        ("p", "policies/open", None),
        ("p", "policies/shut", "b"),
    ]
    assert await stored_names(database) == [("policies", name) for _, name, _ in at_once]
    assert entries(["policies/mode"], [f"a{ENTRY}policies/pin{VALUE}6", "b"]) == entries(["policies/mode"], ["b"])


@pytest.mark.parametrize("later", [REFERENCES_ALONE, {"policies": ReadingRules({}, assignable=False)}])
async def test_settings_are_deleted_when_rules_no_longer_read_them(
    database: Database, later: dict[str, ReadingRules]
) -> None:
    await sync(database, TENANT, [policy(camera=True)], "policies")
    await catch_up(database)
    await catch_up(database, later)
    assert await stored_settings(database) == []


async def test_damaged_document_keeps_its_stored_settings(database: Database, database_url: str) -> None:
    await sync(database, TENANT, [policy(camera=True)], "policies")
    await catch_up(database)
    async with database.tenant(TENANT) as session:
        await session.execute(text("INSERT INTO unread_item (type_key, external_id) VALUES ('policies', 'p')"))
    damage(database_url, 1, b"nothing")
    await references.catch_up(database, TENANT, RULES)
    assert await stored_settings(database) == [("p", "policies/camera", "true")]


async def test_names_follow_their_items(database: Database) -> None:
    wave = [policy(displayName="WIN - BitLocker"), policy("q", displayName="ÄÖÜ Σίγμα Юг"), policy("r")]
    await sync(database, TENANT, wave, "policies")
    assert await names(database) == {"p": "win - bitlocker", "q": "äöü σίγμα юг", "r": NAMELESS}
    await sync(database, TENANT, [policy(displayName="Other"), policy("q"), policy("r", displayName="R")], "policies")
    assert await names(database) == {"p": "other", "q": NAMELESS, "r": "r"}


async def test_wave_writes_the_names_of_new_and_renamed_items_alone(database: Database) -> None:
    await sync(database, TENANT, [policy(displayName="First"), policy("q", displayName="Q")], "policies")
    wave = [policy("s"), policy(displayName="Other"), policy("r", displayName="R"), policy("q", displayName="Q")]
    await sync(database, TENANT, wave, "policies")
    assert await names(database) == {"p": "other", "q": "q", "r": "r", "s": NAMELESS}
    async with database.tenant(TENANT) as session:
        await session.execute(text("UPDATE item_name SET name_key = 'kept' WHERE external_id = 'q'"))
    await sync(database, TENANT, wave, "policies")
    assert (await names(database))["q"] == "kept", "an unchanged item's name is not written again"


async def test_listed_item_has_a_name_before_its_first_version(database: Database) -> None:
    run = await begin(database, TENANT, "policies")
    await land(database, TENANT, run, [list_document("policies", "p", displayName="Listed")])
    assert await names(database) == {"p": "listed"}
    await end(database, TENANT, run)


async def test_long_name_is_found_by_its_first_characters(database: Database) -> None:
    name = "Ü" * (LONGEST_KEY - 6) + " alpha omega" + "x" * 3_000
    await sync(database, TENANT, [policy(displayName=name), policy("q", displayName="Other")], "policies")
    assert (await names(database))["p"] == "ü" * (LONGEST_KEY - 6) + " alpha"
    found = {}
    async with database.tenant(TENANT, read_only=True) as session:
        for words in ("ÜÜÜ", "alpha", "ü alpha", name, "omega"):
            found[words] = [item.external_id async for item in find(session, Sought(words), [TENANT])]
    assert found == {"ÜÜÜ": ["p"], "alpha": ["p"], "ü alpha": ["p"], name: ["p"], "omega": []}


@given(st.text())
def test_name_key_is_idempotent_and_keeps_the_length(name: str) -> None:
    key = name_key(name)
    assert key == name_key(key)
    assert len(key) == min(len(name), LONGEST_KEY)


async def test_database_and_program_fold_names_alike(database: Database) -> None:
    some = [UNFOLDED, FOLDED, "AbÇ xyz", "ẞß İı ŸÿǄ", "日本語 ABC", "🙂 Ω", "", "ABC" * 200]
    async with database.no_tenant() as session:
        for name in some:
            folded = (await session.execute(text("SELECT name_key(:name)"), {"name": name})).scalar_one()
            assert folded == name_key(name)
