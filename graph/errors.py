"""Failures of Graph, classified by stable code."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Protocol

from inventory.error_codes import ErrorCode

Context = dict[str, str | int]

_CODE = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
_REQUEST_ID = re.compile(r"^[0-9A-Fa-f-]{8,64}$")
_LICENCE_CODES = re.compile(
    r"licen[cs]e_?(required|needed|missing)|(no|missing|insufficient|invalid)_?(valid_?)?licen[cs]e"
    r"|not_?licen[cs]ed|unlicen[cs]ed|nonpremiumtenant|tenantnot(onboarded|provisioned)|^applifecycle_2210$"
)
"""Graph's codes, in lower case, for a tenant without the licence; they decide alone.

`Authentication_RequestFromNonPremiumTenantOrB2CTenant`: https://github.com/MicrosoftDocs/azure-docs/pull/77948

`NoLicense`: https://github.com/AzureAD/AzureAD-Governance-Assessment/issues/2
"""

_LICENCE = r"\b(licen[cs]e[sd]?|licensing|service plans?)\b"
# Within one clause, and not about a property, permission or scope with such a name.
_BETWEEN = r"((?!authori|permission|privilege|scope|access|propert|\bcheck\b)[^.!?;'\"]){0,80}"
_SET_UP = r"(set( up)?|onboarded|provisioned|enabled|registered|activated|licen[cs]ed)"
_LICENCE_MESSAGES = re.compile(
    rf"(\b(not|no|without|lacks?|missing|needs?|requires?|valid|must have)\b|n't\b){_BETWEEN}{_LICENCE}"
    rf"|(?<!property )(?<!parameter ){_LICENCE}{_BETWEEN}(\b(not|required|needed|missing|expired|insufficient)\b|n't\b)"
    rf"|\binsufficient licen[cs]e"
    rf"|\b(tenant|organi[sz]ation|mdm authority)\b{_BETWEEN}"
    rf"(\b(is|was) not|(is|was)n't|(not|n't) been)( yet| fully)* {_SET_UP}\b"
    r"|not applicable to target (tenant|domain)|not an azure ad b2c"
)
"""Parts of messages, in lower case, about a missing licence or a service that is not set up; never shown.

`Request not applicable to target tenant`: https://github.com/microsoftgraph/msgraph-beta-sdk-go/issues/198

`Tenant does not have a SPO license`: https://github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/7328
"""

_APP_REFUSED = ("app-only", "app only", "application context", "application permission", "delegated")
"""Phrases of refusals that are open to signed-in people only."""


class Answer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> Any: ...


class ReadFailure(NamedTuple):
    """Why a page was not read; `restart`: its page token has expired."""

    code: ErrorCode
    retryable: bool = False
    retry_after: timedelta | None = None
    restart: bool = False
    context: Mapping[str, str | int] = {}


class GraphRequestError(Exception):
    """A failed `$batch` or sign-in. The message holds no URL, token or answer.

    Retries end after `retry_limit` less `failing_for`, the time for which other callers have met the failure.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retryable: bool,
        retry_after: timedelta | None = None,
        context: Mapping[str, str | int] | None = None,
        retry_limit: timedelta = timedelta.max,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        self.context: Context = dict(context or {})
        self.retry_limit = retry_limit
        self.failing_for = timedelta(0)


class BatchRefusedError(GraphRequestError):
    """Graph refused a whole `$batch`."""

    def __init__(self, failure: ReadFailure, message: str) -> None:
        super().__init__(
            failure.code,
            message,
            retryable=failure.retryable,
            retry_after=failure.retry_after,
            context=failure.context,
        )
        self.failure = failure


class GraphUnreachedError(GraphRequestError):
    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.GRAPH_UNAVAILABLE, message, retryable=True, context={"reason": message})


class AnswerTooLargeError(GraphRequestError):
    """A `$batch`'s answer has more bytes or values than a worker reads at once."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.GRAPH_MALFORMED_RESPONSE, "the answer is too large", retryable=False)


def classify(answer: Answer, *, permission: str | None = None, delegated_only: bool = False) -> ReadFailure | None:
    """The answer's failure; None for a success.

    `permission` goes into a 403's context. No permission lets an app read `delegated_only` collections.
    """
    status = answer.status
    if 200 <= status < 300:
        return None
    graph_code = error_code_of(answer.body)
    context = _context(answer, graph_code)
    retry_after = retry_after_of(answer.headers)
    message = _message(answer.body)
    if status == 429 or (status == 503 and retry_after is not None):
        return ReadFailure(ErrorCode.GRAPH_THROTTLED, True, retry_after, context=context)
    if status in (408, 500, 502, 503, 504, 509):
        return ReadFailure(ErrorCode.GRAPH_UNAVAILABLE, True, retry_after, context=context)
    if _is_licence_missing(answer.body, message):
        return ReadFailure(ErrorCode.GRAPH_NOT_LICENSED, context=context)
    if delegated_only and (status in (401, 403) or any(phrase in message for phrase in _APP_REFUSED)):
        return ReadFailure(ErrorCode.GRAPH_DELEGATED_ONLY, context=context)
    if status == 401:
        return ReadFailure(ErrorCode.GRAPH_UNAUTHORIZED, context=context)
    if status == 403:
        if permission is not None:
            context["permission"] = permission
        return ReadFailure(ErrorCode.GRAPH_PERMISSION_MISSING, context=context)
    if status in (400, 410) and _is_expired_page(graph_code, message):
        return ReadFailure(ErrorCode.GRAPH_PAGE_EXPIRED, restart=True, context=context)
    if status in (404, 405) or "resource not found for the segment" in message:
        return ReadFailure(ErrorCode.GRAPH_NOT_FOUND, context=context)
    if 300 <= status < 400:
        return ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, context=context)
    return ReadFailure(ErrorCode.GRAPH_BAD_REQUEST, context=context)


def retry_after_of(headers: Mapping[str, str], now: datetime | None = None) -> timedelta | None:
    """Reads seconds, also fractional, or a date (RFC 9110 §10.2.3), counted from the answer's Date or else `now`.

    None if absent, unreadable or negative.
    """
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        return _until(value, headers.get("date"), now)
    if not 0 <= seconds <= timedelta.max.total_seconds() / 2:
        return None
    return timedelta(seconds=seconds)


def _until(value: str, date: str | None, now: datetime | None) -> timedelta | None:
    moment = _http_date(value)
    since = (_http_date(date) if date else None) or now
    if moment is None or since is None:
        return None
    return max(moment - since, timedelta(0))


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def error_code_of(body: Any) -> str | None:
    """Graph's error code; None if it is missing or no plain code, since an answer may be hostile."""
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _message(body: Any) -> str:
    """In lower case. Intune nests JSON as text in it."""
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message[:4000].lower() if isinstance(message, str) else ""


def _is_licence_missing(body: Any, message: str) -> bool:
    error = body.get("error") if isinstance(body, dict) else None
    inner = (error.get("innerError"), error.get("innererror")) if isinstance(error, dict) else ()
    codes = (level.get("code") for level in (error, *inner) if isinstance(level, dict))
    return any(_LICENCE_CODES.search(code.lower()) for code in codes if isinstance(code, str)) or bool(
        _LICENCE_MESSAGES.search(message)
    )


def _is_expired_page(graph_code: str | None, message: str) -> bool:
    return (
        graph_code in ("Directory_ExpiredPageToken", "DirectoryPageTokenNotFoundException", "syncStateNotFound")
        or "skip token" in message
        or "page token" in message
    )


def _context(answer: Answer, graph_code: str | None) -> Context:
    context: Context = {"http_status": answer.status}
    if graph_code is not None:
        context["graph_error_code"] = graph_code
    request_id = answer.headers.get("request-id", "")
    if _REQUEST_ID.fullmatch(request_id):
        context["request_id"] = request_id
    return context
