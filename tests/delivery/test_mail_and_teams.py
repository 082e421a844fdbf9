"""E-mail as a mail server receives it, and cards as a Teams workflow receives them."""

import ssl
from pathlib import Path
from uuid import UUID

import pytest
import trustme

from delivery.message import DeliveryAnswer, Message, message_of
from delivery.sender import send
from delivery.targets import EmailTarget, TeamsTarget
from inventory.notifications import NotificationEvent, NotificationKind
from inventory.severity import Severity
from tests.mail_server import MailServer, mail_server
from tests.receiver import receiving

DELIVERY, TENANT, RUN = UUID(int=1), UUID(int=2), UUID(int=3)
HOSTILE = "Ärger\r\nBcc: eve@example.com\r\n\r\n<b>[pay](https://evil.example)</b> **x** \u202e"


def message(text: str = "run failed: auth_failed", name: str = "Contoso") -> Message:
    event = NotificationEvent(kind=NotificationKind.RUN_FAILED, severity=Severity.HIGH, key="x", text=text)
    return message_of(DELIVERY, TENANT, name, RUN, [event])


def mailbox(server: MailServer, **options: object) -> EmailTarget:
    return EmailTarget.model_validate(
        {
            "name": "people",
            "kind": "email",
            "host": "localhost",
            "port": server.port,
            "security": "none",
            "sender": "inventory@msp.example",
            "recipients": ["ada@msp.example", "grace@msp.example"],
            **options,
        }
    )


async def test_mail_names_tenant_and_event_and_keeps_its_id() -> None:
    with mail_server() as server:
        for _ in range(2):
            assert await send(mailbox(server), message()) == DeliveryAnswer(True, "accepted")
    first, second = server.received
    assert first.recipients == ["ada@msp.example", "grace@msp.example"]
    assert first.message["Subject"] == "Contoso: run failed: auth_failed"
    assert first.message["Message-ID"] == second.message["Message-ID"] == f"<{DELIVERY}@msp.example>"
    assert first.message.get_content().splitlines()[0] == "Contoso: run failed: auth_failed"
    assert f"run {RUN}" in first.message.get_content()


async def test_hostile_names_add_no_header_and_no_recipient() -> None:
    with mail_server() as server:
        await send(mailbox(server), message(HOSTILE, HOSTILE))
    (mail,) = server.received
    assert mail.message["Bcc"] is None
    assert mail.recipients == ["ada@msp.example", "grace@msp.example"]
    assert mail.message["Subject"].startswith("Ärger Bcc: eve@example.com")
    assert mail.message.get_content_type() == "text/plain"


async def test_starttls_comes_before_the_mail_and_is_verified(tmp_path: Path) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with mail_server(context) as server:
        assert (await send(mailbox(server, security="starttls", ca_file=ca_file), message())).is_delivered
        untrusted = await send(mailbox(server, security="starttls"), message())
    assert untrusted.text == "could not be reached: its certificate is not trusted (ca_file)"
    assert [mail.was_encrypted for mail in server.received] == [True]
    with mail_server() as plain:
        assert not (await send(mailbox(plain, security="starttls"), message())).is_delivered
    assert plain.received == []


async def test_missing_ca_file_or_tls_has_its_own_message(tmp_path: Path) -> None:
    """Only missing TLS is retryable: a server may get TLS, but a missing file does not appear by itself."""
    with mail_server() as server:
        missing = await send(mailbox(server, security="starttls", ca_file=tmp_path / "none.pem"), message())
        plain = await send(mailbox(server, security="tls"), message())
    assert missing == DeliveryAnswer(False, "ca_file: No such file or directory")
    no_tls = "could not be reached: it does not speak TLS, or not on this port"
    assert plain == DeliveryAnswer(False, no_tls, retryable=True)


@pytest.mark.parametrize(
    ("command", "answer", "reason", "retryable"),
    [
        ("MAIL", "451 later", "answered 451", True),
        ("MAIL", "550 no", "answered 550", False),
        ("RCPT", "550 unknown", "answered 550: no recipient is accepted", False),
        ("RCPT", "450 greylisted", "answered 450: no recipient is accepted", True),
        ("DATA", "554 spam", "answered 554", False),
    ],
)
async def test_smtp_errors_are_reported_with_their_status(
    command: str, answer: str, reason: str, retryable: bool
) -> None:
    with mail_server() as server:
        server.answers[command] = answer
        found = await send(mailbox(server), message())
    assert (found.is_delivered, found.text, found.retryable) == (False, reason, retryable)


async def test_unreachable_mail_server_is_retryable() -> None:
    with mail_server() as server:
        target = mailbox(server)
    assert (await send(target, message())).retryable


async def test_a_card_has_the_message_as_text_without_markup(tmp_path: Path) -> None:
    with receiving() as receiver:
        url = tmp_path / "url"
        url.write_text(receiver.url("/workflows/x?sig=secret"))
        target = TeamsTarget.model_validate({"name": "team", "kind": "teams", "url_file": url})
        receiver.answer = lambda _: (202, {})
        assert await send(target, message(HOSTILE)) == DeliveryAnswer(True, "answered 202", body="as the receiver says")
    (received,) = receiver.received
    (attachment,) = received.json["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    blocks = [block["type"] for block in card["body"]]
    assert set(blocks) == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert card["body"][0]["inlines"][0]["text"].startswith("Contoso: Ärger Bcc")
    assert len(received.body) < 28_000
    assert received.headers["idempotency-key"] == str(DELIVERY)


async def test_the_largest_card_fits_into_teams(tmp_path: Path) -> None:
    event = NotificationEvent(kind=NotificationKind.CHANGE, severity=Severity.LOW, key="x", text="日" * 1000)
    events = [event.model_copy(update={"key": str(number)}) for number in range(100)]
    with receiving() as receiver:
        url = tmp_path / "url"
        url.write_text(receiver.url())
        target = TeamsTarget.model_validate({"name": "team", "kind": "teams", "url_file": url})
        await send(target, message_of(DELIVERY, TENANT, "日" * 200, RUN, events))
    assert len(receiver.received[0].body) < 28_000
