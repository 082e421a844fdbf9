"""RetentionWorkflow: forgets the versions that nobody needs any more. A schedule starts it, or a command."""

from uuid import UUID

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import (
        ActivityName,
        ForgetVersions,
        ForgetVersionsResult,
        ForgottenOfTenant,
        InventoriedTenants,
        RetentionInput,
        RetentionResult,
    )
    from workflows import policies

RETENTION_ID = "retention"
"""The workflow id; the schedule appends its time to it."""


@workflow.defn
class RetentionWorkflow:
    """Tenant after tenant, batch after batch: in a batch the tenant's merges wait, and between two of them they go on.

    What it has forgotten stays so, and another one begins where there is something left: it may end at any moment.
    """

    @workflow.run
    async def run(self, given: RetentionInput) -> RetentionResult:
        """Answers how much was forgotten of which tenant."""
        left = given.left
        if left is None:
            left = [given.tenant_id] if given.tenant_id is not None else await self._tenants()
        forgotten = list(given.forgotten)
        after = given.after
        while left:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(
                    given.model_copy(update={"left": left, "after": after, "forgotten": forgotten})
                )
            batch = await self._forget(given, left[0], after)
            forgotten = _counted(forgotten, left[0], batch)
            after = batch.after
            if after is None:
                left = left[1:]
        return RetentionResult(tenants=forgotten)

    async def _tenants(self) -> list[UUID]:
        """The tenants that have an inventory."""
        answer: InventoriedTenants = await workflow.execute_activity(
            ActivityName.INVENTORIED_TENANTS,
            result_type=InventoriedTenants,
            summary="which tenants have an inventory",
            **policies.RETENTION,
        )
        return answer.tenant_ids

    async def _forget(
        self, given: RetentionInput, tenant_id: UUID, after: tuple[str, str] | None
    ) -> ForgetVersionsResult:
        """One batch of one tenant."""
        answer: ForgetVersionsResult = await workflow.execute_activity(
            ActivityName.FORGET_VERSIONS,
            ForgetVersions(tenant_id=tenant_id, older_than=given.older_than, kept=given.kept, after=after),
            result_type=ForgetVersionsResult,
            summary="forget versions",
            **policies.RETENTION,
        )
        return answer


def _counted(
    forgotten: list[ForgottenOfTenant], tenant_id: UUID, batch: ForgetVersionsResult
) -> list[ForgottenOfTenant]:
    """What was forgotten so far, with one more batch of the tenant that is the last one or a new one."""
    earlier = ForgottenOfTenant(tenant_id=tenant_id)
    if forgotten and forgotten[-1].tenant_id == tenant_id:
        *forgotten, earlier = forgotten
    return [*forgotten, earlier.plus(batch.versions, batch.documents)]
