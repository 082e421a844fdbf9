"""The end of a run under each fault of Graph, passing or lasting (docs/reliability.md)."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from inventory.outcomes import Outcome, RunStatus
from inventory.records import RunRecord
from local.simulated_graph import Fault, FaultKind
from storage import queries
from tests.chaos.rig import Rig, SharedServers, selection_of
from tests.deadlines import GRAPH_ATTEMPTS, GRAPH_PATIENCE_SECONDS
from tests.end_to_end.system import SEEDS

HIT, OTHER = "deviceConfigurations", "groups"
"""The paged collection that the fault hits, and a collection of another family, which it must not affect."""

PATH = "deviceManagement/deviceConfigurations"


@dataclass(frozen=True)
class Ending:
    """The end of a run under a fault: its status, and the outcome of the collection that the fault hits."""

    status: str
    outcome: str
    error_code: str | None = None


FINE = Ending("success", "complete")


def partial(error_code: str, outcome: str = "failed") -> Ending:
    return Ending("partial", outcome, error_code)


def failed(error_code: str) -> Ending:
    return Ending("failed", "failed", error_code)


ENDINGS: dict[FaultKind, tuple[Ending, Ending]] = {
    # the fault passes (it hits one request), the fault stays (it hits every request)
    FaultKind.THROTTLED: (FINE, partial("graph_throttled")),
    FaultKind.REQUEST_TIMEOUT: (FINE, partial("graph_unavailable")),
    FaultKind.SERVER_ERROR: (FINE, partial("graph_unavailable")),
    FaultKind.BAD_GATEWAY: (FINE, partial("graph_unavailable")),
    FaultKind.SERVICE_UNAVAILABLE: (FINE, partial("graph_throttled")),
    FaultKind.GATEWAY_TIMEOUT: (FINE, partial("graph_unavailable")),
    FaultKind.HTML_WITH_200: (FINE, partial("graph_malformed_response")),
    FaultKind.TRUNCATED_JSON: (FINE, partial("graph_malformed_response")),
    FaultKind.NO_VALUE: (FINE, partial("graph_malformed_response")),
    FaultKind.EMPTY_BODY: (FINE, partial("graph_malformed_response")),
    FaultKind.UNAUTHORIZED: (FINE, partial("graph_unauthorized")),
    FaultKind.UNAUTHORIZED_EXPIRED: (FINE, partial("graph_unauthorized")),
    FaultKind.UNAUTHORIZED_CLAIMS_CHALLENGE: (FINE, partial("graph_unauthorized")),
    FaultKind.APP_REVOKED: (failed("auth_failed"), failed("auth_failed")),
    FaultKind.BAD_REQUEST: (partial("graph_bad_request"), partial("graph_bad_request")),
    FaultKind.FORBIDDEN: (partial("graph_permission_missing"), partial("graph_permission_missing")),
    FaultKind.FORBIDDEN_INTUNE: (partial("graph_permission_missing"), partial("graph_permission_missing")),
    FaultKind.NOT_APPLICABLE: (Ending("success", "skipped", "graph_not_licensed"),) * 2,
    FaultKind.NO_LICENCE: (Ending("success", "skipped", "graph_not_licensed"),) * 2,
    FaultKind.PREMIUM_REQUIRED: (Ending("success", "skipped", "graph_not_licensed"),) * 2,
    FaultKind.NON_PREMIUM_TENANT: (Ending("success", "skipped", "graph_not_licensed"),) * 2,
    FaultKind.NOT_SET_UP: (Ending("success", "skipped", "graph_not_licensed"),) * 2,
    FaultKind.NOT_FOUND: (Ending("success", "skipped", "graph_not_found"),) * 2,
    FaultKind.PAGE_EXPIRED: (FINE, partial("graph_page_expired", "incomplete")),
    FaultKind.NEXT_LINK_REPEATS: (FINE, partial("graph_paging_loop", "incomplete")),
    FaultKind.NEXT_LINK_FOREIGN_HOST: (partial("graph_untrusted_link", "incomplete"),) * 2,
    FaultKind.NEXT_LINK_HTTP: (partial("graph_untrusted_link", "incomplete"),) * 2,
    FaultKind.NEXT_LINK_OTHER_VERSION: (partial("graph_untrusted_link", "incomplete"),) * 2,
    # Graph refuses the foreign token like an expired token; the listing restarts, once.
    FaultKind.NEXT_LINK_OTHER_TENANT: (FINE, partial("graph_page_expired", "incomplete")),
    FaultKind.DUPLICATE_ON_NEXT_PAGE: (FINE, FINE),
    FaultKind.SLIP: (FINE, FINE),
    FaultKind.NOISE: (FINE, FINE),
    FaultKind.UNKNOWN_PROPERTIES: (FINE, FINE),
    FaultKind.BATCH_THROTTLED: (FINE, failed("graph_throttled")),
    FaultKind.BATCH_SERVER_ERROR: (FINE, failed("graph_unavailable")),
    FaultKind.BATCH_BAD_GATEWAY: (FINE, failed("graph_unavailable")),
    FaultKind.BATCH_UNAVAILABLE: (FINE, failed("graph_throttled")),
    FaultKind.BATCH_HTML_200: (FINE, failed("graph_malformed_response")),
    FaultKind.BATCH_TRUNCATED_JSON: (FINE, failed("graph_malformed_response")),
    FaultKind.BATCH_MISSING_RESPONSE: (FINE, failed("graph_malformed_response")),
    FaultKind.BATCH_DUPLICATE_RESPONSE: (FINE, failed("graph_malformed_response")),
    FaultKind.TOKEN_SERVER_ERROR: (FINE, failed("auth_failed")),
    FaultKind.TOKEN_THROTTLED: (FINE, failed("auth_failed")),
    FaultKind.TOKEN_INVALID_CLIENT: (failed("auth_failed"), failed("auth_failed")),
    FaultKind.RESET_BEFORE_BODY: (FINE, failed("graph_unavailable")),
    FaultKind.RESET_IN_BODY: (FINE, failed("graph_unavailable")),
    FaultKind.SLOW_FIRST_BYTE: (FINE, FINE),
    FaultKind.SLOW_DRIP: (FINE, FINE),
}
"""Endings of the first run that meets the fault. No token cures a 401 that keeps its claims challenge."""

AIMED = frozenset(kind for kind in FaultKind if not kind.startswith(("batch_", "token_", "reset_", "slow_")))


def fault(kind: FaultKind, **options: Any) -> Fault:
    connection = kind.startswith(("reset_", "slow_"))
    aimed = kind in AIMED and kind is not FaultKind.APP_REVOKED
    path = PATH if aimed else r"\$batch" if connection else ""
    return Fault(kind, path=path, retry_after="1", seconds=0.2, **options)


def test_endings_cover_every_fault() -> None:
    assert set(ENDINGS) == set(FaultKind)


ONE_OF_EACH_ENDING = list({ending[True]: kind for kind, ending in reversed(ENDINGS.items())}.values())
"""The first fault of each ending of lasting faults; `make slow` plays all faults."""


@pytest.mark.parametrize(
    ("stays", "kinds"),
    [
        pytest.param(False, list(ENDINGS), marks=pytest.mark.slow, id="passes"),
        pytest.param(True, list(ENDINGS), marks=pytest.mark.slow, id="stays"),
        pytest.param(True, ONE_OF_EACH_ENDING, id="one of each ending stays"),
    ],
)
def test_run_under_each_fault_ends_with_its_outcome_and_code(
    tmp_path: Path, shared_servers: SharedServers, stays: bool, kinds: list[FaultKind]
) -> None:
    # Under a lasting fault, a run ends in the same way after fewer attempts, and a slow machine saves time.
    patience = "8" if stays else GRAPH_PATIENCE_SECONDS
    with Rig(
        tmp_path,
        tenants=len(kinds),
        seed=next(SEEDS),
        workers=1,
        shared_servers=shared_servers,
        GRAPH_PATIENCE_SECONDS=patience,
        GRAPH_ATTEMPTS="3" if stays else GRAPH_ATTEMPTS,
    ) as rig:
        endings = asyncio.run(_endings(rig, kinds, stays))
        expected = {kind.value: ENDINGS[kind][stays] for kind in kinds}
        assert [(kind, endings[kind], expected[kind]) for kind in expected if endings[kind] != expected[kind]] == []
        assert rig.graph.violations() == []
        assert rig.trap.visitors == 0
        logs = rig.system.logs()
        assert not [secret for secret in rig.secrets() if secret in logs]
        assert "Traceback" not in logs


async def _endings(rig: Rig, kinds: list[FaultKind], stays: bool) -> dict[str, Ending]:
    await rig.connect()
    try:
        found = await asyncio.gather(*(_ending(rig, number, kind, stays) for number, kind in enumerate(kinds)))
        return {kind.value: ending for kind, ending in zip(kinds, found, strict=True)}
    finally:
        await rig.disconnect()


async def _ending(rig: Rig, number: int, kind: FaultKind, stays: bool) -> Ending:
    tenant = rig.graph.tenants[number]
    lasting = stays or kind in (FaultKind.APP_REVOKED, FaultKind.TOKEN_INVALID_CLIENT)
    count = None if lasting else 1
    injected = fault(kind, tenant_id=tenant.id, count=count, link=rig.trap.link)
    fault_id = rig.graph.faults.add(injected)
    run_id = await rig.sync(tenant, selection_of(HIT, OTHER))
    happened = {entry.id: entry.injected for entry in rig.graph.faults.active()}.get(fault_id, 1)
    assert happened, f"{kind} did not happen"
    record = await _record(rig, UUID(tenant.id), run_id)
    if record.status in (RunStatus.SUCCESS, RunStatus.PARTIAL):
        assert record.collections[OTHER].outcome is Outcome.COMPLETE, f"{kind} reached another family"
    hit = record.collections[HIT]
    if stays and kind.startswith("reset_"):
        assert "attempts" in hit.context, f"{kind} was not reported as the page's failure"
    return Ending(record.status, hit.outcome, hit.error_code)


async def _record(rig: Rig, tenant_id: UUID, run_id: UUID) -> RunRecord:
    async with rig.database.tenant(tenant_id, read_only=True) as session:
        record = await queries.run_record(session, run_id)
    assert record is not None
    return record
