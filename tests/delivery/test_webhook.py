"""Webhooks as a server receives them: signed, over TLS, once for each attempt."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from uuid import UUID

import pytest
import trustme

from delivery.message import DeliveryAnswer, Message, message_of
from delivery.sender import send
from delivery.targets import WebhookTarget
from inventory.notifications import NotificationEvent, NotificationKind
from inventory.severity import Severity
from tests.receiver import SECRET, Receiver, receiving

DELIVERY, TENANT, RUN = UUID(int=1), UUID(int=2), UUID(int=3)
EVENT = NotificationEvent(
    kind=NotificationKind.RUN_FAILED, severity=Severity.HIGH, key="x", text="run failed: auth_failed"
)


def message(*events: NotificationEvent, name: str = "Contoso") -> Message:
    return message_of(DELIVERY, TENANT, name, RUN, events or (EVENT,))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def target(url: str, ca_file: Path | None = None) -> WebhookTarget:
    return WebhookTarget.model_validate(
        {"name": "ops", "kind": "webhook", "url": url, "secret_env": "HOOK_SECRET", "ca_file": ca_file}
    )


async def answer_to_status(receiver: Receiver, status: int, **headers: str) -> DeliveryAnswer:
    receiver.answer = lambda _: (status, headers)
    return await send(target(receiver.url()), message())


async def test_the_receiver_verifies_the_signature_and_finds_the_idempotency_key(receiver: Receiver) -> None:
    answer = await send(target(receiver.url()), message())
    assert answer == DeliveryAnswer(True, "answered 204")
    (received,) = receiver.received
    assert received.is_signed()
    assert not received.is_signed("another secret")
    assert not received._replace(body=received.body + b" ").is_signed()
    assert received.headers["idempotency-key"] == received.delivery_id == str(DELIVERY)
    assert received.json == {
        "delivery_id": str(DELIVERY),
        "tenant_id": str(TENANT),
        "tenant": "Contoso",
        "run_id": str(RUN),
        "severity": "high",
        "subject": "Contoso: run failed: auth_failed",
        "lines": ["run failed: auth_failed"],
        "events": [EVENT.model_dump(mode="json")],
    }


async def test_refusals_are_final_and_outages_are_retryable(receiver: Receiver) -> None:
    for status in (400, 401, 404, 410):
        assert await answer_to_status(receiver, status) == DeliveryAnswer(
            False, f"answered {status}", retryable=False, body="as the receiver says"
        )
    for status in (408, 429, 500, 503):
        assert (await answer_to_status(receiver, status)).retryable
    paused = await answer_to_status(receiver, 429, **{"Retry-After": "120"})
    assert paused.retry_after is not None
    assert paused.retry_after.total_seconds() == 120


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with receiving() as other:
        answer = await answer_to_status(receiver, 307, Location=other.url())
        assert other.received == []
    assert not answer.is_delivered


async def test_tls_is_verified_against_the_ca_of_the_target(tmp_path: Path) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with receiving(context) as receiver:
        assert (await send(target(receiver.url(), ca_file), message())).is_delivered
        untrusted = await send(target(receiver.url()), message())
    assert untrusted.text == "could not be reached: its certificate is not trusted (ca_file)"
    assert len(receiver.received) == 1


async def test_an_unreachable_receiver_is_explained() -> None:
    with receiving() as closed:
        url = closed.url()
    assert (await send(target(url), message())).text == "could not be reached: nothing listens at its host and port"
    unknown = await send(target("https://no-such-host.invalid/hook"), message())
    assert unknown.text == "could not be reached: its host name does not resolve"
    with receiving() as plain:
        no_tls = await send(target(plain.url().replace("http://", "https://")), message())
    assert no_tls.text == "could not be reached: it does not speak TLS, or not on this port"
    for read_bytes in (1, 65_536):  # the rest unread: reset
        with socket.create_server(("127.0.0.1", 0)) as server:
            closing = Thread(target=_close_a_connection, args=(server, read_bytes))
            closing.start()
            cut = await send(target(f"http://127.0.0.1:{server.getsockname()[1]}/hook"), message())
            closing.join()
        assert cut.text == "could not be reached: it closed the connection without an answer"


def _close_a_connection(server: socket.socket, read_bytes: int) -> None:
    connection, _ = server.accept()
    connection.recv(read_bytes)
    connection.close()


async def test_unreachable_receiver_is_reported_without_the_url() -> None:
    with receiving() as closed:
        url = closed.url("/secret-path")
    answer = await send(target(url), message())
    assert answer.retryable
    assert "secret-path" not in answer.text


async def test_missing_secret_is_named_and_retryable(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    answer = await send(target(receiver.url()), message())
    assert answer.text == "the environment variable HOOK_SECRET is not set for this process"
    assert answer.retryable
    assert receiver.received == []


async def test_hostile_names_stay_text(receiver: Receiver) -> None:
    name = "Con\r\ntoso\x1b[31m\u202e"
    event = EVENT.model_copy(update={"text": "x\r\nwebhook-id: 7\n\u202e" + "y" * 1000})
    await send(target(receiver.url()), message(event, name=name))
    (received,) = receiver.received
    assert received.is_signed()
    assert received.delivery_id == str(DELIVERY)
    assert received.body.decode().isprintable()
    assert received.json["events"] == [event.model_dump(mode="json")]
    subject = received.json["subject"]
    assert subject.isprintable()
    assert subject.startswith("Con toso")
    assert len(subject) <= 200


async def test_most_severe_events_come_first_and_the_rest_are_counted(receiver: Receiver) -> None:
    low = [EVENT.model_copy(update={"text": f"low {number}", "severity": Severity.LOW}) for number in range(30)]
    await send(target(receiver.url()), message(*low, EVENT))
    body = receiver.received[0].json
    assert body["subject"] == "Contoso: run failed: auth_failed, and 30 more"
    assert body["lines"][0] == EVENT.text
    assert body["lines"][-1] == "… and 11 more"
    assert len(body["events"]) == 31
