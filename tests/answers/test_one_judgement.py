"""`changes`, `versions`, `diff` and run records agree whether a version tells a change."""

from typing import Any
from uuid import uuid4

import pytest

from answers.changes.answer import changes
from answers.changes.queries import Window
from answers.times import EARLIEST
from answers.versions import answer
from graph.catalog import load_catalog
from inventory.observation import Observation
from inventory.records import VersionChange
from storage.database import Database
from storage.documents import database_time
from tests.storage.support import list_document, observation, sync

TENANT = uuid4()
POLICIES, GROUPS, LIFETIMES = "configurationPolicies", "groups", "tokenLifetimePolicies"
SECRET = "#microsoft.graph.deviceManagementConfigurationSecretSettingValue"
POLICY = {"name": "Baseline", "assignments": []}


def policy(**properties: Any) -> Observation:
    return observation(POLICIES, "1", **{**POLICY, "settings": [], **properties})


def with_secret(mark: dict[str, str | bool] | None, **properties: Any) -> Observation:
    value = {"@odata.type": SECRET, **({} if mark is None else {"value": mark})}
    setting = {"settingDefinitionId": "password", "simpleSettingValue": value}
    return policy(settings=[{"id": "0", "settingInstance": setting}], **properties)


def numbered(number: str) -> Observation:
    return policy(settings=[{"id": number, "settingInstance": {"settingDefinitionId": "a"}}])


HISTORIES: dict[str, list[Observation]] = {
    "an edit": [policy(), policy(description="new")],
    "another name": [observation(GROUPS, "1", displayName="One"), observation(GROUPS, "1", displayName="Other")],
    "an edit and back": [policy(), policy(description="new"), policy()],
    "the number of a setting": [numbered("0"), numbered("1"), numbered("0")],
    "a secret that a release left out": [with_secret(None), with_secret({"sensitive": True, "edited": "1"})],
    "a secret without an edit": [with_secret({"sensitive": True}), with_secret({"sensitive": True, "edited": "1"})],
    "a secret of an edited policy": [
        with_secret({"sensitive": True, "edited": "1"}),
        with_secret({"sensitive": True, "edited": "2"}),
    ],
    "a secret that a release left out, in an edited policy": [
        with_secret(None),
        with_secret({"sensitive": True, "edited": "1"}, description="new"),
    ],
    "what a rule has begun to leave out": [policy(lastModifiedDateTime="2026-01-01T00:00:00Z"), policy()],
    "a detail that a release did not read": [
        observation(LIFETIMES, "1"),
        observation(LIFETIMES, "1", appliesTo=[{"id": "app"}]),
        observation(LIFETIMES, "1", appliesTo=[{"id": "other"}]),
    ],
    "details that come later": [list_document(POLICIES, "1", name="One"), policy(name="One")],
    "details that come with an edit": [
        list_document(POLICIES, "1", name="One", description="old"),
        policy(name="One", description="new"),
    ],
    "a type that the catalog does not have": [observation("gone", "1", a=1), observation("gone", "1", a=2)],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
async def test_all_answers_agree_whether_a_version_tells_a_change(
    database: Database, history: list[Observation]
) -> None:
    type_key = history[0].type_key
    comparability = load_catalog().comparability(type_key)
    counted: dict[int, bool] = {}
    for number, item in enumerate(history, start=1):
        merged = await sync(database, TENANT, [item], type_key, comparability=comparability)
        counted[number] = merged.changed == 1
    async with database.tenant(TENANT, read_only=True) as session:
        window = Window(EARLIEST, await database_time(session))
        changed_versions = {change.version async for _, change in changes(session, TENANT, window)}
        versions = await answer.history(session, type_key, "1")
        assert [version.version for version in versions] == [*range(len(history), 0, -1)]
        for version in versions[:-1]:
            is_told = version.version in changed_versions
            compared = await answer.compare(session, type_key, "1", None, version.version)
            assert compared is not None
            assert (version.tells_change, counted[version.version]) == (is_told, is_told)
            assert (compared.differences != []) == is_told
            backwards = await answer.compare(session, type_key, "1", version.version, version.version - 1)
            assert backwards is not None
            assert len(backwards.differences) == len(compared.differences)
            if not is_told:
                assert version.change in (VersionChange.REREAD, VersionChange.COMPLETED)
                assert version.renamed_from is None
