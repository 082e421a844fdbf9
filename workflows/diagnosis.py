"""DiagnosisWorkflow: a worker's checks of its environment, for `starter.py doctor`."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.diagnosis import DiagnoseWorker, DiagnosisResult
    from workflows import policies

DIAGNOSIS_ID = "diagnosis"
"""The beginning of the workflow ids."""


@workflow.defn
class DiagnosisWorkflow:
    @workflow.run
    async def run(self, request: DiagnoseWorker) -> DiagnosisResult:
        return await workflow.execute_activity(
            definitions.diagnose_worker, request, summary="check the worker's environment", **policies.DIAGNOSIS
        )
