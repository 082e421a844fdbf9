"""The codec server of Temporal Web: its permissions and its allowed origin."""

import os
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import SecretBytes, SecretStr
from temporalio.api.common.v1 import Payload, Payloads

from configuration import Settings
from inventory.people import Role
from payload_codec import ENCODING, KEY_ID, EncryptionCodec, key_id
from storage.database import Database
from tests.web.support import CONTOSO, browser, person_of, signed_in_as
from web.application import create_app
from web.codec import LONGEST_REQUEST
from web.sign_in import new_link
from web.site import Site

TEMPORAL_WEB = "https://temporal.example:8233"
FROM_TEMPORAL_WEB = {"Origin": TEMPORAL_WEB, "Sec-Fetch-Site": "same-site", "X-Namespace": "default"}
DECODE, ENCODE = "/api/codec/decode?preserveStorageRefs=true", "/api/codec/encode"
NEW, OLD = os.urandom(32), os.urandom(32)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"input"')


@pytest.fixture
def settings(database_url: str, tenants_file: Path) -> Settings:
    return Settings(
        database_url=SecretStr(database_url),
        tenants_file=tenants_file,
        temporal_web_url=f"{TEMPORAL_WEB}/ui",
        payload_keys=(SecretBytes(NEW), SecretBytes(OLD)),
        _env_file=None,
    )


@pytest.fixture
def app(database: Database, settings: Settings) -> FastAPI:
    return create_app(Site(settings, database))


@pytest.fixture
def operator(clients: dict[Role, httpx.AsyncClient]) -> httpx.AsyncClient:
    client = clients[Role.OPERATOR]
    client.headers.update(FROM_TEMPORAL_WEB)
    return client


async def call_codec(client: httpx.AsyncClient, address: str, *payloads: Payload) -> list[Payload]:
    answer = await client.post(address, json=MessageToDict(Payloads(payloads=payloads)))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == TEMPORAL_WEB
    assert answer.headers["access-control-allow-credentials"] == "true"
    return list(ParseDict(answer.json(), Payloads()).payloads)


async def test_payloads_of_every_key_are_decoded_in_order(operator: httpx.AsyncClient) -> None:
    other = Payload(metadata={"encoding": b"json/plain"}, data=b'"other"')
    sealed = [*await EncryptionCodec([OLD]).encode([PLAIN]), PLAIN, *await EncryptionCodec([NEW]).encode([other])]
    assert await call_codec(operator, DECODE, *sealed) == [PLAIN, PLAIN, other]
    assert await call_codec(operator, DECODE) == []


async def test_payload_of_unknown_key_stays_encrypted(operator: httpx.AsyncClient) -> None:
    (unknown,) = await EncryptionCodec([os.urandom(32)]).encode([PLAIN])
    (known,) = await EncryptionCodec([NEW]).encode([PLAIN])
    assert await call_codec(operator, DECODE, unknown, known) == [unknown, PLAIN]


async def test_encoding_uses_the_newest_key(operator: httpx.AsyncClient) -> None:
    (sealed,) = await call_codec(operator, ENCODE, PLAIN)
    assert (sealed.metadata["encoding"], sealed.metadata[KEY_ID]) == (ENCODING, key_id(NEW))
    assert await EncryptionCodec([NEW]).decode([sealed]) == [PLAIN]


@pytest.mark.parametrize("address", [DECODE, ENCODE])
async def test_codec_requires_at_least_role_operator(
    app: FastAPI, database: Database, clients: dict[Role, httpx.AsyncClient], address: str
) -> None:
    async def status(client: httpx.AsyncClient) -> int:
        return (await client.post(address, json={"payloads": []}, headers=FROM_TEMPORAL_WEB)).status_code

    assert {role: await status(client) for role, client in clients.items()} == {
        Role.READER: 403,
        Role.OPERATOR: 200,
        Role.APPROVER: 200,
        Role.ADMIN: 200,
    }
    async with browser(app) as anonymous:
        answer = await anonymous.post(address, json={"payloads": []}, headers=FROM_TEMPORAL_WEB)
        assert answer.status_code == 401
        assert "not signed in" in answer.json()["detail"]
        assert answer.headers["access-control-allow-origin"] == TEMPORAL_WEB, (
            "otherwise Temporal Web cannot show the error"
        )


async def test_codec_requires_access_to_all_tenants(app: FastAPI, database: Database) -> None:
    async with signed_in_as(app, database, person_of(Role.ADMIN), [CONTOSO]) as client:
        answer = await client.post(DECODE, json={"payloads": []}, headers=FROM_TEMPORAL_WEB)
        assert answer.status_code == 403
        assert "you do not see all tenants" in answer.json()["detail"]


@pytest.mark.parametrize("address", [DECODE, ENCODE])
async def test_preflight_allows_temporal_web_headers_and_credentials(app: FastAPI, address: str) -> None:
    asks = {
        "Origin": TEMPORAL_WEB,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,authorization-extras,content-type,x-namespace",
    }
    async with browser(app) as anonymous:
        answer = await anonymous.options(address, headers=asks)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == TEMPORAL_WEB
        assert answer.headers["access-control-allow-credentials"] == "true"
        allowed = answer.headers["access-control-allow-headers"].lower()
        assert all(name in allowed for name in ("authorization-extras", "content-type", "x-namespace"))
        refused = await anonymous.options(address, headers={**asks, "Origin": "https://evil.example"})
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers


async def test_other_origins_are_refused(operator: httpx.AsyncClient) -> None:
    for origin in ("https://evil.example", "http://temporal.example:8233", "null"):
        answer = await operator.post(DECODE, json={"payloads": []}, headers={"Origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


async def test_only_the_codec_accepts_temporal_webs_origin(operator: httpx.AsyncClient) -> None:
    answer = await operator.post("/sign-out")
    assert answer.status_code == 403
    answer = await operator.get("/api/tenants")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b'{"payloads": 1}', b'{"payloads": [{"data": 1}]}', b"\xff", b"{" * 9999]
)
async def test_invalid_payload_list_is_refused(operator: httpx.AsyncClient, body: bytes) -> None:
    answer = await operator.post(DECODE, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "not payloads in JSON" in answer.json()["detail"]


async def test_too_long_request_is_refused(operator: httpx.AsyncClient) -> None:
    answer = await operator.post(DECODE, content=b" " * (LONGEST_REQUEST + 1))
    assert answer.status_code == 400
    assert "longer than" in answer.json()["detail"]


@pytest.mark.parametrize("address", [DECODE, ENCODE])
async def test_methods_other_than_post_are_refused(operator: httpx.AsyncClient, address: str) -> None:
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        answer = await operator.request(method, address)
        assert (answer.status_code, answer.headers.get("allow")) == (405, "POST"), method


async def test_codec_refuses_all_origins_without_temporal_web_url(
    database: Database, settings: Settings, clients: dict[Role, httpx.AsyncClient]
) -> None:
    app = create_app(Site(settings.model_copy(update={"temporal_web_url": None}), database))
    async with signed_in_as(app, database, person_of(Role.ADMIN)) as client:
        assert (await client.post(DECODE, json={"payloads": []}, headers=FROM_TEMPORAL_WEB)).status_code == 403


async def test_codec_only_process_serves_no_pages(database: Database, settings: Settings) -> None:
    app = create_app(Site(settings, database), only_codec=True)
    async with browser(app) as client:
        assert (await client.get("/")).status_code == 401
        await client.get(await new_link(database, "", "ada"))
        assert "You are signed in" in (await client.get("/")).text
        (sealed,) = await EncryptionCodec([NEW]).encode([PLAIN])
        client.headers.update(FROM_TEMPORAL_WEB)
        assert await call_codec(client, DECODE, sealed) == [PLAIN]
        assert (await client.get("/runs")).status_code == 404
        assert (await client.get("/api/tenants")).status_code == 404


async def test_answer_has_protobuf_json_format(operator: httpx.AsyncClient) -> None:
    """Names in camel case, bytes in Base64: https://protobuf.dev/programming-guides/json/."""
    (sealed,) = await EncryptionCodec([NEW]).encode([PLAIN])
    answer = await operator.post(DECODE, json=MessageToDict(Payloads(payloads=[sealed])))
    assert answer.json() == {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "ImlucHV0Ig=="}]}
