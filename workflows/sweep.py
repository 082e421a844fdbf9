"""SweepWorkflow: the scheduled closing of abandoned runs."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.sweep import SweepResult
    from workflows import policies

SWEEP_ID = "sweep"
"""The beginning of the workflow ids."""


@workflow.defn
class SweepWorkflow:
    """The next sweep closes the remaining records."""

    @workflow.run
    async def run(self) -> SweepResult:
        return await workflow.execute_activity(definitions.sweep, summary="close abandoned runs", **policies.SWEEP)
