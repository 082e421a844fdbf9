"""Faults that an operator causes and mends during runs: records are closed, and the next run starts at once.

Each fault is a row of the second table in docs/reliability.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from control.runs import StartedRun
from inventory.outcomes import RunStatus
from inventory.records import RunRecord
from local.simulated_graph import Fault, FaultKind, Kind, SimulatedTenant
from storage import queries
from tests.chaos.rig import Rig, selection_of
from tests.end_to_end.system import SEEDS
from tests.forks import CHECKOUT

SELECTION = selection_of("groups")
NUMBERS = count()
ROLE, PASSWORD = "operated", "right"
MANY = 8
"""More sign-ins than the event loop's own executor has threads on two processors."""

SHORT_PATIENCE = "1"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("rig")
    with Rig(folder, tenants=20, seed=next(SEEDS), workers=0, GRAPH_PATIENCE_SECONDS="7200") as rig:
        sql(rig, f"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        rest = rig.database_url.partition("@")[2]
        rig.system.environment["DATABASE_URL"] = f"postgresql://{ROLE}:{PASSWORD}@{rest}"
        rig.system.start_worker()
        yield rig


@pytest.fixture
def rig(servers: Rig) -> Iterator[Rig]:
    yield servers
    servers.graph.faults.clear()


@pytest.fixture
def tenant(rig: Rig) -> SimulatedTenant:
    """A tenant that no other test uses, so that no worker has a token for it."""
    return rig.graph.tenants[next(NUMBERS)]


def sql(rig: Rig, statement: str) -> None:
    with psycopg.connect(rig.database_url, autocommit=True) as connection:
        connection.execute(statement)


def tenants_file(rig: Rig) -> Path:
    return rig.system.folder / "tenants.toml"


def secret_file(rig: Rig, tenant: SimulatedTenant) -> Path:
    return rig.system.folder / "secrets" / tenant.id


@dataclass(frozen=True)
class OperatorFault:
    """How the operator breaks and mends something, and the run's error code meanwhile; None without an error."""

    breaks: Callable[[Rig, SimulatedTenant], None]
    mends: Callable[[Rig, SimulatedTenant], None]
    meets: str | None = None
    before_the_run: bool = False


def write_file(content: Callable[[str], str]) -> Callable[[Rig, SimulatedTenant], None]:
    def write(rig: Rig, _: SimulatedTenant) -> None:
        path = tenants_file(rig)
        path.with_suffix(".kept").write_text(path.read_text())
        path.write_text(content(path.read_text()))

    return write


def restored(rig: Rig, _: SimulatedTenant) -> None:
    path = tenants_file(rig)
    path.with_suffix(".kept").replace(path)


def moved_away(rig: Rig, _: SimulatedTenant) -> None:
    path = tenants_file(rig)
    path.replace(path.with_suffix(".kept"))


def secret_moved_away(rig: Rig, tenant: SimulatedTenant) -> None:
    path = secret_file(rig, tenant)
    path.replace(path.with_suffix(".kept"))


def secret_restored(rig: Rig, tenant: SimulatedTenant) -> None:
    path = secret_file(rig, tenant)
    path.with_suffix(".kept").replace(path)


def with_password(password: str) -> Callable[[Rig, SimulatedTenant], None]:
    def change(rig: Rig, _: SimulatedTenant) -> None:
        sql(rig, f"ALTER ROLE {ROLE} PASSWORD '{password}'")
        sql(rig, f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{ROLE}'")

    return change


def refusing(table: str, event: str, sqlstate: str) -> Callable[[Rig, SimulatedTenant], None]:
    """Makes PostgreSQL refuse a statement with the SQLSTATE of a real error."""

    def begin(rig: Rig, _: SimulatedTenant) -> None:
        sql(
            rig,
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END $$",
        )
        sql(rig, f"CREATE TRIGGER refuse BEFORE {event} ON {table} EXECUTE FUNCTION refuse()")

    return begin


def accepting(table: str) -> Callable[[Rig, SimulatedTenant], None]:
    return lambda rig, _: sql(rig, f"DROP TRIGGER refuse ON {table}")


FAULTS = {
    "tenants file half saved": OperatorFault(write_file(lambda text: text[: len(text) // 2 - 5]), restored),
    "tenants file gone": OperatorFault(moved_away, restored),
    "tenants file empty": OperatorFault(write_file(lambda _: ""), restored, "auth_failed"),
    "secret gone": OperatorFault(
        secret_moved_away,
        secret_restored,
        "configuration_invalid",
        before_the_run=True,
    ),
    "database password changed": OperatorFault(with_password("wrong"), with_password(PASSWORD), "storage_unavailable"),
    "disk full while staging": OperatorFault(
        refusing("staged_item", "INSERT", "53100"), accepting("staged_item"), "storage_unavailable"
    ),
    "disk full while closing": OperatorFault(
        refusing("sync_run", "UPDATE OF finished_at", "53100"), accepting("sync_run"), "storage_unavailable"
    ),
}


def test_every_fault_is_documented() -> None:
    rows = (CHECKOUT / "docs" / "reliability.md").read_text()
    assert [name for name in (*FAULTS, "secret wrong") if f"\n| {name} |" not in rows] == []


def played(rig: Rig, play: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await rig.connect()
        try:
            await play()
        finally:
            await rig.disconnect()

    asyncio.run(run())


async def record_of(rig: Rig, run_id: UUID) -> RunRecord:
    async with rig.database.portfolio() as session:
        record = await queries.run_record(session, run_id)
    assert record is not None
    return record


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await condition():  # noqa: ASYNC110 - the condition lies in another process
            await asyncio.sleep(0.1)


async def attempts_of(run: StartedRun, code: str) -> int:
    """The attempts of the pending activity whose last error has this code; 0 without such an activity."""
    pending = (await run.handle.describe()).raw_description.pending_activities
    return max((a.attempt for a in pending if a.last_failure.application_failure_info.type == code), default=0)


async def under_way(rig: Rig, tenant: SimulatedTenant) -> StartedRun:
    """A run that Graph has throttled."""
    rig.graph.faults.add(Fault(FaultKind.THROTTLED, tenant_id=tenant.id, retry_after="1", count=1))
    run = await rig.start(tenant, SELECTION)

    async def reads() -> bool:
        return bool(rig.graph.requests(Kind.INNER, tenant.id))

    await until(reads)
    return run


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.slow
def test_run_survives_a_fault_that_the_operator_mends(rig: Rig, tenant: SimulatedTenant, name: str) -> None:
    fault = FAULTS[name]
    logged = len(rig.system.logs())

    async def play() -> None:
        if fault.before_the_run:
            fault.breaks(rig, tenant)
            run = await rig.start(tenant, SELECTION)
        else:
            run = await under_way(rig, tenant)
            fault.breaks(rig, tenant)
        try:
            if fault.meets is None:
                await rig.wait_for(run)
            else:
                meets = fault.meets

                async def is_met() -> bool:
                    return await attempts_of(run, meets) > 0

                await until(is_met)
        finally:
            fault.mends(rig, tenant)
        await rig.wait_for(run)
        assert (await record_of(rig, run.run_id)).status is RunStatus.SUCCESS
        again = await rig.sync(tenant, SELECTION)
        assert (await record_of(rig, again)).status is RunStatus.SUCCESS

    played(rig, play)
    gained = rig.system.logs()[logged:]
    if fault.meets is None:
        assert "configuration_invalid: " in gained
    assert "Traceback" not in gained


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_closing_a_record_is_retried_after_unexpected_errors(rig: Rig, tenant: SimulatedTenant) -> None:
    async def play() -> None:
        run = await under_way(rig, tenant)
        refusing("sync_run", "UPDATE OF finished_at", "22012")(rig, tenant)

        async def is_tried_often() -> bool:
            return await attempts_of(run, "unexpected_error") > 3

        try:
            await until(is_tried_often)
        finally:
            accepting("sync_run")(rig, tenant)
        await rig.wait_for(run)
        assert (await record_of(rig, run.run_id)).status is RunStatus.SUCCESS

    played(rig, play)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("content", "code"), [(None, "configuration_invalid"), ("wrong", "auth_failed")], ids=["no secret", "wrong secret"]
)
@pytest.mark.slow
def test_broken_secret_fails_its_run_but_not_the_next_run(
    rig: Rig, tenant: SimulatedTenant, content: str | None, code: str
) -> None:
    path = secret_file(rig, tenant)
    secret = path.read_text()
    queue = rig.system.environment["TEMPORAL_TASK_QUEUE"]
    rig.system.environment.update(TEMPORAL_TASK_QUEUE=f"{queue}-{code}", GRAPH_PATIENCE_SECONDS=SHORT_PATIENCE)
    worker = rig.system.start_worker()

    async def play() -> None:
        path.unlink()
        if content is not None:
            path.write_text(content)
        record = await record_of(rig, await rig.sync(tenant, SELECTION))
        assert (record.status, record.error_codes) == (RunStatus.FAILED, [code])
        assert record.collections["groups"].error_code == code
        path.write_text(secret)
        record = await record_of(rig, await rig.sync(tenant, SELECTION))
        assert record.status is RunStatus.SUCCESS

    try:
        played(rig, play)
    finally:
        worker.stop()
        rig.system.environment.update(TEMPORAL_TASK_QUEUE=queue, GRAPH_PATIENCE_SECONDS="7200")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hanging_sign_ins_do_not_block_other_tenants(rig: Rig, tenant: SimulatedTenant) -> None:
    slow = [rig.graph.tenants[next(NUMBERS)] for _ in range(MANY)]

    async def play() -> None:
        for entry in slow:
            rig.graph.faults.add(Fault(FaultKind.SLOW_FIRST_BYTE, tenant_id=entry.id, path="oauth2", seconds=3600))
        runs = [await rig.start(entry, SELECTION) for entry in slow]
        record = await record_of(rig, await rig.sync(tenant, SELECTION))
        assert record.status is RunStatus.SUCCESS
        for run in runs:
            assert (await record_of(rig, run.run_id)).status is RunStatus.RUNNING
            await rig.cancel(run, "the test")
        for run in runs:
            await rig.wait_for(run)
            assert (await record_of(rig, run.run_id)).status is RunStatus.CANCELLED

    played(rig, play)
