"""Stable error codes of Temporal's exceptions."""

from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

from activities import definitions
from activities.messages.retention import EVERY_TENANT
from inventory.error_codes import ErrorCode
from inventory.outcomes import ContextValue

_READ_GRAPH = frozenset(
    activity.__name__
    for activity in (
        definitions.read_wave,
        definitions.fetch_pages,
        definitions.fetch_details,
        definitions.confirm_missing,
    )
)
"""Activities whose timeout is `graph_unavailable`; that of others is `storage_unavailable`."""


def error_code_of(error: BaseException) -> ErrorCode:
    """The type of the activity's `ApplicationError`, or the code of its timeout."""
    cause = error.cause if isinstance(error, ActivityError) and error.cause is not None else error
    if isinstance(cause, TemporalTimeoutError) and isinstance(error, ActivityError):
        inner = cause.cause
        if isinstance(inner, ApplicationError):
            return _error_code(inner.type)
        return ErrorCode.GRAPH_UNAVAILABLE if error.activity_type in _READ_GRAPH else ErrorCode.STORAGE_UNAVAILABLE
    return _error_code(cause.type) if isinstance(cause, ApplicationError) else ErrorCode.UNEXPECTED_ERROR


def concerns_every_tenant(error: BaseException) -> bool:
    """Whether the activity's last failure was PostgreSQL's (`activities.failures.server_fault`)."""
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, TemporalTimeoutError):
        cause = cause.cause
    return EVERY_TENANT in context_of(cause) if cause is not None else False


def context_of(error: BaseException) -> dict[str, ContextValue]:
    """Statuses, codes and our own reasons, never a message from Graph."""
    cause = error.cause if isinstance(error, ActivityError) else error
    details = cause.details[0] if isinstance(cause, ApplicationError) and cause.details else {}
    if not isinstance(details, dict):
        return {}
    return {str(name): value for name, value in details.items() if isinstance(value, str | int)}


def _error_code(code: str | None) -> ErrorCode:
    return ErrorCode(code) if code in set(ErrorCode) else ErrorCode.UNEXPECTED_ERROR
