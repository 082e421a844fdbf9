"""Classification of answers in Graph's shapes."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.client import GraphAnswer
from graph.errors import classify, retry_after_of
from inventory.error_codes import ErrorCode

REQUEST_ID = "0c2b2f6e-8f2a-4b7e-9c37-6a8d5f4e3b21"
NESTED = (
    '{"ErrorCode":"Forbidden","Message":"{\\r\\n \\"_version\\": 3,\\r\\n \\"Message\\": \\"An error has occurred -'
    ' Operation ID (for customer support): 0 - Url: https://fef.msuc02.manage.microsoft.com/x\\"}"}'
)


def answer(status: int, code: str = "", message: Any = "", **headers: str) -> GraphAnswer:
    body = {"error": {"code": code, "message": message, "innerError": {"request-id": REQUEST_ID}}}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return GraphAnswer(status, {"request-id": REQUEST_ID, **names}, body)


CASES = [
    (answer(429, "TooManyRequests"), ErrorCode.GRAPH_THROTTLED, True),
    (answer(429, "UnknownError", ""), ErrorCode.GRAPH_THROTTLED, True),
    (answer(503, "serviceNotAvailable", retry_after="5"), ErrorCode.GRAPH_THROTTLED, True),
    (answer(503, "serviceNotAvailable"), ErrorCode.GRAPH_UNAVAILABLE, True),
    (answer(500, "InternalServerError"), ErrorCode.GRAPH_UNAVAILABLE, True),
    (answer(502), ErrorCode.GRAPH_UNAVAILABLE, True),
    (answer(504, "UnknownError", NESTED), ErrorCode.GRAPH_UNAVAILABLE, True),
    (answer(408), ErrorCode.GRAPH_UNAVAILABLE, True),
    (answer(401, "InvalidAuthenticationToken", "Access token has expired."), ErrorCode.GRAPH_UNAUTHORIZED, False),
    (answer(403, "Authorization_RequestDenied", "Insufficient privileges"), ErrorCode.GRAPH_PERMISSION_MISSING, False),
    (answer(403, "UnknownError", NESTED), ErrorCode.GRAPH_PERMISSION_MISSING, False),
    (answer(403, "", ""), ErrorCode.GRAPH_PERMISSION_MISSING, False),
    (answer(400, "BadRequest", "Request not applicable to target tenant."), ErrorCode.GRAPH_NOT_LICENSED, False),
    (answer(400, "AppLifecycle_2210", "x"), ErrorCode.GRAPH_NOT_LICENSED, False),
    (answer(403, "AccessDenied", "Your tenant is not licensed for this feature."), ErrorCode.GRAPH_NOT_LICENSED, False),
    (
        answer(403, "AccessDenied", "Neither tenant is B2C or tenant doesn't have premium license"),
        ErrorCode.GRAPH_NOT_LICENSED,
        False,
    ),
    (answer(403, "NoLicense", "x"), ErrorCode.GRAPH_NOT_LICENSED, False),
    (answer(403, "Forbidden", "Tenant does not meet license requirement."), ErrorCode.GRAPH_NOT_LICENSED, False),
    (answer(400, "AadPremiumLicenseRequired", "x"), ErrorCode.GRAPH_NOT_LICENSED, False),
    (answer(400, "BadRequest", "The tenant needs an AAD Premium 2 license."), ErrorCode.GRAPH_NOT_LICENSED, False),
    (answer(404, "ResourceNotFound"), ErrorCode.GRAPH_NOT_FOUND, False),
    (answer(400, "BadRequest", "Resource not found for the segment 'x'."), ErrorCode.GRAPH_NOT_FOUND, False),
    (answer(400, "BadRequest", "Could not find a property named 'x'"), ErrorCode.GRAPH_BAD_REQUEST, False),
    (answer(418), ErrorCode.GRAPH_BAD_REQUEST, False),
    (answer(302, location="https://elsewhere"), ErrorCode.GRAPH_MALFORMED_RESPONSE, False),
    (GraphAnswer(502, {}, None), ErrorCode.GRAPH_UNAVAILABLE, True),
    (GraphAnswer(403, {}, ["no", "object"]), ErrorCode.GRAPH_PERMISSION_MISSING, False),
]


@pytest.mark.parametrize(("given_answer", "code", "retryable"), CASES)
def test_failure_has_its_code(given_answer: GraphAnswer, code: ErrorCode, retryable: bool) -> None:
    failure = classify(given_answer)
    assert failure is not None
    assert (failure.code, failure.retryable) == (code, retryable)
    assert failure.context["http_status"] == given_answer.status


@pytest.mark.parametrize(
    ("given_answer", "code"),
    [
        (answer(403, "Authorization_RequestDenied", "Insufficient privileges"), ErrorCode.GRAPH_DELEGATED_ONLY),
        (answer(401, "Unauthorized", "x"), ErrorCode.GRAPH_DELEGATED_ONLY),
        (answer(400, "BadRequest", "Not supported for app-only tokens."), ErrorCode.GRAPH_DELEGATED_ONLY),
        (answer(403, "NoLicense", "x"), ErrorCode.GRAPH_NOT_LICENSED),
        (
            answer(400, "BadRequest", "Resource not found for the segment 'applicationProxy'."),
            ErrorCode.GRAPH_NOT_FOUND,
        ),
        (answer(400, "BadRequest", "x"), ErrorCode.GRAPH_BAD_REQUEST),
        (answer(429), ErrorCode.GRAPH_THROTTLED),
        (answer(500), ErrorCode.GRAPH_UNAVAILABLE),
    ],
)
def test_refusal_of_a_delegated_only_collection_has_its_code(given_answer: GraphAnswer, code: ErrorCode) -> None:
    failure = classify(given_answer, permission="Thing.Read.All", delegated_only=True)
    assert failure is not None
    assert failure.code is code
    assert "permission" not in failure.context


@pytest.mark.parametrize("status", [200, 204])
def test_a_success_is_no_failure(status: int) -> None:
    assert classify(GraphAnswer(status, {}, {"value": []})) is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("Directory_ExpiredPageToken", "The specified page token value has expired"),
        ("", "Invalid Skip Token"),
        ("syncStateNotFound", "x"),
    ],
)
def test_expired_page_token_restarts_the_listing(code: str, message: str) -> None:
    failure = classify(answer(400, code, message))
    assert failure is not None
    assert (failure.code, failure.restart, failure.retryable) == (ErrorCode.GRAPH_PAGE_EXPIRED, True, False)


def test_context_names_the_permission_and_the_request_and_no_message() -> None:
    failure = classify(answer(403, "Forbidden", "secret words"), permission="Policy.Read.All")
    assert failure is not None
    assert failure.context == {
        "http_status": 403,
        "graph_error_code": "Forbidden",
        "request_id": REQUEST_ID,
        "permission": "Policy.Read.All",
    }


@given(
    st.integers(100, 599),
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "code", "message"]), inner),
    ),
    st.dictionaries(st.sampled_from(["retry-after", "request-id", "date"]), st.text()),
)
def test_no_answer_breaks_classification(status: int, body: Any, headers: dict[str, str]) -> None:
    failure = classify(GraphAnswer(status, headers, body))
    assert (failure is None) is (200 <= status < 300)
    for value in failure.context.values() if failure else ():
        assert isinstance(value, int) or len(value) <= 64


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "AadPremiumLicenseRequired", None),
        (403, "NoLicense", None),
        (401, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "x"),
        (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "x"),
        (403, "TenantNotOnboarded", "x"),
        (403, "InsufficientLicense", "x"),
        (403, "Forbidden", "User is not authorized. Reason: Tenant does not meet license requirement!"),
        (403, "Forbidden", "Tenant is not a B2C tenant and doesn't have premium license"),
        (400, "BadRequest", "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license."),
        (403, "AccessDenied", "The tenant requires an Entra ID P1 license to use this feature."),
        (403, "UnknownError", "This tenant does not have a valid license for Windows 365."),
        (400, "BadRequest", "Tenant does not have a SPO license."),
        (400, "BadRequest", "The licence of the organization has expired."),
        (400, "BadRequest", "MDM authority has not been set for this tenant."),
        (403, "Forbidden", "The organization is not provisioned for this service."),
        (403, "AADB2C", "The directory is not an Azure AD B2C directory."),
        (400, "BadRequest", "Request not applicable to target domain."),
        (403, "UnknownError", NESTED.replace("An error has occurred", "The tenant isn't licensed for this feature")),
    ],
)  # fmt: skip
def test_missing_licence_is_known_by_code_or_message(status: int, code: str, message: str | None) -> None:
    failure = classify(answer(status, code, message), permission="Thing.Read.All")
    assert failure is not None
    assert failure.code is ErrorCode.GRAPH_NOT_LICENSED
    assert "permission" not in failure.context


def test_missing_licence_is_known_by_the_inner_error_code() -> None:
    body = {"error": {"code": "Forbidden", "message": "x", "innerError": {"code": "NoLicense"}}}
    failure = classify(GraphAnswer(403, {}, body))
    assert failure is not None
    assert failure.code is ErrorCode.GRAPH_NOT_LICENSED


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (400, "BadRequest", "Could not find a property named 'licenses' on type 'x'.", ErrorCode.GRAPH_BAD_REQUEST),
        (400, "BadRequest", "The property license is not supported.", ErrorCode.GRAPH_BAD_REQUEST),
        (
            403,
            "Authentication_ApplicationHasNoDirectoryReadAccess",
            "Failed to do premium license check from ADGraph, which is not allowed",
            ErrorCode.GRAPH_PERMISSION_MISSING,
        ),
        (403, "Forbidden", "Not authorized to read licenses.", ErrorCode.GRAPH_PERMISSION_MISSING),
        (
            403,
            "Forbidden",
            "The application requires one of the permissions LicenseAssignment.Read.All, License.Read.All.",
            ErrorCode.GRAPH_PERMISSION_MISSING,
        ),
        (
            403,
            "Authorization_RequestDenied",
            "The tenant has not enabled the app.",
            ErrorCode.GRAPH_PERMISSION_MISSING,
        ),
        (503, "NoLicense", "x", ErrorCode.GRAPH_UNAVAILABLE),
    ],
)
def test_mention_of_licences_is_no_missing_licence(status: int, code: str, message: str, expected: ErrorCode) -> None:
    failure = classify(answer(status, code, message))
    assert failure is not None
    assert failure.code is expected


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.floats(0, 1e6))
def test_retry_after_may_be_fractional_seconds(seconds: float) -> None:
    assert retry_after_of({"retry-after": repr(seconds)}) == timedelta(seconds=seconds)


@given(st.integers(-100_000, 100_000))
def test_retry_after_as_a_date_counts_from_the_answers_own_date(seconds: int) -> None:
    headers = {
        "retry-after": format_datetime(NOW + timedelta(seconds=seconds), usegmt=True),
        "date": format_datetime(NOW, usegmt=True),
    }
    assert retry_after_of(headers) == timedelta(seconds=max(seconds, 0))
    del headers["date"]
    assert retry_after_of(headers, NOW) == timedelta(seconds=max(seconds, 0))
    assert retry_after_of(headers) is None


@pytest.mark.parametrize("value", ["", "-1", "soon", "nan", "inf", "1e300", "Thu, 99 Foo 2026 00:00:00 GMT"])
def test_an_unreadable_retry_after_is_none(value: str) -> None:
    assert retry_after_of({"retry-after": value}, NOW) is None


def test_an_absurd_retry_after_is_kept_for_the_caller_to_cap() -> None:
    assert retry_after_of({"retry-after": "31536000"}) == timedelta(days=365)
