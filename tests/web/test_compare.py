"""Comparisons on the web page: two tenants by policy and by setting, and a golden tenant with many."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx

from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.inventory.test_settings import choice
from tests.inventory.test_settings import policy as catalog_policy
from tests.storage.support import observation, sync
from tests.web.page_text import next_of, rows_of, text_of
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, UNREAD, json_of, words_of
from web.recent_answers import INCOMPLETE_SECONDS, KEPT_ANSWERS, KEPT_SECONDS, RecentAnswers

COMPLIANCE, CONFIGURATIONS = "deviceCompliancePolicies", "configurationPolicies"
TWO = f"left={CONTOSO}&right={FABRIKAM}"
CORTANA = "device_vendor_msft_policy_config_experience_allowcortana"


def policy(name: str, **properties: Any) -> Observation:
    return observation(COMPLIANCE, str(uuid4()), displayName=name, **properties)


async def read(database: Database, tenant_id: UUID, *items: Observation) -> None:
    await sync(database, tenant_id, items, COMPLIANCE)


async def sync_different_policies(database: Database) -> None:
    """Two tenants with an equal policy, a different policy, and a policy each that the other lacks."""
    await read(database, CONTOSO, policy("Same"), policy("Level", level=1), policy("Ours", ours=True))
    await read(database, FABRIKAM, policy("Same"), policy("Level", level=2), policy("Theirs", theirs=[1]))


async def test_comparison_lists_differences_and_counts_equal_items(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_different_policies(database)
    page = await words_of(signed_in, f"/compare?{TWO}")
    words = text_of(page)
    assert "1 collection compared" in words
    counts = text_of(page.partition('<ul class="counts">')[2].partition("</ul>")[0])
    assert counts == "1 same 1 different 1 only in Contoso 1 only in Fabrikam", "zeros are left out"
    (total,) = rows_of(page)
    assert total == "Compliance policies 1 1 1 1"
    rows = rows_of(page, "Items</h2>")
    assert [row.split()[0] for row in rows] == ["Level", "Ours", "Theirs"]
    assert "level: 1 → 2" in rows[0]
    assert "Same" not in " ".join(rows)
    filtered = await words_of(signed_in, f"/compare?{TWO}&only=same")
    assert ">all differences</a>" in filtered
    (same,) = rows_of(filtered, "Same</h2>")
    assert "same" in same
    items = await json_of(signed_in, f"/api/compare/items?{TWO}")
    assert [item["status"] for item in items] == ["different", "only_here", "only_there"]
    assert (await json_of(signed_in, f"/api/compare?{TWO}"))["counts"]["same"] == 1
    assert (await signed_in.get(f"/compare.csv?{TWO}")).text.count("\n") == 4
    first = await signed_in.get(f"/api/compare/items?{TWO}&limit=2")
    (last,) = await json_of(signed_in, first.headers["link"].partition("<")[2].partition(">")[0])
    assert last["status"] == "only_there"


async def test_comparison_names_collections_that_a_tenant_did_not_read(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_different_policies(database)
    await sync(
        database,
        FABRIKAM,
        [],
        COMPLIANCE,
        status=RunStatus.FAILED,
        outcomes={COMPLIANCE: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)},
    )
    page = text_of(await words_of(signed_in, f"/compare?{TWO}"))
    assert "1 collection left out" in page
    assert "Compliance policies complete failed: graph throttled" in page
    assert "Nothing could be compared" in page
    never = text_of(await words_of(signed_in, f"/compare?left={CONTOSO}&right={UNREAD}"))
    assert "Never read was never read" in never


async def sync_different_settings(database: Database) -> None:
    """Two tenants whose policies give a setting different values."""
    for tenant_id, value in ((CONTOSO, 0), (FABRIKAM, 1)):
        document = {"displayName": f"Policy {value}", **catalog_policy(choice(CORTANA, str(value)))}
        found = observation(CONFIGURATIONS, str(uuid4()), **document)
        await sync(database, tenant_id, [found], CONFIGURATIONS)


async def test_settings_are_compared_across_policies(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_different_settings(database)
    page = await words_of(signed_in, f"/compare?{TWO}&by=setting")
    (row,) = rows_of(page)
    assert "allowcortana" in row
    assert "in conflict" in row
    assert ["Policy 0" in row, "Policy 1" in row, "assignments not known" in row] == [True] * 3, row
    assert [setting["status"] for setting in await json_of(signed_in, f"/api/compare/settings?{TWO}")] == ["different"]
    assert (await signed_in.get(f"/compare.csv?{TWO}&by=setting")).text.count("\n") == 2
    assert "No setting ended so" in await words_of(signed_in, f"/compare?{TWO}&by=setting&only=same")


async def test_golden_tenant_is_compared_with_tenants_of_a_tag(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_different_policies(database)
    page = await words_of(signed_in, f"/compare?golden={FABRIKAM}&tag=emea")
    words = text_of(page)
    assert "1 tenant against Fabrikam" in words
    (total,) = rows_of(page)
    assert total.startswith("Contoso 1 1 1")
    rows = rows_of(page, "otherwise somewhere")
    assert [row.split()[0] for row in rows] == ["Level", "Theirs"]
    assert "different in 1 field" in rows[0]
    assert "missing" in rows[1]
    everybody = text_of(await words_of(signed_in, f"/compare?golden={FABRIKAM}"))
    assert "Never read was never read" in everybody
    record = await json_of(signed_in, f"/api/compare/golden?golden={FABRIKAM}&tag=emea")
    assert record["tenants"][0]["counts"]["missing"] == 1
    assert (await signed_in.get(f"/compare/golden.csv?golden={FABRIKAM}&tag=emea")).text.count("\n") == 3
    assert "No other tenant with the tag nowhere" in await words_of(
        signed_in, f"/compare?golden={FABRIKAM}&tag=nowhere"
    )


async def test_golden_tenant_is_compared_with_others_by_setting(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_different_settings(database)
    page = await words_of(signed_in, f"/compare?golden={CONTOSO}&by=setting")
    words = text_of(page)
    assert "2 tenants against Contoso by setting" in words
    assert "Never read was never read, so it has no column" in words
    (total,) = rows_of(page)
    assert total.startswith("Fabrikam 1")
    conflicts = f"/compare?left={CONTOSO}&right={FABRIKAM}&by=setting&only=different"
    assert conflicts.replace("&", "&amp;") in page
    (row,) = rows_of(page, "otherwise somewhere")
    assert "allowcortana" in row
    assert "in conflict" in row
    record = await json_of(signed_in, f"/api/compare/golden/settings?golden={CONTOSO}")
    assert [tenant["counts"]["different"] for tenant in record["tenants"]] == [1]
    assert (await signed_in.get(f"/compare/golden.csv?golden={CONTOSO}&by=setting")).text.count("\n") == 2
    assert "against Fabrikam</h1>" in await words_of(signed_in, f"/compare?golden={FABRIKAM}")
    assert "The same by setting" in await words_of(signed_in, f"/compare?golden={FABRIKAM}")


async def test_choice_of_tenants_shows_oldest_reading_and_unread_tenants(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    assert "3 tenants; nothing was read yet. 3 tenants never read" in text_of(await words_of(signed_in, "/compare"))
    await read(database, CONTOSO, policy("Ours"))
    known = text_of(await words_of(signed_in, "/compare"))
    assert "3 tenants; the oldest reading" in known
    assert "2 tenants never read: their items are not known" in known
    assert "1 tenant with the tag emea; the oldest reading" in text_of(await words_of(signed_in, "/compare?tag=emea"))


async def test_missing_or_invalid_choice_is_explained(database: Database, signed_in: httpx.AsyncClient) -> None:
    page = await words_of(signed_in, "/compare")
    assert "choose two tenants" in page
    assert page.count('list="tenants"') == 3
    assert '<option value="Fabrikam">' in page
    for query in ("left=contoso&right=Fabrikam", f"left=contoso&right={FABRIKAM}&by=setting"):
        answer = await signed_in.get(f"/compare?{query}")
        assert answer.status_code == 303
        assert {f"left={CONTOSO}", f"right={FABRIKAM}"} <= set(answer.headers["location"].partition("?")[2].split("&"))
    assert "o tenant of yours is called" in await words_of(signed_in, "/compare?golden=nobody", 400)
    assert "the same as itself" in await words_of(signed_in, f"/compare?left={CONTOSO}&right={CONTOSO}", 400)
    for wrong in (f"left={CONTOSO}&right={uuid4()}", f"golden={uuid4()}"):
        await words_of(signed_in, f"/compare?{wrong}", 404)
    for wrong in (f"{TWO}&by=x", f"{TWO}&only=x", f"{TWO}&after=x"):
        await words_of(signed_in, f"/compare?{wrong}", 422)
    assert "Neither tenant was ever read" in await words_of(signed_in, f"/compare?{TWO}")


async def test_many_hostile_differences_are_small_escaped_pages(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    for tenant_id, edition in ((CONTOSO, "a"), (FABRIKAM, "b")):
        fields = {f"field{place}{HOSTILE}": f"{HOSTILE * 30}{edition}" for place in range(5)}
        await read(database, tenant_id, *(policy(f"{number:03}{HOSTILE}", **fields) for number in range(120)))
    numbers: list[str] = []
    query = f"?{TWO}"
    while query:
        page = await words_of(signed_in, f"/compare{query}")
        assert len(page.encode()) < 100_000
        assert "<script" not in page
        assert "\u202e" not in page
        numbers += [row[:3] for row in rows_of(page, "Items</h2>")]
        query = next_of(page)
    assert numbers == [f"{number:03}" for number in range(120)]
    golden = await words_of(signed_in, f"/compare?golden={CONTOSO}&{urlencode({'tag': HOSTILE})}")
    assert "<script" not in golden


async def test_answers_are_cached_for_a_minute_up_to_a_limit() -> None:
    now, questions = 0.0, list[str]()
    recent_answers = RecentAnswers(lambda: now)

    async def answer(question: str) -> str:
        async def find() -> str:
            questions.append(question)
            return f"{question} at {now}"

        return await recent_answers.answer(question, find)

    assert await answer("a") == await answer("a") == "a at 0.0"
    now = float(KEPT_SECONDS)
    assert await answer("a") == "a at 60.0"
    for question in range(KEPT_ANSWERS):
        await answer(str(question))
    await answer("a")
    assert questions.count("a") == 3, "the oldest answer is evicted"


async def test_incomplete_answer_is_cached_for_seconds() -> None:
    now = 0.0
    recent_answers = RecentAnswers(lambda: now)

    async def answer() -> float:
        async def find() -> float:
            return now

        return await recent_answers.answer("a", find, lambda asked_at: asked_at > 0)

    assert await answer() == 0
    now = INCOMPLETE_SECONDS - 1
    assert await answer() == 0
    now = INCOMPLETE_SECONDS
    assert await answer() == INCOMPLETE_SECONDS
    now = INCOMPLETE_SECONDS + KEPT_SECONDS - 1
    assert await answer() == INCOMPLETE_SECONDS, "it is whole"
