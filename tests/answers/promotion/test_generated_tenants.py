"""Plans of generated tenants with renamed groups, missing filters, twins and circles, checked by a plain oracle."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from answers.promotion.records import PlanAction
from storage.database import Database
from tests.answers.promotion.plan_application import applied, plan, read, simulated

CONFIGURATIONS, FILTERS, GROUPS = "deviceConfigurations", "assignmentFilters", "groups"
TYPES = (CONFIGURATIONS, FILTERS)
GROUP_NUMBERS, FILTER_NUMBERS, ITEM_NUMBERS = range(4), range(2), range(5)


class GeneratedAssignment(NamedTuple):
    """An assignment: to a group, or to all devices, perhaps with a filter."""

    group: int | None
    is_exclusion: bool
    filter: int | None


class GeneratedItem(NamedTuple):
    """An item of the source: its assignments, the items to which it is bound, and its state in the target."""

    assigned: list[GeneratedAssignment]
    needs: set[int]
    in_target: str


class Tenants(NamedTuple):
    """The state of each of the source's groups and filters in the target, and the items."""

    groups: list[str]
    filters: list[str]
    made: list[GeneratedItem]


assignments = st.builds(
    GeneratedAssignment,
    st.none() | st.sampled_from(GROUP_NUMBERS),
    st.booleans(),
    st.none() | st.sampled_from(FILTER_NUMBERS),
).map(lambda generated: generated._replace(is_exclusion=False) if generated.group is None else generated)
tenants = st.builds(
    Tenants,
    st.lists(st.sampled_from(["same", "same", "renamed", "missing", "twice"]), min_size=4, max_size=4),
    st.lists(st.sampled_from(["same", "missing"]), min_size=2, max_size=2),
    st.lists(
        st.builds(
            GeneratedItem,
            st.lists(assignments, max_size=3, unique_by=lambda generated: (generated.group, generated.is_exclusion)),
            st.sets(st.sampled_from(ITEM_NUMBERS), max_size=2),
            st.sampled_from(["missing", "missing", "same", "edited", "twice"]),
        ),
        min_size=len(ITEM_NUMBERS),
        max_size=len(ITEM_NUMBERS),
    ),
)


def an_id(side: int, kind: int, number: int, twin: int = 0) -> str:
    return f"{side}{kind}{twin}0000{number}-1111-4000-8000-00000000000{number}"


def groups(side: int, states: list[str]) -> Iterator[dict[str, Any]]:
    for number, state in enumerate(states):
        if state != "missing":
            name = f"Renamed {number}" if state == "renamed" else f"Group {number}"
            for twin in range(2 if state == "twice" else 1):
                yield {"id": an_id(side, 1, number, twin), "displayName": name}


def filters(side: int, states: list[str]) -> Iterator[dict[str, Any]]:
    for number, state in enumerate(states):
        if state != "missing":
            rule = f'(device.model -eq "{number}")'
            yield {
                "id": an_id(side, 2, number),
                "displayName": f"Filter {number}",
                "platform": "iOS",
                "rule": rule,
                "payloads": [],
            }


def assignment(side: int, generated: GeneratedAssignment, item_id: str) -> dict[str, Any]:
    kind = "allDevices" if generated.group is None else "exclusionGroup" if generated.is_exclusion else "group"
    target: dict[str, Any] = {
        "@odata.type": f"#microsoft.graph.{kind}AssignmentTarget",
        "deviceAndAppManagementAssignmentFilterId": None,
        "deviceAndAppManagementAssignmentFilterType": "none",
    }
    if generated.group is not None:
        target["groupId"] = an_id(side, 1, generated.group)
    if generated.filter is not None:
        target["deviceAndAppManagementAssignmentFilterId"] = an_id(side, 2, generated.filter)
        target["deviceAndAppManagementAssignmentFilterType"] = "include"
    own = f"{item_id}_{generated.group}{generated.is_exclusion}"
    return {"id": own, "source": "direct", "sourceId": item_id, "intent": "apply", "target": target}


def profile(side: int, number: int, item: GeneratedItem, twin: int = 0) -> dict[str, Any]:
    item_id = an_id(side, 3, number, twin)
    return {
        "@odata.type": "#microsoft.graph.windows81TrustedRootCertificate",
        "id": item_id,
        "displayName": f"Profile {number}",
        "description": None,
        "rootCertificatesForServerValidation": [{"id": an_id(side, 3, needed)} for needed in sorted(item.needs)],
        "assignments": [assignment(side, generated, item_id) for generated in item.assigned],
    }


def source_of(generated: Tenants) -> dict[str, list[dict[str, Any]]]:
    return {
        GROUPS: list(groups(1, ["same"] * 4)),
        FILTERS: list(filters(1, ["same"] * 2)),
        CONFIGURATIONS: [profile(1, number, item) for number, item in enumerate(generated.made)],
    }


def target_of(generated: Tenants) -> dict[str, list[dict[str, Any]]]:
    """The target's items are bound to nothing and assigned to nobody; some are edited, some are there twice."""
    bare = GeneratedItem([], set(), "")
    profiles = [
        {**profile(2, number, bare, twin), "description": f"edited {twin}" if item.in_target != "same" else None}
        for number, item in enumerate(generated.made)
        for twin in range({"missing": 0, "twice": 2}.get(item.in_target, 1))
    ]
    return {
        GROUPS: list(groups(2, generated.groups)),
        FILTERS: list(filters(2, generated.filters)),
        CONFIGURATIONS: profiles,
    }


def writable(generated: Tenants) -> set[int]:
    """The items that a plan may write, by rules that share no code with the product."""
    able = {
        number
        for number, item in enumerate(generated.made)
        if item.in_target != "twice"
        and all(target.group is None or generated.groups[target.group] == "same" for target in item.assigned)
        # A new item has no id of its own yet, and the bindings of an existing item cannot change.
        and not (number in item.needs if item.in_target == "missing" else item.needs)
    }
    while True:
        # New items follow the items that they refer to; an existing item can be referred to at once.
        done = {number for number in able if generated.made[number].in_target != "missing"}
        while ready := {
            number
            for number in able - done
            if {needed for needed in generated.made[number].needs if generated.made[needed].in_target == "missing"}
            <= done
        }:
            done |= ready
        rest = {number for number in done if generated.made[number].needs <= done}
        if rest == able:
            return able
        able = rest


def assignments_by_name(documents: dict[str, list[dict[str, Any]]]) -> dict[str, Counter[str]]:
    """The assignments of each item, by the names of groups and filters."""
    names = {
        document["id"]: document["displayName"] for key in (GROUPS, FILTERS) for document in documents.get(key, ())
    }
    return {
        document["displayName"]: Counter(
            f"{entry['target']['@odata.type']} {names.get(entry['target'].get('groupId'))}"
            f" {names.get(entry['target'].get('deviceAndAppManagementAssignmentFilterId'))}"
            for entry in document.get("assignments", ())
        )
        for document in documents[CONFIGURATIONS]
    }


@pytest.mark.parametrize("examples", [4, pytest.param(300, marks=pytest.mark.slow)])
def test_unblocked_items_become_the_same_and_lose_no_reference(database_url: str, examples: int) -> None:
    @given(tenants)
    @settings(max_examples=examples)
    def holds(generated: Tenants) -> None:
        asyncio.run(check(database_url, generated))

    holds()


async def check(database_url: str, generated: Tenants) -> None:
    database, source_id, target_id = Database(database_url), uuid4(), uuid4()
    try:
        await planned_and_applied(database, source_id, target_id, generated)
    finally:
        await database.close()


async def planned_and_applied(database: Database, source_id: UUID, target_id: UUID, generated: Tenants) -> None:
    source, target = source_of(generated), target_of(generated)
    await read(database, source_id, source)
    await read(database, target_id, target)
    content = await plan(database, *TYPES, source=source_id, target=target_id)
    profiles = {int(item.title.split()[1]): item for item in content.items if item.type_key == CONFIGURATIONS}
    expected = writable(generated)
    assert {number for number, item in profiles.items() if item.action is not PlanAction.BLOCKED} == expected
    assert all(item.reasons for item in profiles.values() if item.action is PlanAction.BLOCKED)
    event(f"{len(expected)} of {len(profiles)} can be written")
    simulation = await simulated(database, content, source_id, target_id)
    assert [item for item in simulation.items if not item.is_proven] == []
    written = {key: list(documents) for key, documents in applied(content, target, {}).items()}
    arrived, of_source = assignments_by_name({**target, **written}), assignments_by_name(source)
    assert {name: arrived[name] for name in arrived if int(name.split()[1]) in expected} == {
        name: of_source[name] for name in of_source if int(name.split()[1]) in expected
    }
    await read(database, target_id, {**target, **written})
    again = await plan(database, *TYPES, source=source_id, target=target_id)
    assert {
        item.action for item in again.items if item.type_key == FILTERS or int(item.title.split()[1]) in expected
    } <= {PlanAction.NOTHING_TO_DO}
