"""Temporal Web's codec server (https://docs.temporal.io/production-deployment/data-encryption).

It serves operators who see every tenant, since a payload does not name its tenant.
"""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads

from inventory.people import Person, Role
from inventory.user_errors import UserError
from payload_codec import EncryptionCodec, PayloadKeyError
from web.roles import RoleNeededError, needs
from web.scope import Visible
from web.sign_in import signed_in
from web.site import Site, site_of

PREFIX = "/api/codec"
"""The path to set in Temporal Web."""

LONGEST_REQUEST = 32 * 2**20
"""In bytes: more than Temporal Web sends for a page of a history."""

TEMPORAL_WEBS_HEADERS = ("authorization", "authorization-extras", "content-type", "x-namespace")

router = APIRouter(prefix=PREFIX, include_in_schema=False)

home = APIRouter(include_in_schema=False)
"""The first page of a process that serves only the codec."""


class CodecRequestError(UserError):
    """The request is too long or no list of payloads."""


async def _payloads(request: Request) -> Payloads:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_REQUEST:
            raise CodecRequestError(f"the payloads are longer than {LONGEST_REQUEST} bytes")
    try:
        return Parse(bytes(body), Payloads())
    except (ParseError, UnicodeDecodeError):
        raise CodecRequestError("the request is not payloads in JSON; ask as Temporal Web does") from None


async def _reader_of_all(
    person: Annotated[Person, Depends(needs(Role.OPERATOR))], visible: Visible, site: Annotated[Site, Depends(site_of)]
) -> Person:
    if len(visible) < len(site.tenants()):
        raise RoleNeededError("payloads are of any tenant, and you do not see all tenants; ask an administrator")
    return person


async def _codec(site: Annotated[Site, Depends(site_of)]) -> EncryptionCodec:
    return EncryptionCodec([key.get_secret_value() for key in site.settings.payload_keys])


ReaderOfAll = Annotated[Person, Depends(_reader_of_all)]
Codec = Annotated[EncryptionCodec, Depends(_codec)]


@router.post("/decode")
async def decode(request: Request, _reader: ReaderOfAll, codec: Codec) -> Response:
    """A payload that no key opens stays encrypted, and names its key."""
    return _answer([await _in_clear(codec, payload) for payload in (await _payloads(request)).payloads])


@router.post("/encode")
async def encode(request: Request, _reader: ReaderOfAll, codec: Codec) -> Response:
    """For signals that a person sends in Temporal Web."""
    return _answer(await codec.encode((await _payloads(request)).payloads))


@home.get("/")
async def signed_in_page(_person: Annotated[Person, Depends(signed_in)]) -> Response:
    return PlainTextResponse("You are signed in. Temporal Web can now show payloads in clear.\n")


async def _in_clear(codec: EncryptionCodec, payload: Payload) -> Payload:
    try:
        return (await codec.decode([payload]))[0]
    except PayloadKeyError:
        return payload


def _answer(payloads: list[Payload]) -> Response:
    return Response(MessageToJson(Payloads(payloads=payloads), indent=None), media_type="application/json")


def origin_of(address: str | None) -> str | None:
    if address is None:
        return None
    parts = urlsplit(address.lower())
    return f"{parts.scheme}://{parts.netloc}"


class CodecCors:
    """Middleware that lets Temporal Web's pages call the codec with the reader's session."""

    def __init__(self, app: ASGIApp, origin: str | None) -> None:
        self._app = app
        self._codec = CORSMiddleware(
            app,
            allow_origins=[] if origin is None else [origin],
            allow_methods=["POST"],
            allow_headers=TEMPORAL_WEBS_HEADERS,
            allow_credentials=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_codec = scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/")
        await (self._codec if is_codec else self._app)(scope, receive, send)
