from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from inventory.observation import Observation
from storage import staging
from storage.compression import decompress
from storage.database import Database

TENANT = UUID(int=1)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
awkward = texts | st.sampled_from(["\\N", "\\.", "a\tb", "a\nb", "a\r\n", "\\x00", "'", "\\"])
hashes = st.binary(min_size=32, max_size=32)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    return Observation(
        type_key="a",
        external_id=draw(awkward),
        display_name=draw(st.none() | awkward),
        meta=draw(st.dictionaries(awkward, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | awkward)),
        meta_dropped=0,
        content_hash=draw(hashes),
        body_hash=draw(hashes),
        document=draw(st.binary(max_size=5000)),
        list_hash=draw(st.none() | hashes),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(observations(), unique_by=lambda item: item.external_id, max_size=5), st.booleans())
async def test_staged_rows_equal_the_observations(database: Database, wave: list[Observation], are_whole: bool) -> None:
    run_id, token = uuid4(), uuid4()
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run_id, token, wave, are_whole=are_whole)
        statement = text("SELECT * FROM staged_observation WHERE (run_id, fetch_token) = (:run_id, :token)")
        rows = (await session.execute(statement, {"run_id": run_id, "token": token})).all()
    assert {row.external_id: _observed(row) for row in rows} == {observed.external_id: observed for observed in wave}
    assert [row.is_whole for row in rows] == [are_whole or row.list_hash is None for row in rows]
    assert [row.document_size for row in rows] == [len(decompress(row.document)) for row in rows]


def _observed(row: Any) -> Observation:
    return Observation(
        row.type_key, row.external_id, row.display_name, row.meta, 0, row.content_hash, row.body_hash,
        decompress(row.document), row.list_hash,
    )  # fmt: skip
