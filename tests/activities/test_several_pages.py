"""Several pages of one collection in a batch give the same rows as one after another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.postgres import EmbeddedPostgres
from local.simulated_graph import Kind, SimulatedGraph
from tests.activities.direct_runs import ReadOptions, direct_runs, rows
from tests.conftest import copy_of

PARENTS = 25
TOKENS = "/deviceManagement/depOnboardingSettings"


@pytest.fixture
def other_url(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    yield from copy_of(postgres, migrated_template)


@pytest.mark.slow
async def test_a_batch_of_several_listings_gives_the_same_rows(
    tmp_path: Path, database_url: str, other_url: str
) -> None:
    with SimulatedGraph(tenants=1, items_per_collection=PARENTS) as graph:
        tenant = graph.tenants[0]
        first, second, third = (f"{TOKENS}/{token['id']}/enrollmentProfiles" for token in tenant.documents(TOKENS)[:3])
        twice = tenant.documents(first)[0]
        tenant.add(second, twice, raw=True)
        together = ReadOptions(pages_at_once=20)
        async with (
            direct_runs(graph, database_url, tmp_path, key=None) as at_once,
            direct_runs(graph, other_url, tmp_path, key=None) as one_by_one,
        ):
            for number in range(4):
                if number == 2:
                    tenant.change(third, tenant.documents(third)[0]["id"], {"displayName": "Renamed"})
                before, batches = at_once.left_alone, len(graph.requests(Kind.BATCH))
                counts = await at_once.run(["depEnrollmentProfiles"], short=True, options=together)
                batches = len(graph.requests(Kind.BATCH)) - batches
                assert counts == await one_by_one.run(["depEnrollmentProfiles"], short=False)
                assert rows(database_url) == rows(other_url)
                assert counts["duplicates: depEnrollmentProfiles"] == 1
                assert batches <= counts["requests"] / 5
                assert (at_once.left_alone > before) == (number > 0)
            assert counts["requests"] > PARENTS
