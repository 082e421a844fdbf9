"""Failures classified once, at the edge: whatever an activity meets becomes an error with a stable code.

Messages hold no text from Graph, no URL, no row and no secret, since Temporal keeps and shows them.
"""

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import PurePath

from temporalio import activity
from temporalio.exceptions import ApplicationError

from graph.errors import BatchRefusedError, GraphRequestError, ReadFailure
from inventory.error_codes import ErrorCode
from storage.database import StorageNotReadyError, StorageUnavailableError

UNEXPECTED_ATTEMPTS = 3
"""How often something unexpected is tried: it may be a matter of the moment, or of this worker."""


@asynccontextmanager
async def classified(*, graph_patience: timedelta = timedelta.max) -> AsyncIterator[None]:
    """Turns what the body raises into an `ApplicationError` whose type is an `ErrorCode`.

    What Graph may cure later is not tried again once `graph_patience` has passed since the activity was scheduled.
    """
    try:
        yield
    except ApplicationError:
        raise
    except GraphRequestError as error:
        waited = datetime.now(UTC) - activity.info().scheduled_time
        raise ApplicationError(
            str(error),
            dict(error.context),
            type=error.code,
            non_retryable=not error.retryable or waited >= graph_patience,
            next_retry_delay=error.retry_after,
        ) from None
    except (StorageUnavailableError, StorageNotReadyError) as error:
        raise ApplicationError(str(error), type=ErrorCode.STORAGE_UNAVAILABLE) from None
    except Exception as error:  # noqa: BLE001 - the one place where what nobody foresaw gets its code
        activity.logger.error("unexpected_error: %s at %s", type(error).__name__, _place(error))
        raise ApplicationError(
            f"{type(error).__name__}; the worker's log has its place",
            type=ErrorCode.UNEXPECTED_ERROR,
            non_retryable=activity.info().attempt >= UNEXPECTED_ATTEMPTS,
        ) from None


def told(error: GraphRequestError, told_after: timedelta | None) -> ReadFailure:
    """The failure of a whole `$batch` as that of each request in it.

    Raises the error again where the activity is to be retried, or where no request could succeed.
    """
    if isinstance(error, BatchRefusedError):
        return error.failure
    if not error.retryable or told_after is None:
        raise error
    waited = datetime.now(UTC) - activity.info().scheduled_time
    if told_after and waited < told_after:
        raise error
    return ReadFailure(error.code, retryable=True, retry_after=error.retry_after, context=error.context)


def _place(error: Exception) -> str:
    """Where an exception was raised, without its message: that may quote a document."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))
