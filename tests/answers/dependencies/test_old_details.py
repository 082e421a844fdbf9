"""Answers about dependencies that rest on details read long ago."""

from datetime import timedelta
from typing import Any

from answers.dependencies.records import Presence
from inventory.missing import Confidence
from inventory.observation import Observation
from storage.database import Database
from tests.answers.dependencies.test_answer import (
    ALL,
    APP,
    CONFIGURATIONS,
    GROUPS,
    TENANT,
    configuration,
    group,
    neighbourhood,
    reach,
    state,
    synced,
    target,
    unassigned,
)
from tests.storage.support import age_details, observation


def listed_app(*assignments: dict[str, Any]) -> Observation:
    return observation(APP, "a", displayName="App", assignments=list(assignments), relationships=[])


async def test_unassigned_is_low_confidence_with_old_details(database: Database) -> None:
    await synced(database, listed_app(), group("g"), types=(APP, GROUPS))
    (record,) = (await unassigned(database, APP))[0].values()
    assert (record.confidence, record.details_read_at) == (Confidence.HIGH, None)
    await age_details(database, TENANT, timedelta(days=3), APP)
    found, cannot_say = await unassigned(database, APP)
    assert found["a"].confidence is Confidence.LOW
    assert found["a"].details_read_at is not None
    assert [(record.type_key, record.reason, record.references) for record in cannot_say] == [(APP, "old_details", 1)]
    assert cannot_say[0].read_at == found["a"].details_read_at


async def test_only_references_from_old_details_are_low_confidence(database: Database) -> None:
    await synced(
        database,
        listed_app(target("group", "g")),
        configuration("c", target("group", "g")),
        group("g"),
        types=(APP, *ALL),
    )
    await age_details(database, TENANT, timedelta(days=3), APP, CONFIGURATIONS)
    needed = await neighbourhood(database, GROUPS, "g")
    assert {dependency.item.external_id: state(dependency.item) for dependency in needed.dependencies} == {
        "a": (Presence.PRESENT, Confidence.LOW, "old_details"),
        "c": (Presence.PRESENT, Confidence.HIGH, "listed"),
    }
    assert [record.type_key for record in needed.cannot_say if record.reason == "old_details"] == [APP]
    assert state((await reach(database, "g"))["a"].item) == (Presence.PRESENT, Confidence.LOW, "old_details")


async def test_details_read_by_the_latest_run_are_not_old(database: Database) -> None:
    await synced(database, listed_app(), types=(APP,))
    await age_details(database, TENANT, timedelta(0), APP)
    found, cannot_say = await unassigned(database, APP)
    assert (found["a"].confidence, cannot_say) == (Confidence.HIGH, [])
