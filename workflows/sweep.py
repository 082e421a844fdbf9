"""SweepWorkflow: closes the records of abandoned runs. A schedule starts it, so no run has to follow for that."""

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
        """Answers how many runs it looked at and closed."""
        return await workflow.execute_activity(definitions.sweep, summary="close abandoned runs", **policies.SWEEP)
