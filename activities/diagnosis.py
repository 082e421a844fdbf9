"""The activity that checks a worker's database, clock, and sign-in to each tenant."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from shlex import quote
from uuid import UUID

from temporalio import activity

from activities.failures import tenant_result
from activities.messages.diagnosis import CheckResult, CheckVerdict, DiagnoseWorker, DiagnosisResult
from activities.tenants import TenantsFile
from graph.catalog import Catalog
from graph.client import GraphClient, GraphGet
from graph.errors import GraphRequestError, classify
from graph.tenants import TenantConfig, TenantsFileError
from inventory.error_codes import ErrorCode
from inventory.plurals import counted
from inventory.user_errors import UnavailableError
from storage.database import Database, StorageNotReadyError, StorageUnavailableError
from storage.protection import check_access, check_disk, database_clock, open_tables, sees_a_tenant

PLACE = "worker"

TENANTS_AT_ONCE = 16

ANSWER_SECONDS = 14.0

TENANT_SECONDS = 60.0
"""Longer than a sign-in and a request."""

NOTICEABLE_SKEW = timedelta(seconds=30)
"""From here on, times in records and logs mislead."""

REFUSED_SKEW = timedelta(minutes=5)
"""From here on, Entra refuses a certificate's signature (AADSTS700024)."""

PROBED_COLLECTION = "organization"
"""A singleton that every tenant has, in a throttle family without turns."""


class DiagnosisActivities:
    """`graph` makes a new client for each diagnosis, since a cached token outlives an expired secret."""

    def __init__(
        self,
        graph: Callable[[], GraphClient],
        database: Database,
        catalog: Catalog,
        tenants: TenantsFile,
        warnings: Sequence[str],
        now: Callable[[], datetime],
    ) -> None:
        self._now = now
        self._graph = graph
        self._database = database
        self._collection = catalog.collections[PROBED_COLLECTION]
        self._tenants = tenants
        self._warnings = warnings

    @activity.defn
    async def diagnose_worker(self, request: DiagnoseWorker) -> DiagnosisResult:
        checks = [_check("settings", CheckVerdict.WARNING, warning) for warning in self._warnings]
        checks += await self._of_database()
        checks += await self._of_tenants(request.tenant_ids)
        return DiagnosisResult(checks=tuple(checks or [_check("settings", CheckVerdict.OK, "as they should be")]))

    async def _of_database(self) -> list[CheckResult]:
        try:
            excess = await self._database.excess()
            async with self._database.no_tenant(read_only=True) as session:
                ahead = await database_clock(session) - self._now()
                await check_access(session)
                tables, is_bound = await open_tables(session), not await sees_a_tenant(session)
                await check_disk(session)
        except (StorageUnavailableError, StorageNotReadyError) as error:
            return [_check("database", CheckVerdict.FAILED, str(error))]
        checks = [_check("database", CheckVerdict.OK, "answers, at this program's revision and with its roles")]
        checks += [
            _check(
                "database roles",
                CheckVerdict.WARNING,
                f"the worker's login {right}; give it one that owns nothing; with the name of the tables' owner for"
                " OWNER and of the new login for NAME:"
                " python starter.py database roles --owner OWNER --worker-login NAME",
            )
            for right in excess
        ]
        if tables:
            checks.append(
                _check(
                    "row-level security",
                    CheckVerdict.FAILED,
                    f"does not keep tenants apart in {', '.join(tables)}; stop the workers, and have the owner run for"
                    " each: ALTER TABLE name ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
                )
            )
        elif not is_bound:
            checks.append(
                _check(
                    "row-level security",
                    CheckVerdict.FAILED,
                    "a session that is bound to no tenant sees rows of table tenant; stop the workers, and compare the"
                    " table's policies (\\d tenant in psql) with those of a new database",
                )
            )
        else:
            checks.append(_check("row-level security", CheckVerdict.OK, "keeps tenants apart in every table"))
        return [*checks, skew_check("database's clock", ahead)]

    async def _of_tenants(self, tenant_ids: Sequence[UUID]) -> list[CheckResult]:
        try:
            chosen = tenant_ids or list(await self._tenants.tags())
            entries = [(tenant_id, await self._tenants.get(tenant_id)) for tenant_id in chosen]
        except (TenantsFileError, UnavailableError) as error:
            return [_check("tenants file", CheckVerdict.FAILED, str(error))]
        turns = asyncio.Semaphore(TENANTS_AT_ONCE)
        async with self._graph() as graph:

            async def of_tenant(tenant_id: UUID, tenant: TenantConfig | None) -> CheckResult:
                if tenant is None:
                    reason = "the worker's tenants file does not name this tenant; add it on every machine"
                    return _check("tenant", CheckVerdict.FAILED, reason, tenant_id)
                if tenant.disabled and not tenant_ids:
                    return _check("tenant", CheckVerdict.OK, "is disabled, so it is not read", tenant_id, tenant.name)
                async with turns:
                    result = await tenant_result(
                        tenant_id,
                        self._of_tenant(graph, tenant),
                        seconds=TENANT_SECONDS,
                        if_late=ErrorCode.GRAPH_UNAVAILABLE,
                    )
                if isinstance(result, ErrorCode):
                    result = CheckVerdict.FAILED, f"cannot be checked: {result}; the worker's log says why"
                return _check("tenant", *result, tenant_id, tenant.name)

            checks = list(await asyncio.gather(*(of_tenant(tenant_id, entry) for tenant_id, entry in entries)))
            skew = [] if graph.clock is None else [skew_check("Graph's clock", graph.clock.now() - self._now())]
        named = _check("tenants file", CheckVerdict.OK, f"names {counted(len(entries), 'tenant')}")
        return [*skew, *([] if tenant_ids else [named]), *checks]

    async def _of_tenant(self, graph: GraphClient, tenant: TenantConfig) -> tuple[CheckVerdict, str]:
        collection = self._collection
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await graph.sign_in(tenant)
        except TimeoutError:
            return CheckVerdict.FAILED, "sign-in: nothing answers; check the network, the firewall and the proxy"
        except GraphRequestError as error:
            return CheckVerdict.FAILED, f"no token: {error}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                request = GraphGet(collection.type_key, f"{collection.path}?$select=id")
                answers = await graph.read_batch(tenant, collection.api_version, [request])
        except TimeoutError:
            return CheckVerdict.FAILED, "Graph does not answer; check the network, the firewall and the proxy"
        except GraphRequestError as error:
            return CheckVerdict.FAILED, str(error)
        failure = classify(answers[collection.type_key], permission=collection.permission)
        if failure is None:
            return CheckVerdict.OK, "signs in and reads"
        if failure.code is ErrorCode.GRAPH_PERMISSION_MISSING:
            return CheckVerdict.WARNING, (
                f"signs in, but may not read {collection.type_key} ({collection.permission});"
                f" see: python starter.py check {quote(tenant.name)}"
            )
        verdict = CheckVerdict.WARNING if failure.retryable else CheckVerdict.FAILED
        return verdict, f"signs in, but Graph answers {failure.code}; see docs/error-codes.md"


def skew_check(clock: str, ahead: timedelta) -> CheckResult:
    seconds = round(ahead.total_seconds())
    if abs(ahead) < NOTICEABLE_SKEW:
        return _check(clock, CheckVerdict.OK, "agrees with the worker's")
    direction = "ahead of" if seconds > 0 else "behind"
    return _check(
        clock,
        CheckVerdict.WARNING if abs(ahead) < REFUSED_SKEW else CheckVerdict.FAILED,
        f"is {abs(seconds)} seconds {direction} the worker's; synchronize both machines by NTP",
    )


def _check(
    check: str, verdict: CheckVerdict, message: str, tenant_id: UUID | None = None, tenant: str | None = None
) -> CheckResult:
    return CheckResult(check=check, place=PLACE, verdict=verdict, message=message, tenant_id=tenant_id, tenant=tenant)
