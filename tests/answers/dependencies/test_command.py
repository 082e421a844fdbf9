"""`dependencies`, `dangling`, `unassigned` as people and machines see them."""

from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import networkx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.answers.dependencies.test_answer import (
    ACCESS,
    CONFIGURATIONS,
    FILTERS,
    GROUPS,
    configuration,
    group,
    policy,
    target,
)
from tests.cli.command_line import CommandLine
from tests.storage.support import observation, sync

GROUP_ID = "7f6d1a3e-5b0c-4b9e-8a57-2f0c5f5f4c11"
HOSTILE = '"]<b>\n;DROP'


TENANT = UUID(int=61)


async def assigned(database: Database) -> None:
    items = [
        group(GROUP_ID),
        observation(FILTERS, "f", displayName="Windows 11"),
        configuration("c", target("group", GROUP_ID, filtered_by="f"), displayName=HOSTILE),
        configuration("d", target("exclusionGroup", GROUP_ID)),
        policy("p", includeGroups=["gone"]),
    ]
    for _ in range(2):
        await sync(database, TENANT, items, CONFIGURATIONS, GROUPS, FILTERS, ACCESS)


pytestmark = pytest.mark.filled.with_args(assigned)


async def test_dependencies_accept_an_items_name(starter: CommandLine) -> None:
    result = await starter("dependencies", "groups", f"Group {GROUP_ID}")
    assert result.code == 0, result.stderr
    assert f"Group {GROUP_ID} needs nothing" in result.stdout
    assert f"Group {GROUP_ID} is needed by 2" in result.stdout
    assert "more items that need it may be in" in result.stderr
    records = (await starter("dependencies", "groups", GROUP_ID, "--json")).objects()
    needed = [record for record in records if record["answer"] == "dependency"]
    assert [(record["item"]["external_id"], record["role"]) for record in needed] == [
        ("c", "include"),
        ("d", "exclude"),
    ]
    assert {record["answer"] for record in records} == {"dependency", "cannot_say"}


@pytest.mark.parametrize("name", ["mermaid", "dot", "graphml"])
async def test_graph_is_written_to_stdout_or_a_file(starter: CommandLine, tmp_path: Path, name: str) -> None:
    printed = await starter("dependencies", "groups", GROUP_ID, "--format", name)
    assert printed.code == 0, printed.stderr
    file = tmp_path / f"picture.{name}"
    written = await starter("dependencies", "groups", GROUP_ID, "--format", name, "--output", str(file))
    assert (written.code, written.stdout) == (0, "")
    assert file.read_text(encoding="utf-8") == printed.stdout
    assert "3 objects, 2 references" in written.stderr
    assert "\n;DROP" not in printed.stdout


async def test_all_option_exports_the_whole_tenant(starter: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "tenant.graphml"
    result = await starter("dependencies", "--all", "--format", "graphml", "--output", str(file))
    assert result.code == 0, result.stderr
    graph = networkx.read_graphml(file, force_multigraph=True)
    assert set(graph) == {
        f"groups/{GROUP_ID}",
        "groups/gone",
        "assignmentFilters/f",
        "deviceConfigurations/c",
        "deviceConfigurations/d",
        "conditionalAccessPolicies/p",
    }
    assert graph.nodes["groups/gone"]["presence"] == "never_seen"
    answers = Counter(line["answer"] for line in (await starter("dependencies", "--all", "--json")).objects())
    assert answers["dependency"] == graph.number_of_edges() == 4
    assert answers["cannot_say"] > 0


async def test_reaches_option_warns_that_nested_groups_are_not_read(starter: CommandLine) -> None:
    result = await starter("dependencies", "--reaches", f"Group {GROUP_ID}")
    assert f'1 item reaches group "Group {GROUP_ID}", 1 excludes it' in result.stdout
    assert "groups within groups are not read" in result.stderr
    records = (await starter("dependencies", "--reaches", GROUP_ID, "--json")).objects()
    reach = {record["item"]["external_id"]: record["reaches"] for record in records if record["answer"] == "reach"}
    assert reach == {"c": True, "d": False}


async def test_dangling_shows_its_confidence(starter: CommandLine) -> None:
    (record,) = (await starter("dangling", "--json", "--type", ACCESS)).objects()
    assert (record["answer"], record["item"]["external_id"]) == ("dangling", "p")
    assert (record["target"]["external_id"], record["target"]["confidence"]) == ("gone", "high")
    result = await starter("dangling")
    assert "1 dangling reference\n" in result.stdout
    assert "never listed" in result.stdout
    assert "target id" not in result.stdout, "the id stands for the name"
    assert (await starter("dangling", "--type", CONFIGURATIONS, "--json")).objects() == []


async def test_empty_dangling_names_collections_that_were_not_read(starter: CommandLine, database: Database) -> None:
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {
        CONFIGURATIONS: (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
    }
    await sync(database, TENANT, [], CONFIGURATIONS, status=RunStatus.FAILED, outcomes=outcomes)
    result = await starter("dangling", "--type", CONFIGURATIONS)
    assert result.stdout.startswith("no dangling references: 3 collections read to their end since ")
    oldest, *others = result.stderr.splitlines()
    assert oldest.startswith("oldest reading: assignmentFilters, ")
    assert others == [f"more may be in {CONFIGURATIONS}: failed: graph permission missing"]
    record, oldest_listing = (await starter("dangling", "--type", CONFIGURATIONS, "--json")).objects()
    assert oldest_listing["answer"] == "oldest_listing"
    assert (record["answer"], record["type_key"], record["reason"], record["references"]) == (
        "cannot_say",
        CONFIGURATIONS,
        "failed:graph_permission_missing",
        None,
    )


async def test_dependencies_of_an_unread_item_may_be_more(starter: CommandLine, database: Database) -> None:
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {ACCESS: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)}
    gap = f"its own references may have changed in {ACCESS}"
    assert gap not in (await starter("dependencies", ACCESS, "p")).stderr
    await sync(database, TENANT, [], ACCESS, status=RunStatus.FAILED, outcomes=outcomes)
    result = await starter("dependencies", ACCESS, "p")
    assert f"{gap}: failed: graph throttled" in result.stderr.splitlines()
    records = (await starter("dependencies", ACCESS, "p", "--json")).objects()
    reasons = [record["reason"] for record in records if record.get("type_key") == ACCESS]
    assert reasons == ["failed:graph_throttled"]


async def test_unassigned_lists_items_with_only_exclusions(starter: CommandLine) -> None:
    records = (await starter("unassigned", "--type", CONFIGURATIONS, "--json")).objects()
    assert [(record["external_id"], record["evidence"], record["exclusions"]) for record in records] == [
        ("d", "only_exclusions", 1)
    ]
    assert "only excludes 1 group" in (await starter("unassigned", "--type", CONFIGURATIONS)).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name an item by TYPE and ID"),
        (("groups",), "name an item by TYPE and ID"),
        (("groups", "x", "--all"), "name an item by TYPE and ID"),
        (("groups", "x", "--everyone"), "--everyone belongs to --reaches"),
        (("groups", "x", "--output", "y"), "--output takes a graph"),
        (("--reaches", "x", "--format", "dot"), "--format writes a graph"),
        (("--all", "--json", "--format", "dot"), "--format writes a graph"),
        (("--all", "--csv", "--format", "dot"), "--format writes a graph"),
        (("nothing", "x"), "nothing"),
        (("groups", "nobody"), "groups has no item 'nobody'"),
        (("--all", "--format", "dot", "--output", "no/such/folder"), "cannot write no/such/folder"),
    ],
)
async def test_wrong_usage_prints_a_single_error_line(
    starter: CommandLine, arguments: tuple[str, ...], message: str
) -> None:
    result = await starter("dependencies", *arguments)
    assert result.code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


async def test_unknown_id_is_accepted_and_shown_as_never_seen(starter: CommandLine) -> None:
    result = await starter("dependencies", "groups", str(uuid4()), "--format", "dot")
    assert result.code == 0, result.stderr
    assert "never seen" in result.stdout


@pytest.mark.parametrize("name", ["mermaid", "dot", "graphml"])
async def test_graph_states_its_omissions(starter: CommandLine, name: str) -> None:
    cut = (await starter("dependencies", "groups", GROUP_ID, "--limit", "1", "--format", name)).stdout
    assert "left out" in cut
    assert "more than 1 reference" in cut
    full_graph = (await starter("dependencies", "groups", GROUP_ID, "--format", name)).stdout
    assert "more than" not in full_graph
    assert "more items that need it may be in" in full_graph, "collections that were never read"
    everything = (await starter("dependencies", "--all", "--format", name)).stdout
    assert "more than" not in everything
    assert "not drawn: references of items in" in everything, "collections that were never read"


async def test_findings_are_sorted_by_collection_and_name(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    tenant_id = uuid4()
    of_tenant = CommandLine(database_url, tmp_path, tenant_id)
    items = [
        configuration("a", target("group", "lost"), displayName="Zebra"),
        configuration("b", target("group", "away"), displayName="apple"),
        configuration("c", displayName="Quince"),
        configuration("d", displayName="kiwi"),
        policy("p", includeGroups=["gone"]),
    ]
    await sync(database, tenant_id, items, CONFIGURATIONS, GROUPS, FILTERS, ACCESS)
    dangling = [line for line in (await of_tenant("dangling", "--json")).objects() if line["answer"] == "dangling"]
    assert [line["item"]["external_id"] for line in dangling] == ["p", "b", "a"]
    unassigned = [
        line for line in (await of_tenant("unassigned", "--json")).objects() if line["answer"] == "unassigned"
    ]
    assert [line["external_id"] for line in unassigned] == ["d", "c"]


async def test_answer_takes_a_single_transaction_once_references_are_read(
    starter: CommandLine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0
    tenant = Database.tenant

    def counting(database: Database, *args: Any, **named: Any) -> AbstractAsyncContextManager[AsyncSession]:
        nonlocal opened
        opened += 1
        return tenant(database, *args, **named)

    monkeypatch.setattr(Database, "tenant", counting)
    first = await starter("dangling")
    assert opened > 1
    opened = 0
    assert (await starter("dangling")).stdout == first.stdout
    assert opened == 1
