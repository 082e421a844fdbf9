"""Requests for runs. Commands load them without the state of workflows."""

from typing import Any, Self
from uuid import UUID

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator
from temporalio.exceptions import ApplicationError

from activities.messages.base import Message, SelectionName, ShortText
from inventory.bounds import SHOWN_CHARACTERS
from inventory.error_codes import ErrorCode
from inventory.selection import RequestedSelection, Selection


class StartInput(Message):
    """An invalid input fails the workflow.

    Otherwise its workflow tasks would fail forever, and callers that joined it would wait forever.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _fails_the_workflow(cls, value: Any, validated: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validated(value)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"])[:SHOWN_CHARACTERS]
            raise ApplicationError(
                f"{cls.__name__}: {where}: {problem['msg'][:SHOWN_CHARACTERS]}",
                type=ErrorCode.UNEXPECTED_ERROR,
                non_retryable=True,
            ) from None


def sync_workflow_id(tenant_id: UUID, selection: Selection) -> str:
    """Allows one run per tenant and selection at a time."""
    return f"sync/{tenant_id}/{selection.hash()}"


class SyncRequest(StartInput):
    """A selection of one tenant to read. `deep` also reads details of items with an unchanged list document."""

    tenant_id: UUID
    selection: RequestedSelection
    deep: bool = False
    selection_name: SelectionName | None = None

    @property
    def workflow_id(self) -> str:
        return sync_workflow_id(self.tenant_id, self.selection)


class CancelRequest(Message):
    """The name and reason are recorded unchecked.

    Runs other than `run_id` ignore the signal, since a later run may have the workflow id; None means any run.
    """

    reason: ShortText | None = None
    requested_by: ShortText | None = None
    run_id: UUID | None = None

    def is_for(self, run_id: UUID) -> bool:
        return self.run_id in (None, run_id)
