"""Answers that faults give in place of Graph's."""

from collections.abc import Callable

import orjson

from local.simulated_graph.endpoints import Area
from local.simulated_graph.faults import Fault, FaultKind
from local.simulated_graph.messages import (
    Answer,
    Delivery,
    GraphRequest,
    Kind,
    error,
    inner_error,
    nested_message,
    not_found,
)
from local.simulated_graph.tokens import ClaimsChallengeError, TokenError, TokenService, token_refusal

_Instead = Callable[[Fault, GraphRequest], Answer]
_THROTTLED = (
    ("TooManyRequests", "An error has occurred."),
    ("TooManyRequests", "Please retry again later."),
    ("activityLimitReached", "The application or user has been throttled."),
    ("UnknownError", ""),
)


def instead(fault: Fault, request: GraphRequest, number: int, tokens: TokenService) -> Answer | None:
    """The fault's answer; `number` counts its answers from 0. None for other faults."""
    if fault.kind is FaultKind.PAGE_EXPIRED and "$skiptoken=" not in request.query:
        return None
    match fault.kind:
        case FaultKind.THROTTLED | FaultKind.BATCH_THROTTLED:
            return throttled(request, fault.retry_after, number)
        case FaultKind.UNAUTHORIZED:
            return tokens.refusal(request, TokenError("Access token validation failure. Invalid audience."))
        case FaultKind.UNAUTHORIZED_EXPIRED:
            return tokens.refusal(request, TokenError("Lifetime validation failed, the token is expired."))
        case FaultKind.UNAUTHORIZED_CLAIMS_CHALLENGE:
            return tokens.refusal(request, ClaimsChallengeError())
        case FaultKind.APP_REVOKED if request.kind is not Kind.TOKEN:
            return tokens.refusal(request, TokenError("The service principal of the access token is gone."))
    made = _INSTEAD.get(fault.kind)
    return None if made is None else made(fault, request)


def throttled(request: GraphRequest, retry_after: str | None, number: int = 0) -> Answer:
    """Code and message vary by `number`, as in Graph's services."""
    code, message = _THROTTLED[number % len(_THROTTLED)]
    body: dict[str, object] = {"code": code, "message": message, "innerError": inner_error(request)}
    if number % len(_THROTTLED) == 0:
        body["details"] = []  # as Intune has it
    return Answer.of(429, {"error": body}, _retry_after(retry_after))


def delivery(fault: Fault) -> Delivery | None:
    """The delivery by a fault of the connection; None for other faults."""
    match fault.kind:
        case FaultKind.RESET_BEFORE_BODY:
            return Delivery(cut="before")
        case FaultKind.RESET_IN_BODY:
            return Delivery(cut="inside")
        case FaultKind.SLOW_FIRST_BYTE:
            return Delivery(wait_seconds=fault.seconds)
        case FaultKind.SLOW_DRIP:
            return Delivery(drip_seconds=fault.seconds)
        case _:
            return None


def _retry_after(text: str | None) -> dict[str, str]:
    return {} if text is None else {"Retry-After": text}


def _plain(status: int, code: str, message: str) -> _Instead:
    return lambda fault, request: error(request, status, code, message, _retry_after(fault.retry_after))


def _html(status: int, title: str) -> _Instead:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><hr></body></html>".encode()
    return lambda _fault, _request: Answer(status, page, {"Content-Type": "text/html"})


def _forbidden_intune(_: Fault, request: GraphRequest) -> Answer:
    message = orjson.dumps({"ErrorCode": "Forbidden", "Message": nested_message(request, "An error has occurred")})
    return error(request, 403, "Forbidden", message.decode())


def _gateway_timeout(_: Fault, request: GraphRequest) -> Answer:
    return error(request, 504, "UnknownError", nested_message(request, "The gateway did not receive an answer in time"))


def _not_found(_: Fault, request: GraphRequest) -> Answer:
    return not_found(request, _area_of(request.path), request.path.rpartition("/")[2])


def _area_of(path: str) -> Area:
    first = path.split("/")[2]
    if first in {"deviceManagement", "deviceAppManagement"}:
        return Area.INTUNE
    return Area.IDENTITY if first in {"identity", "identityGovernance", "policies"} else Area.DIRECTORY


def _token(status: int, name: str, code: int, message: str) -> _Instead:
    return lambda fault, request: token_refusal(request, status, name, code, message, _retry_after(fault.retry_after))


_server_error = _plain(500, "InternalServerError", "An internal server error has occurred.")
_unavailable = _plain(503, "ServiceUnavailable", "The service is temporarily unavailable. Please try again later.")
_INSTEAD: dict[FaultKind, _Instead] = {
    FaultKind.BAD_REQUEST: _plain(400, "BadRequest", "The request is malformed."),
    FaultKind.NOT_APPLICABLE: _plain(400, "BadRequest", "Request not applicable to target tenant."),
    FaultKind.NO_LICENCE: _plain(403, "NoLicense", "The operation was refused."),
    FaultKind.PREMIUM_REQUIRED: _plain(400, "AadPremiumLicenseRequired", "The operation was refused."),
    FaultKind.NON_PREMIUM_TENANT: _plain(
        403,
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        "Neither tenant is B2C or tenant doesn't have premium license",
    ),
    FaultKind.NOT_SET_UP: _plain(403, "Forbidden", "The MDM authority is not set."),
    FaultKind.PAGE_EXPIRED: _plain(
        400,
        "Directory_ExpiredPageToken",
        "The specified page token value has expired and can no longer be included in your request.",
    ),
    FaultKind.APP_REVOKED: _token(
        400, "unauthorized_client", 700016, "Application was not found in the directory, or its consent was withdrawn."
    ),
    FaultKind.FORBIDDEN: _plain(
        403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
    ),
    FaultKind.FORBIDDEN_INTUNE: _forbidden_intune,
    FaultKind.NOT_FOUND: _not_found,
    FaultKind.REQUEST_TIMEOUT: _plain(408, "RequestTimeout", "The request has timed out."),
    FaultKind.SERVER_ERROR: _server_error,
    FaultKind.BAD_GATEWAY: _html(502, "502 Bad Gateway"),
    FaultKind.SERVICE_UNAVAILABLE: _unavailable,
    FaultKind.GATEWAY_TIMEOUT: _gateway_timeout,
    FaultKind.HTML_WITH_200: _html(200, "Sign in to your account"),
    FaultKind.EMPTY_BODY: lambda _fault, _request: Answer(200, b"", {"Content-Type": "application/json"}),
    FaultKind.BATCH_SERVER_ERROR: _server_error,
    FaultKind.BATCH_BAD_GATEWAY: _html(502, "502 Bad Gateway"),
    FaultKind.BATCH_UNAVAILABLE: _unavailable,
    FaultKind.BATCH_HTML_200: _html(200, "Sign in to your account"),
    FaultKind.TOKEN_SERVER_ERROR: _token(500, "server_error", 90033, "A transient error has occurred. Try again."),
    FaultKind.TOKEN_THROTTLED: _token(
        429, "temporarily_unavailable", 90055, "Tenant is throttled due to an excessive request rate."
    ),
    FaultKind.TOKEN_INVALID_CLIENT: _token(401, "invalid_client", 7000215, "Invalid client secret provided."),
}
