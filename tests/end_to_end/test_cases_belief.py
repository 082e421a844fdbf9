"""The cases of `../shared/cases` about unreliable lists, licences and references."""

from datetime import datetime
from typing import Any

import pytest

from tests.end_to_end.cases import Case, TenantPair, needs_cases

pytestmark = needs_cases


def test_05_app_assigned_without_a_new_time(pair: TenantPair) -> None:
    case = Case("05-app-assigned-without-a-new-time")
    (type_key,) = case.type_keys
    _, after = pair.play(case)
    assert (after.status, after.counts.changed) == ("success", 1)
    (change,) = pair.changes(type_key)
    assert change.fields is not None
    (field,) = change.fields
    assert (field.kind.value, field.path.startswith("assignments[")) == ("added", True)
    assert not unassigned(pair, type_key)


@pytest.mark.slow
def test_06_app_permission_granted(pair: TenantPair) -> None:
    case = Case("06-app-permission-granted")
    (type_key,) = case.type_keys
    _, after = pair.play(case)
    assert (after.status, after.counts.changed) == ("success", 0)
    result = pair.command("changes", "--type", type_key)
    assert result.code == 0, result.stderr
    warnings = " ".join(result.stderr.split())
    assert f"{type_key}: rests on details read " in warnings
    assert "so changes of appRoleAssignedTo, appRoleAssignments, " in warnings
    assert "since then may still come" in warnings
    (old,) = pair.command("changes", "--type", type_key, "--json").objects()[-1]["summary"]["old_details"]
    assert (old["type_key"], old["items"]) == (type_key, 1)
    assert after.started_at is not None
    assert datetime.fromisoformat(old["read_at"]) < after.started_at
    assert pair.sync(case.type_keys, "--deep").counts.changed == 1
    assert not pair.command("changes", "--type", type_key, "--json").objects()[-1]["summary"]["old_details"]
    (change,) = pair.changes(type_key)
    assert change.fields is not None
    assert [(field.kind.value, field.path.partition("[")[0]) for field in change.fields] == [
        ("added", "appRoleAssignments")
    ]


@pytest.mark.slow
def test_07_catalog_app_unassigned(pair: TenantPair) -> None:
    case = Case("07-catalogue-app-unassigned")
    type_key, (external_id,) = case.type_keys[0], case.ids
    _, after = pair.play(case)
    # The second change: the simulated Graph re-creates the group, with a new time.
    assert (after.status, after.counts.observed, after.counts.changed) == ("success", 2, 2)
    (change,) = pair.changes(type_key)
    assert change.fields is not None
    (field,) = change.fields
    assert (field.kind.value, field.path.startswith("assignments[")) == ("removed", True)
    assert not reaching(pair, str(case.after["groups"][0]["id"]))
    assert [record["external_id"] for record in unassigned(pair, type_key)] == [external_id]
    assert pair.show(type_key, external_id)["assignments"] == []
    assert pair.sync(case.type_keys).counts.changed == 0


@pytest.mark.slow
def test_10_expand_shows_no_assignments(pair: TenantPair) -> None:
    case = Case("10-expand-shows-no-assignments")
    type_key, (external_id,) = case.type_keys[0], case.ids
    pair.hold(case.before)
    pair.answer(case, "before")
    run = pair.sync(case.type_keys)
    assert run.status == "success"
    assert not unassigned(pair, type_key)
    (assignment,) = pair.show(type_key, external_id)["assignments"]
    group_id = str(case.before["groups"][0]["id"])
    assert assignment["target"]["groupId"] == group_id
    (record,) = reaching(pair, group_id)
    assert (record["reaches"], record["through"]) == (True, ["group"])
    assert pair.sync(case.type_keys).counts.changed == 0


@pytest.mark.slow
def test_22_uninstall_reaches_an_excluded_group(pair: TenantPair) -> None:
    case = Case("22-uninstall-reaches-an-excluded-group")
    pair.hold(case.before)
    pair.sync(case.type_keys)
    excluded, reached = (str(group["id"]) for group in case.before["groups"])
    result = pair.command("dependencies", "--reaches", excluded)
    assert result.code == 0, result.stderr
    assert "1 item reaches group" in result.stdout
    (record,) = reaching(pair, excluded)
    assert record["reaches"] is True
    assert {parts(assignment) for assignment in record["assignments"]} == {
        ("exclude", "group", "available", False),
        ("exclude", "group", "required", False),
        ("include", "all users", "available", True),
        ("include", "group", "uninstall", False),
    }
    (record,) = reaching(pair, reached)
    assert record["reaches"] is True
    assert {parts(assignment) for assignment in record["assignments"]} == {
        ("include", "all users", "available", False),
        ("include", "group", "required", False),
    }


@pytest.mark.slow
def test_25_no_licence_said_by_the_code(pair: TenantPair) -> None:
    case = Case("25-no-licence-said-by-the-code")
    governance = [key for key in case.type_keys if key != "groups"]
    before, after = pair.play(case)
    for run in (before, after):
        assert (run.status, run.counts.errors) == ("success", 0)
        assert {
            key: (str(collection.outcome), str(collection.error_code)) for key, collection in run.collections.items()
        } == {
            **dict.fromkeys(governance, ("skipped", "graph_not_licensed")),
            "groups": ("complete", "None"),
        }
    result = pair.command("missing", "--type", "groups", "--json")
    (missing,) = (line for line in result.objects() if "external_id" in line)
    assert (missing["display_name"], missing["confidence"], missing["evidence"]) == ("Goes", "high", "confirmed")
    types = [argument for key in case.type_keys for argument in ("--type", key)]
    result = pair.command("check", *types)
    assert result.code == 0, result.stderr
    assert "grant" not in result.stdout
    assert result.stdout.count("needs Entra ID P2") == len(governance)


def unassigned(pair: TenantPair, type_key: str) -> list[dict[str, Any]]:
    result = pair.command("unassigned", "--type", type_key, "--json")
    assert result.code == 0, result.stderr
    return [record for record in result.objects() if record["answer"] == "unassigned"]


def reaching(pair: TenantPair, group_id: str) -> list[dict[str, Any]]:
    result = pair.command("dependencies", "--reaches", group_id, "--json")
    assert result.code == 0, result.stderr
    return [record for record in result.objects() if record["answer"] == "reach"]


def parts(assignment: dict[str, Any]) -> tuple[object, ...]:
    return tuple(assignment[name] for name in ("role", "through", "intent", "is_overridden"))
