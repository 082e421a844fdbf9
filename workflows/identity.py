"""The check that a workflow's id fits its input: callers that join a workflow rely on it."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from inventory.error_codes import ErrorCode
    from workflows.patches import ID_OF_INPUT


def refuse_other_id(expected: str, *, is_scheduled: bool = False) -> None:
    """Raises `ApplicationError` if the workflow id is not `expected`, to which a schedule appends its time."""
    workflow_id = workflow.info().workflow_id
    if workflow_id == expected or (is_scheduled and workflow_id.startswith(f"{expected}-")):
        return
    if workflow.patched(ID_OF_INPUT):
        raise ApplicationError(
            f"started under another workflow id than {expected}, which its input stands for",
            type=ErrorCode.WORKFLOW_ID_HELD,
            non_retryable=True,
        )
