"""SweepWorkflow: closes records of abandoned runs, on a schedule, so that no run has to follow."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.sweep import SweepResult
    from workflows import policies

SWEEP_ID = "sweep"
"""The workflow id; the schedule appends its time to it."""


@workflow.defn
class SweepWorkflow:
    """One sweep. The next one takes the rest."""

    @workflow.run
    async def run(self) -> SweepResult:
        """Returns the numbers of runs looked at and closed."""
        return await workflow.execute_activity(definitions.sweep, summary="close abandoned runs", **policies.SWEEP)
