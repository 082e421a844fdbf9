"""Sends a message by Apprise in a process of its own: Apprise blocks and obeys environment variables (decision 61)."""

import asyncio
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import certifi
import orjson

from delivery.credentials import read_secret
from delivery.http_requests import TIMEOUT
from delivery.message import DeliveryAnswer, Message
from delivery.targets import AppriseTarget

PROGRAM = Path(__file__).with_name("apprise_process.py")

RETRYABLE_REFUSALS = (408, 425, 429)


async def send(target: AppriseTarget, message: Message) -> DeliveryAnswer:
    """Raises `TargetSecretError`."""
    request = {
        "url": read_secret(target.url_env, target.url_file),
        "title": message.subject,
        # Apprise has no field for an idempotency key. People recognise a repeated message by its id.
        "body": "\n".join([*message.lines, "", f"message {message.delivery_id}"]),
    }
    with TemporaryDirectory(prefix="tenant-inventory-") as folder:
        try:
            bundle = await asyncio.to_thread(_bundle, Path(folder), target.ca_file)
        except OSError as error:
            return DeliveryAnswer(False, f"ca_file: {error.strerror or type(error).__name__}")
        try:
            async with asyncio.timeout(TIMEOUT.total_seconds()):
                output = await _run(orjson.dumps(request), bundle)
        except TimeoutError:
            return DeliveryAnswer(False, f"no answer within {TIMEOUT.total_seconds():.0f} seconds", retryable=True)
    return _answer(output)


async def _run(request: bytes, bundle: Path) -> bytes:
    """Leaves no process behind, even after an error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=bundle.parent,
        env={"HOME": str(bundle.parent), "REQUESTS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": str(bundle)},
    )
    try:
        output, _ = await process.communicate(request)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return output


def _bundle(folder: Path, ca_file: Path | None) -> Path:
    """Writes all trusted CAs into one file. Raises `OSError`."""
    bundle = folder / "ca.pem"
    paths = ssl.get_default_verify_paths()
    sources = [Path(certifi.where())]
    sources += [Path(paths.cafile)] if paths.cafile else []
    # OpenSSL finds certificates in a folder by such names.
    sources += sorted(Path(paths.capath).glob("*.[0-9]")) if paths.capath else []
    sources += [ca_file] if ca_file else []
    bundle.write_bytes(b"\n".join(source.read_bytes() for source in sources))
    return bundle


def _answer(output: bytes) -> DeliveryAnswer:
    """Never quotes a service or the library."""
    try:
        found = orjson.loads(output)
        outcome, status = str(found["outcome"]), int(found["status"])
    except (ValueError, KeyError, TypeError):
        return DeliveryAnswer(False, "Apprise ended without an answer", retryable=True)
    if outcome == "sent":
        return DeliveryAnswer(True, "accepted")
    if outcome == "refused" and status:
        return DeliveryAnswer(False, f"answered {status}", retryable=status in RETRYABLE_REFUSALS or status >= 500)
    return DeliveryAnswer(False, _PROBLEMS.get(outcome, "the service did not take it"), retryable=True)


_PROBLEMS = {
    "absent": "Apprise is not installed here: requirements/notifications.txt (docs/notifications.md)",
    "unknown": "the URL is none that Apprise knows",
    "insecure": "the URL leads to its host without TLS; use the schema that ends in s, such as gotifys, jsons, ntfys",
    "unverified": "the URL switches the check of certificates off; name the CA by ca_file",
    "unreached": "could not be reached, or its certificate is not trusted (ca_file)",
}
