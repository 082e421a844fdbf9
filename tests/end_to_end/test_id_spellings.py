"""Graph changes the case of ids between runs: no change is reported, and all answers find the items."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.end_to_end.cases import Documents, TenantPair

POLICY, GONE, GROUP = (f"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f{digit}" for digit in "123")
MADE = {"createdDateTime": "2026-03-02T09:30:00Z"}
TYPES = ("deviceConfigurations", "groups")


def documents(spelled: Callable[[str], str], *policies: str) -> Documents:
    def policy(external_id: str) -> dict[str, Any]:
        target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": GROUP}
        return {
            "@odata.type": "#microsoft.graph.windows10GeneralConfiguration",
            "id": spelled(external_id),
            "displayName": f"Policy {external_id[-1]}",
            **MADE,
            "assignments": [{"id": f"{spelled(external_id)}_{GROUP}", "target": target}],
        }

    return {
        "deviceConfigurations": [policy(external_id) for external_id in policies],
        "groups": [{"id": spelled(GROUP), "displayName": "Pilot", **MADE}],
    }


@pytest.mark.slow
def test_ids_in_another_case_are_no_change_and_removed_items_are_confirmed(pair: TenantPair) -> None:
    pair.hold(documents(str.lower, POLICY, GONE))
    assert pair.sync(TYPES).counts.created == 3

    pair.hold(documents(str.upper, POLICY, GONE))
    counts = pair.sync(TYPES).counts
    assert (counts.created, counts.changed, counts.unchanged, counts.missing) == (0, 0, 3, 0)
    assert pair.changes(*TYPES) == []
    assert [version.version for version in pair.versions("deviceConfigurations", POLICY.upper())] == [1]
    assert pair.show("deviceConfigurations", POLICY.upper())["id"] == POLICY
    needs = pair.command("dependencies", "deviceConfigurations", POLICY.upper(), "--json").objects()
    (found,) = [record["target"] for record in needs if record["answer"] != "cannot_say"]
    assert (found["external_id"], found["display_name"], found["presence"]) == (GROUP, "Pilot", "present")
    assert pair.command("dependencies", "--dangling", "--json").stdout.count(GROUP) == 0

    pair.hold(documents(str.upper, POLICY))
    assert pair.sync(TYPES).counts.missing == 1
    (missing,) = [line for line in pair.command("missing", "--json").objects() if "external_id" in line]
    assert (missing["external_id"], missing["graph_id"], missing["evidence"]) == (GONE, GONE.upper(), "confirmed")
