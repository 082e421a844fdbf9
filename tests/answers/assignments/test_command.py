"""`assignments` as people and machines see it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.answers.dependencies.test_answer import CONFIGURATIONS, FILTERS, GROUPS, configuration, group, target
from tests.cli.command_line import CommandLine
from tests.storage.support import age_details, observation, sync

TENANT = UUID(int=91)
APPS, SETS, TAGS = "mobileApps", "policySets", "roleScopeTags"
TYPES = (CONFIGURATIONS, GROUPS, FILTERS, APPS, SETS, TAGS)


async def assigned(database: Database) -> None:
    """A tenant with items assigned to a group that was deleted afterwards."""
    by_set = {**target("group", "g"), "intent": "required", "source": "policySets", "sourceId": "set"}
    items = [
        group("g"),
        observation(FILTERS, "f", displayName="Windows 11"),
        observation(SETS, "set", displayName="Office", assignments=[]),
        observation(APPS, "a", displayName="Viewer", assignments=[by_set, target("allDevices")]),
        observation(TAGS, "0", displayName="Default", assignments=[]),
        configuration("c", target("group", "g", filtered_by="f"), target("exclusionGroup", "gone")),
        configuration("nobody"),
        observation(CONFIGURATIONS, "unknown", displayName="Unknown"),
    ]
    await sync(database, TENANT, [*items, group("gone")], *TYPES)
    await sync(database, TENANT, items, *TYPES)


pytestmark = pytest.mark.filled.with_args(assigned)


async def assignment_texts(starter: CommandLine, *arguments: str) -> tuple[dict[str, list[str]], list[Any]]:
    """The texts of the assignments by item, and the `cannot_say` records."""
    result = await starter("assignments", *arguments, "--json")
    assert result.code == 0, result.stderr
    texts: dict[str, list[str]] = {}
    for line in result.objects():
        if line.get("record") == "assignment":
            texts.setdefault(line["external_id"], []).append(line["text"])
    return texts, [record for record in result.objects() if record.get("answer") == "cannot_say"]


async def test_assignments_show_names(starter: CommandLine) -> None:
    texts, _ = await assignment_texts(starter)
    assert texts == {
        "a": ['include group "Group g" · required · through policy set "Office"', "include all devices"],
        "0": ["everyone"],
        "c": ['include group "Group g" · filter "Windows 11" (include)', 'exclude group "Group gone"'],
        "nobody": ["assigned to nobody"],
        "set": ["assigned to nobody"],
    }


async def test_table_shows_the_last_known_name_of_a_deleted_group(starter: CommandLine) -> None:
    result = await starter("assignments", "Profile c")
    assert 'exclude  "Group gone" (deleted)' in result.stdout
    assert 'include  "Group g"' in result.stdout
    assert 'include "Windows 11"' in result.stdout
    assert "Viewer" not in result.stdout


async def test_table_shows_intent_and_policy_set(starter: CommandLine) -> None:
    (line,) = [line for line in (await starter("assignments", "Viewer")).stdout.splitlines() if "Group g" in line]
    assert "required" in line
    assert '"Office"' in line


async def test_collections_with_unknown_assignments_are_named(starter: CommandLine, database: Database) -> None:
    _, gaps = await assignment_texts(starter)
    reasons = {(record["type_key"], record["reason"], record["references"]) for record in gaps}
    assert (CONFIGURATIONS, "assignments_not_shown", 1) in reasons
    assert ("intents", "never_read", None) in reasons
    result = await starter("assignments")
    assert f"not all assignments are known of {CONFIGURATIONS} (1 item): assignments not shown" in result.stderr


async def test_collection_unread_by_the_latest_run_is_named(starter: CommandLine, database: Database) -> None:
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {APPS: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)}
    await sync(database, TENANT, [], APPS, status=RunStatus.FAILED, outcomes=outcomes)
    _, gaps = await assignment_texts(starter, "Viewer")
    assert [(record["type_key"], record["reason"]) for record in gaps] == [(APPS, "failed:graph_throttled")]
    result = await starter("assignments", "Viewer")
    assert "Viewer" in result.stdout, "as an earlier run listed it"
    assert f"not all assignments are known of {APPS}: failed: graph throttled" in result.stderr


async def test_old_details_are_reported_on_their_own_line(starter: CommandLine, database: Database) -> None:
    await age_details(database, TENANT, timedelta(days=3), APPS)
    result = await starter("assignments", "Viewer")
    assert f"{APPS}: rests on details of 1 item read from " in result.stderr
    assert "not known" not in result.stderr


async def test_unknown_item_is_refused(starter: CommandLine) -> None:
    result = await starter("assignments", "Nothing of the kind")
    assert result.code == 2
    assert "nothing that can be assigned has the id or name 'Nothing of the kind'" in result.stderr


async def test_refusal_of_an_unknown_item_names_unread_collections(starter: CommandLine, database: Database) -> None:
    words = ("Nothing of the kind", "--type", APPS, "--type", CONFIGURATIONS)
    unknown = "error: nothing that can be assigned has the id or name 'Nothing of the kind' in this tenant's inventory"
    assert (await starter("assignments", *words)).stderr == f"{unknown}\n"
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {APPS: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)}
    await sync(database, TENANT, [], APPS, status=RunStatus.FAILED, outcomes=outcomes)
    assert (await starter("assignments", *words)).stderr == f"{unknown}; not read: {APPS} (failed:graph_throttled)\n"


async def test_reaches_option_names_the_policy_set(starter: CommandLine) -> None:
    result = await starter("dependencies", "--reaches", "Group g")
    assert 'required: group through policy set "Office"' in result.stdout
    assert '2 items reach group "Group g", 0 exclude it' in result.stdout


async def test_dangling_names_a_deleted_group(starter: CommandLine) -> None:
    result = await starter("dangling", "--type", CONFIGURATIONS)
    assert "Group gone" in result.stdout
