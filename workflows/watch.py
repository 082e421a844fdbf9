"""WatchWorkflow: a scheduled look at the audit logs of many tenants."""

import asyncio
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.watch import WatchChoice, WatchTenants, WatchTenantsResult
    from inventory.plurals import counted
    from workflows import policies
    from workflows.messages import WatchInput, WatchResult

WATCH_ID = "watch"
"""The beginning of the workflow ids."""

TENANTS_TOGETHER = 50
"""Tenants of one activity. A look at so many costs 5 actions in all."""

ACTIVITIES_AT_ONCE = 4


@workflow.defn
class WatchWorkflow:
    """The next look repeats the work of a failed activity."""

    @workflow.run
    async def run(self, request: WatchInput) -> WatchResult:
        watched = await workflow.execute_activity(
            definitions.watched_tenants,
            WatchChoice(chosen=request.chosen),
            summary="which tenants to watch",
            **policies.WATCH,
        )
        at_once = asyncio.Semaphore(ACTIVITIES_AT_ONCE)
        tenant_ids = watched.tenant_ids
        together = [
            tenant_ids[start : start + TENANTS_TOGETHER] for start in range(0, len(tenant_ids), TENANTS_TOGETHER)
        ]
        looks = await asyncio.gather(*(self._look(some, at_once) for some in together))
        done = [look for look in looks if look is not None]
        return WatchResult(
            tenants=len(tenant_ids),
            looked=sum(look.looked for look in done),
            requests=sum(look.requests for look in done),
            read=sum(look.read for look in done),
            created=sum(look.created for look in done),
            changed=sum(look.changed for look in done),
            gone=sum(look.gone for look in done),
            unknown_events=sum(look.unknown_events for look in done),
            failed=sum(len(look.failed) for look in done),
            activities_failed=len(looks) - len(done),
        )

    async def _look(self, tenant_ids: list[UUID], at_once: asyncio.Semaphore) -> WatchTenantsResult | None:
        """None if the activity failed, which ends no other look."""
        async with at_once:
            try:
                return await workflow.execute_activity(
                    definitions.watch_tenants,
                    WatchTenants(
                        look_id=UUID(workflow.info().run_id),
                        workflow_id=workflow.info().workflow_id,
                        tenant_ids=tenant_ids,
                    ),
                    summary=f"look at {counted(len(tenant_ids), 'tenant')}",
                    **policies.WATCH,
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                workflow.logger.warning("the look at %d tenants failed", len(tenant_ids))
                return None
