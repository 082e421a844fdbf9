"""A run counts a version as a change if `changes` reports it."""

from typing import Any
from uuid import UUID

import pytest

from activities.observers import Observers, SensitivityRules
from graph.catalog import load_catalog
from inventory.exact_json import encode
from inventory.stale import StalePart
from storage.database import Database
from storage.new_versions import NewVersion

POLICY: dict[str, Any] = {"id": "1", "name": "Wi-Fi", "settings": [], "assignments": []}


def setting(number: int, definition: str) -> dict[str, Any]:
    return {"id": str(number), "settingInstance": {"settingDefinitionId": definition}}


def version(before: dict[str, Any] | None, after: dict[str, Any], **fields: Any) -> NewVersion:
    new_version = NewVersion(
        "configurationPolicies",
        "1",
        2,
        encode(POLICY | after),
        None if before is None else encode(POLICY | before),
        details_complete=True,
        before_complete=True,
        is_sorted=False,
        was_sorted=False,
        lacked_before=None,
    )
    return new_version._replace(**fields)


@pytest.mark.parametrize(
    ("new_version", "is_change"),
    [
        (version({}, {"name": "Office"}), True),
        (version({"settings": [setting(0, "a")]}, {"settings": [setting(1, "a")]}), False),
        (version({"settings": [setting(0, "a")]}, {"settings": [setting(0, "b")]}), True),
        (version({"settings": None}, {"settings": [setting(0, "a")]}, before_complete=False), False),
        (version({}, {"newProperty": 1}, was_sorted=True), False),
        (version({}, {"name": "Office"}, was_sorted=True), True),
        (
            version({}, {"settings": [setting(0, "a")]}, lacked_before=[StalePart(detail="settings")]),
            False,
        ),
        (version(None, {}), True),
    ],
    ids=[
        "another name",
        "a setting with another number",
        "another setting",
        "details that the version before lacks",
        "properties that release 0.3.0 did not request",
        "a name that release 0.3.0 read otherwise",
        "a detail that could not be read before",
        "a damaged document",
    ],
)
async def test_a_version_counts_as_a_change_only_if_changes_reports_it(
    database: Database, new_version: NewVersion, is_change: bool
) -> None:
    comparison = Observers(load_catalog(), SensitivityRules(), database).comparison(UUID(int=1))
    assert await comparison.are_changes([new_version]) == [is_change]
