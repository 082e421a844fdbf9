"""DiagnosisWorkflow: one worker's checks of its own environment. `starter.py doctor` starts it and waits."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.diagnosis import DiagnoseWorker, DiagnosisResult
    from workflows import policies

DIAGNOSIS_ID = "diagnosis"
"""The beginning of the workflow id; a random id follows the task queue."""


@workflow.defn
class DiagnosisWorkflow:
    """One diagnosis, by whichever worker takes it."""

    @workflow.run
    async def run(self, request: DiagnoseWorker) -> DiagnosisResult:
        """Has one worker check its environment."""
        return await workflow.execute_activity(
            definitions.diagnose_worker, request, summary="check the worker's environment", **policies.DIAGNOSIS
        )
