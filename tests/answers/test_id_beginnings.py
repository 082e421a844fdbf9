"""Commands accept the beginning of the id of a run, an item or a group."""

from pathlib import Path
from uuid import UUID

import pytest

from storage.database import Database
from tests.answers.dependencies.test_answer import CONFIGURATIONS, GROUPS, configuration, group, target
from tests.cli.command_line import CommandLine
from tests.storage.support import sync

TENANT = UUID(int=71)
GROUP = "7f6d1a3e-5b0c-4b9e-8a57-2f0c5f5f4c11"
ITEM = "9e1c52aa-0d57-4a0e-b7a5-57c1a6f3a001"
OTHER = "9e1c52ab-0d57-4a0e-b7a5-57c1a6f3a001"

RUN = "run"
"""Stands for the beginning of the run's id."""

CALLS = [
    ("changes", "--run", RUN),
    ("changes", "--since", RUN),
    ("export", "out", "--at", RUN),
    ("baseline set", "golden", "--run", RUN),
    ("versions", CONFIGURATIONS, ITEM[:8]),
    ("show", CONFIGURATIONS, ITEM[:8]),
    ("diff", CONFIGURATIONS, ITEM[:8]),
    ("dependencies", CONFIGURATIONS, ITEM[:8]),
    ("dependencies", "--reaches", GROUP[:8]),
    ("assignments", ITEM[:8]),
]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
async def test_beginning_of_an_id_is_accepted_unless_ambiguous(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    items = [configuration(ITEM, target("group", GROUP)), configuration(OTHER), group(GROUP)]
    await sync(database, TENANT, items, CONFIGURATIONS, GROUPS)
    command, *arguments = call
    starter = CommandLine(database_url, tmp_path, TENANT)
    (recorded,) = (await starter("runs", "--json")).objects()
    typed = [recorded["run_id"][:8] if argument == RUN else argument for argument in arguments]
    assert (await starter(command, *typed)).code == 0
    if ITEM[:8] in typed and command != "assignments":
        ambiguous = await starter(command, *(ITEM[:7] if argument == ITEM[:8] else argument for argument in typed))
        assert (ambiguous.code, ITEM in ambiguous.stderr, OTHER in ambiguous.stderr) == (2, True, True)
