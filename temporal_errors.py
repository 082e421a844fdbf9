"""Explains failed calls to Temporal in one line for people.

Statuses: https://grpc.io/docs/guides/status-codes/. Matches texts of temporalio 1.35 and Temporal server 1.32.
"""

import logging
import re
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import TypeVar

from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from inventory.bounds import SHOWN_CHARACTERS
from workflows.search_attributes import ALL, type_name

AnswerT = TypeVar("AnswerT")

_NO_ANSWER = (
    "does not answer in time; check that it is up and not overloaded, and TEMPORAL_TLS: a server that expects TLS may"
    " leave a client without it unanswered"
)
_FAILED = "failed ({status}: {message}); its log says why"

_MEANINGS: Mapping[RPCStatusCode, str] = MappingProxyType(
    {
        RPCStatusCode.OK: "gave no answer; try again",
        RPCStatusCode.CANCELLED: _NO_ANSWER,
        RPCStatusCode.UNKNOWN: _FAILED,
        RPCStatusCode.INVALID_ARGUMENT: "does not accept the request: {message}",
        RPCStatusCode.DEADLINE_EXCEEDED: _NO_ANSWER,
        RPCStatusCode.NOT_FOUND: "does not find what the request names: {message}",
        RPCStatusCode.ALREADY_EXISTS: "has this already: {message}",
        RPCStatusCode.PERMISSION_DENIED: (
            "denies access to namespace {namespace!r} ({message}); check TEMPORAL_NAMESPACE, and the rights of"
            " TEMPORAL_API_KEY or of the client certificate"
        ),
        RPCStatusCode.RESOURCE_EXHAUSTED: (
            "is at its limit ({message}); try again later, or raise the limits of namespace {namespace!r}"
        ),
        RPCStatusCode.FAILED_PRECONDITION: "cannot do this now: {message}",
        RPCStatusCode.ABORTED: "aborted the request ({message}); try again",
        RPCStatusCode.OUT_OF_RANGE: "does not accept the request: {message}",
        RPCStatusCode.UNIMPLEMENTED: (
            "does not know the request ({message}); check that TEMPORAL_ADDRESS is the frontend of a Temporal server,"
            " 1.29 or newer"
        ),
        RPCStatusCode.INTERNAL: _FAILED,
        RPCStatusCode.UNAVAILABLE: "is unavailable ({message}); start it, or check TEMPORAL_ADDRESS",
        RPCStatusCode.DATA_LOSS: _FAILED,
        RPCStatusCode.UNAUTHENTICATED: (
            "does not accept the credentials; check TEMPORAL_API_KEY, or TEMPORAL_TLS_CLIENT_CERT_PATH and"
            " TEMPORAL_TLS_CLIENT_KEY_PATH"
        ),
    }
)

_SHARD_UNKNOWN = "shard status unknown"
"""The message of a server that does not know whether its last write was stored, as on a full disk."""

_STATUS_IN_TEXT = re.compile(r'Status \{ code: (?P<code>\w+), message: "(?P<message>(?:[^"\\]|\\.)*)"')
_TLS = re.compile(
    # A server that expects TLS closes a connection without it: "transport error", and no more.
    r'InvalidMessage|InvalidContentType|InvalidCertificate|AlertReceived|HandshakeFailure|message: "transport error"'
    r"|PrivateKeyParseError|CertificateParseError|both client cert and private key"
)


async def if_there(call: Awaitable[AnswerT]) -> AnswerT | None:
    """The answer of a call; None if Temporal finds no such workflow or schedule."""
    try:
        return await call
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def refusal(error: RPCError, address: str, namespace: str) -> str:
    return _in_words(error.status, error.message, address, namespace)


def connection_failure(error: Exception, address: str, namespace: str) -> str:
    """The SDK's exception has its reason only in its text."""
    text = str(error)
    if _TLS.search(text):
        return (
            f"Temporal at {address} and this program do not agree about TLS; check TEMPORAL_TLS, the certificates of"
            " TEMPORAL_TLS_*, and the port of TEMPORAL_ADDRESS"
        )
    if (refused := refusal_in(text, address, namespace)) is not None:
        return refused
    if "dns error" in text:
        return f"Temporal's host is not known: {address}; check TEMPORAL_ADDRESS"
    return f"Temporal does not answer at {address}; start it, or set TEMPORAL_ADDRESS (make demo starts one here)"


def refusal_in(text: str, address: str, namespace: str) -> str | None:
    status = _STATUS_IN_TEXT.search(text)
    code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status["code"]).upper() if status else ""
    if status is None or code not in RPCStatusCode.__members__:
        return None
    return _in_words(RPCStatusCode[code], status["message"], address, namespace)


def no_answer(address: str, seconds: float) -> str:
    return (
        f"Temporal does not answer at {address} within {seconds:g} seconds; check that it is up, that TEMPORAL_ADDRESS"
        " is its frontend, and TEMPORAL_TLS"
    )


def search_attributes_by_hand(namespace: str) -> str:
    ours = [(key.name, type_name(key)) for key in ALL]
    server = " ".join(f"--name {name} --type {kind}" for name, kind in ours)
    cloud = " ".join(f"--search-attribute {name}={kind}" for name, kind in ours)
    return (
        f"an administrator adds them: temporal operator search-attribute create --namespace {namespace} {server}"
        f" (on Temporal Cloud: tcld namespace search-attributes add --namespace {namespace} {cloud})"
    )


def _in_words(status: RPCStatusCode, message: str, address: str, namespace: str) -> str:
    detail = _one_line(message) or "it says no more"
    if status is RPCStatusCode.NOT_FOUND and "namespace" in message.lower():
        return (
            f"Temporal at {address} has no namespace {namespace!r}; check TEMPORAL_NAMESPACE, or create it:"
            f" temporal operator namespace create --namespace {namespace}"
        )
    if status is RPCStatusCode.INVALID_ARGUMENT and "search attribute" in message:
        return (
            f"Temporal at {address} does not take this product's search attributes in namespace {namespace!r}"
            f" ({detail}); {search_attributes_by_hand(namespace)}"
        )
    if status is RPCStatusCode.UNAVAILABLE and message == _SHARD_UNKNOWN:
        return (
            f"Temporal at {address} cannot write to its own database ({detail}); its log says why; if that database's"
            " disk is full, free space there"
        )
    meaning = _MEANINGS[status].format(status=status.name, message=detail, namespace=namespace)
    return f"Temporal at {address} {meaning}"


def _one_line(message: str) -> str:
    words = "".join(character if character.isprintable() else " " for character in message).split()
    line = " ".join(words)
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"


class KnownFailures(logging.Filter):
    """Logs failures with a stable code, and refused polls, without a stack trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        known = error if isinstance(error, ApplicationError) else _poll_failure(error)
        if known is not None:
            record.msg, record.args, record.exc_info = f"{record.getMessage()}: {known}", None, None
        return True


def _poll_failure(error: BaseException | None) -> BaseException | None:
    cause = error.__cause__ if isinstance(error, RuntimeError) else None
    return cause if cause is not None and str(cause).startswith("Poll failure") else None
