"""RetentionWorkflow: deletes old versions and runs, by a schedule or a command."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.retention import (
        ForgetRuns,
        ForgetRunsResult,
        ForgetVersions,
        ForgetVersionsResult,
        ForgottenOfTenant,
    )
    from inventory.bounds import NAMED
    from inventory.error_codes import ErrorCode
    from inventory.plurals import counted
    from workflows import policies
    from workflows.failures import concerns_every_tenant, error_code_of
    from workflows.messages import RetentionInput, RetentionResult

RETENTION_ID = "retention"
"""The beginning of the workflow ids."""


@workflow.defn
class RetentionWorkflow:
    """Deletes in batches of one tenant, whose merges wait for one batch only.

    It may end at any moment; a later workflow deletes the rest.
    """

    @workflow.run
    async def run(self, request: RetentionInput) -> RetentionResult:
        """Raises `ApplicationError` at the end if a tenant failed, or at once if PostgreSQL refuses every tenant."""
        left = request.left
        if left is None:
            left = [request.tenant_id] if request.tenant_id is not None else await self._tenants()
        forgotten = list(request.forgotten)
        after = request.after
        at_runs = request.at_runs or _begins_at_runs(request)
        failed = dict(request.failed)
        while left:
            if workflow.info().is_continue_as_new_suggested():
                so_far = {"left": left, "after": after, "at_runs": at_runs, "forgotten": forgotten, "failed": failed}
                workflow.continue_as_new(request.model_copy(update=so_far))
            earlier, other_tenants = _latest(forgotten, left[0])
            try:
                if at_runs and request.runs_older_than is not None:
                    runs = await self._forget_runs(left[0], request.runs_older_than)
                    forgotten = [*other_tenants, earlier.plus(runs=runs.runs, plans=runs.plans)]
                    is_done = runs.is_last
                else:
                    versions = await self._forget_versions(request, left[0], after)
                    forgotten = [*other_tenants, earlier.plus(versions=versions.versions, documents=versions.documents)]
                    after = versions.after
                    at_runs = after is None and request.runs_older_than is not None
                    is_done = after is None and not at_runs
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                failed[left[0]] = error_code_of(error)
                if concerns_every_tenant(error):
                    raise _failure(failed, len(left) - 1) from error
                workflow.logger.warning("retention of tenant %s failed: %s", left[0], failed[left[0]])
                after, is_done = None, True
            if is_done:
                left = left[1:]
                at_runs = _begins_at_runs(request)
        if failed:
            raise _failure(failed)
        return RetentionResult(tenants=forgotten)

    async def _tenants(self) -> list[UUID]:
        answer = await workflow.execute_activity(
            definitions.inventoried_tenants,
            summary="which tenants have an inventory",
            **policies.RETENTION,
        )
        return answer.tenant_ids

    async def _forget_versions(
        self, request: RetentionInput, tenant_id: UUID, after: tuple[str, str] | None
    ) -> ForgetVersionsResult:
        return await workflow.execute_activity(
            definitions.forget_versions,
            ForgetVersions(tenant_id=tenant_id, older_than=request.older_than, kept=request.kept, after=after),
            summary="forget versions",
            **policies.RETENTION,
        )

    async def _forget_runs(self, tenant_id: UUID, older_than: timedelta) -> ForgetRunsResult:
        return await workflow.execute_activity(
            definitions.forget_runs,
            ForgetRuns(tenant_id=tenant_id, older_than=older_than),
            summary="forget runs",
            **policies.RETENTION,
        )


def _failure(failed: Mapping[UUID, ErrorCode], waiting: int = 0) -> ApplicationError:
    named = ", ".join(f"{tenant_id} ({failed[tenant_id]})" for tenant_id in list(failed)[:NAMED])
    more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    not_begun = f"; PostgreSQL refuses every tenant, so {counted(waiting, 'more tenant')} must wait" if waiting else ""
    return ApplicationError(
        f"retention of {counted(len(failed), 'tenant')} failed: {named}{more}{not_begun}",
        type=next(iter(failed.values())),
    )


def _begins_at_runs(request: RetentionInput) -> bool:
    return request.runs_older_than is not None and not request.limits_versions


def _latest(forgotten: list[ForgottenOfTenant], tenant_id: UUID) -> tuple[ForgottenOfTenant, list[ForgottenOfTenant]]:
    if forgotten and forgotten[-1].tenant_id == tenant_id:
        return forgotten[-1], forgotten[:-1]
    return ForgottenOfTenant(tenant_id=tenant_id), list(forgotten)
