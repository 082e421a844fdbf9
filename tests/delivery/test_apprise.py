"""Messages that Apprise sends over HTTP, as a server receives them, and the answer of each outcome."""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest
import trustme

from delivery import apprise
from delivery.http_requests import TIMEOUT
from delivery.message import DeliveryAnswer, Message, message_of
from delivery.sender import send
from delivery.targets import AppriseTarget
from inventory.notifications import NotificationEvent, NotificationKind
from inventory.severity import Severity
from tests.deadlines import until_async
from tests.receiver import Receiver, receiving

DELIVERY, TENANT, RUN = UUID(int=1), UUID(int=2), UUID(int=3)
EVENT = NotificationEvent(
    kind=NotificationKind.RUN_FAILED, severity=Severity.HIGH, key="x", text="run failed: auth_failed"
)
HUSH = "hush-hush"


def message(text: str = EVENT.text) -> Message:
    return message_of(DELIVERY, TENANT, "Contoso", RUN, [EVENT.model_copy(update={"text": text})])


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> AppriseTarget:
    return AppriseTarget.model_validate({"name": "phone", "kind": "apprise", "url_env": "PHONE_URL"})


def set_service_url(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, schema: str = "json", path: str = f"/{HUSH}"
) -> None:
    monkeypatch.setenv("PHONE_URL", f"{schema}://localhost:{receiver.server_port}{path}")


@pytest.mark.parametrize("schema", ["json", "gotify"])
async def test_a_service_gets_subject_and_lines(
    target: AppriseTarget, monkeypatch: pytest.MonkeyPatch, schema: str
) -> None:
    with receiving() as receiver:
        set_service_url(monkeypatch, receiver, schema)
        receiver.answer = lambda _: (200, {})
        hostile = "Ärger <b>x</b> `\r\nnext: 1"
        assert await send(target, message(hostile)) == DeliveryAnswer(True, "accepted")
    (received,) = receiver.received
    assert received.json["title"] == "Contoso: Ärger <b>x</b> ` next: 1"
    assert received.json["message"] == f"Ärger <b>x</b> ` next: 1\n\nmessage {DELIVERY}"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        pytest.param(400, False, marks=pytest.mark.slow),
        pytest.param(401, False, marks=pytest.mark.slow),
        (404, False),
        pytest.param(408, True, marks=pytest.mark.slow),
        (429, True),
        pytest.param(500, True, marks=pytest.mark.slow),
    ],
)
async def test_refusals_are_final_and_outages_are_retryable(
    target: AppriseTarget, monkeypatch: pytest.MonkeyPatch, status: int, retryable: bool
) -> None:
    with receiving() as receiver:
        set_service_url(monkeypatch, receiver)
        receiver.answer = lambda _: (status, {})
        assert await send(target, message()) == DeliveryAnswer(False, f"answered {status}", retryable)
    assert len(receiver.received) == 1


async def test_unreachable_service_is_retryable(target: AppriseTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        set_service_url(monkeypatch, receiver)
    answer = await send(target, message())
    assert answer.retryable
    assert answer.text == "could not be reached, or its certificate is not trusted (ca_file)"


async def test_redirects_are_not_followed_even_if_the_url_asks(
    target: AppriseTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver, receiving() as other:
        set_service_url(monkeypatch, receiver, path=f"/{HUSH}?redirect=yes")
        receiver.answer = lambda _: (307, {"Location": other.url()})
        answer = await send(target, message())
        assert other.received == []
    assert not answer.is_delivered


async def test_tls_is_verified_against_the_ca_of_the_target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    entry = {"name": "phone", "kind": "apprise", "url_env": "PHONE_URL"}
    with receiving(context) as receiver:
        set_service_url(monkeypatch, receiver, "jsons")
        assert (await send(AppriseTarget.model_validate({**entry, "ca_file": ca_file}), message())).is_delivered
        untrusted = await send(AppriseTarget.model_validate(entry), message())
        set_service_url(monkeypatch, receiver, "jsons", "/x?verify=no")
        unverified = await send(AppriseTarget.model_validate(entry), message())
    assert (untrusted.is_delivered, untrusted.retryable) == (False, True)
    assert unverified.text == "the URL switches the check of certificates off; name the CA by ca_file"
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"json://hooks.example.com/{HUSH}", "leads to its host without TLS"),
        (f"pigeon://{HUSH}", "is none that Apprise knows"),
        (f"{HUSH}", "is none that Apprise knows"),
        ("", "PHONE_URL is not set"),
    ],
)
async def test_unusable_url_is_reported_without_it(
    target: AppriseTarget, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setenv("PHONE_URL", url)
    answer = await send(target, message())
    assert reason in answer.text
    assert HUSH not in repr(answer)
    assert answer.retryable


@pytest.fixture
def hanging_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Awaitable[int]]:
    """Makes the process of a sending hang; waits until it runs, and returns its id."""
    program, pid = tmp_path / "hangs.py", tmp_path / "pid"
    program.write_text(f"import os, time\nopen({str(pid)!r}, 'w').write(f'{{os.getpid()}}\\n')\ntime.sleep(3600)\n")
    monkeypatch.setattr(apprise, "PROGRAM", program)
    monkeypatch.setenv("PHONE_URL", "json://localhost")

    async def wait() -> int:
        await until_async(lambda: asyncio.to_thread(lambda: pid.is_file() and pid.read_text().endswith("\n")))
        return int(pid.read_text())

    return wait


async def test_hanging_process_is_killed_on_cancellation(
    target: AppriseTarget, hanging_process: Callable[[], Awaitable[int]]
) -> None:
    sending = asyncio.create_task(send(target, message()))
    pid = await hanging_process()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_hanging_process_is_killed_after_the_timeout(
    target: AppriseTarget, hanging_process: Callable[[], Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = asyncio.create_task(send(target, message()))
    pid = await hanging_process()
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + TIMEOUT.total_seconds())
    text = f"no answer within {TIMEOUT.total_seconds():.0f} seconds"
    assert await sending == DeliveryAnswer(False, text, retryable=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_process_inherits_nothing_of_the_worker(
    target: AppriseTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No variable and no argument: neither secrets of other targets nor a proxy."""
    program = tmp_path / "tells.py"
    record = tmp_path / "told"
    program.write_text(
        "import os, sys\n"
        f"open({str(record)!r}, 'w').write(repr((sys.argv[1:], sorted(os.environ))))\n"
        'print(\'{"outcome": "sent", "status": 0}\')\n'
    )
    monkeypatch.setattr(apprise, "PROGRAM", program)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("PHONE_URL", f"json://localhost/{HUSH}")
    assert (await send(target, message())).is_delivered
    arguments, names = eval(record.read_text())  # noqa: S307 (the test's own)
    assert arguments == []
    assert set(names) <= {"HOME", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "LC_CTYPE"}


async def test_missing_apprise_is_reported_and_retryable(
    target: AppriseTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "without.py"
    program.write_text(
        "import runpy, sys\nsys.modules['apprise'] = None\n"
        f"runpy.run_path({str(apprise.PROGRAM)!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr(apprise, "PROGRAM", program)
    monkeypatch.setenv("PHONE_URL", "json://localhost")
    answer = await send(target, message())
    assert answer.text.startswith("Apprise is not installed here: requirements/notifications.txt")
    assert answer.retryable
