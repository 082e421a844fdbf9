"""The cases of `../shared/cases` about unreliable lists, licences and references."""

from datetime import datetime
from typing import Any

import pytest

from tests.end_to_end.cases import Case, Stage, needs_cases

pytestmark = needs_cases


def test_05_app_assigned_without_a_new_time(stage: Stage) -> None:
    case = Case("05-app-assigned-without-a-new-time")
    (type_key,) = case.type_keys
    _, after = stage.play(case)
    assert (after.status, after.counts.changed) == ("success", 1)
    (change,) = stage.changes(type_key)
    assert change.fields is not None
    (field,) = change.fields
    assert (field.kind.value, field.path.startswith("assignments[")) == ("added", True)
    assert not unassigned(stage, type_key)


@pytest.mark.slow
def test_06_app_permission_granted(stage: Stage) -> None:
    case = Case("06-app-permission-granted")
    (type_key,) = case.type_keys
    _, after = stage.play(case)
    assert (after.status, after.counts.changed) == ("success", 0)
    done = stage.command("changes", "--type", type_key)
    assert done.code == 0, done.stderr
    warnings = " ".join(done.stderr.split())
    assert f"{type_key}: rests on details read " in warnings
    assert "so changes of appRoleAssignedTo, appRoleAssignments, " in warnings
    assert "since then may still come" in warnings
    (old,) = stage.command("changes", "--type", type_key, "--json").objects()[-1]["summary"]["old_details"]
    assert (old["type_key"], old["items"]) == (type_key, 1)
    assert after.started_at is not None
    assert datetime.fromisoformat(old["read_at"]) < after.started_at
    assert stage.sync(case.type_keys, "--deep").counts.changed == 1
    assert not stage.command("changes", "--type", type_key, "--json").objects()[-1]["summary"]["old_details"]
    (change,) = stage.changes(type_key)
    assert change.fields is not None
    assert [(field.kind.value, field.path.partition("[")[0]) for field in change.fields] == [
        ("added", "appRoleAssignments")
    ]


@pytest.mark.slow
def test_07_catalog_app_unassigned(stage: Stage) -> None:
    case = Case("07-catalogue-app-unassigned")
    type_key, (external_id,) = case.type_keys[0], case.ids
    _, after = stage.play(case)
    # The second change: the simulated Graph re-creates the group, with a new time.
    assert (after.status, after.counts.observed, after.counts.changed) == ("success", 2, 2)
    (change,) = stage.changes(type_key)
    assert change.fields is not None
    (field,) = change.fields
    assert (field.kind.value, field.path.startswith("assignments[")) == ("removed", True)
    assert not reaching(stage, str(case.after["groups"][0]["id"]))
    assert [record["external_id"] for record in unassigned(stage, type_key)] == [external_id]
    assert stage.show(type_key, external_id)["assignments"] == []
    assert stage.sync(case.type_keys).counts.changed == 0


@pytest.mark.slow
def test_10_expand_shows_no_assignments(stage: Stage) -> None:
    case = Case("10-expand-shows-no-assignments")
    type_key, (external_id,) = case.type_keys[0], case.ids
    stage.hold(case.before)
    stage.answer(case, "before")
    run = stage.sync(case.type_keys)
    assert run.status == "success"
    assert not unassigned(stage, type_key)
    (assignment,) = stage.show(type_key, external_id)["assignments"]
    group_id = str(case.before["groups"][0]["id"])
    assert assignment["target"]["groupId"] == group_id
    (record,) = reaching(stage, group_id)
    assert (record["reaches"], record["through"]) == (True, ["group"])
    assert stage.sync(case.type_keys).counts.changed == 0


@pytest.mark.slow
def test_22_uninstall_reaches_an_excluded_group(stage: Stage) -> None:
    case = Case("22-uninstall-reaches-an-excluded-group")
    stage.hold(case.before)
    stage.sync(case.type_keys)
    excluded, reached = (str(group["id"]) for group in case.before["groups"])
    done = stage.command("dependencies", "--reaches", excluded)
    assert done.code == 0, done.stderr
    assert "1 item reaches group" in done.stdout
    (record,) = reaching(stage, excluded)
    assert record["reaches"] is True
    assert {parts(assignment) for assignment in record["assignments"]} == {
        ("exclude", "group", "available", False),
        ("exclude", "group", "required", False),
        ("include", "all users", "available", True),
        ("include", "group", "uninstall", False),
    }
    (record,) = reaching(stage, reached)
    assert record["reaches"] is True
    assert {parts(assignment) for assignment in record["assignments"]} == {
        ("include", "all users", "available", False),
        ("include", "group", "required", False),
    }


@pytest.mark.slow
def test_25_no_licence_said_by_the_code(stage: Stage) -> None:
    case = Case("25-no-licence-said-by-the-code")
    governance = [key for key in case.type_keys if key != "groups"]
    before, after = stage.play(case)
    for run in (before, after):
        assert (run.status, run.counts.errors) == ("success", 0)
        assert {
            key: (str(collection.outcome), str(collection.error_code)) for key, collection in run.collections.items()
        } == {
            **dict.fromkeys(governance, ("skipped", "graph_not_licensed")),
            "groups": ("complete", "None"),
        }
    done = stage.command("missing", "--type", "groups", "--json")
    (missing,) = (line for line in done.objects() if "external_id" in line)
    assert (missing["display_name"], missing["confidence"], missing["evidence"]) == ("Goes", "high", "confirmed")
    types = [argument for key in case.type_keys for argument in ("--type", key)]
    done = stage.command("check", *types)
    assert done.code == 0, done.stderr
    assert "grant" not in done.stdout
    assert done.stdout.count("needs Entra ID P2") == len(governance)


def unassigned(stage: Stage, type_key: str) -> list[dict[str, Any]]:
    done = stage.command("unassigned", "--type", type_key, "--json")
    assert done.code == 0, done.stderr
    return [record for record in done.objects() if record["answer"] == "unassigned"]


def reaching(stage: Stage, group_id: str) -> list[dict[str, Any]]:
    done = stage.command("dependencies", "--reaches", group_id, "--json")
    assert done.code == 0, done.stderr
    return [record for record in done.objects() if record["answer"] == "reach"]


def parts(assignment: dict[str, Any]) -> tuple[object, ...]:
    return tuple(assignment[name] for name in ("role", "through", "intent", "is_overridden"))
