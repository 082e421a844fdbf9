"""One POST to a target, with a time limit and without redirects."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import certifi
import httpx

from delivery.message import DeliveryAnswer, unreachable
from inventory.notifications import one_line

TIMEOUT = timedelta(seconds=20)
"""The limit of one attempt. Its claim lasts longer."""

ANSWER_BYTES = 2000
"""The most bytes to read of an answer, for `notify test`."""

LONGEST_RETRY_AFTER = timedelta(hours=1)


async def post(url: str, body: bytes, headers: Mapping[str, str], ca_file: Path | None) -> DeliveryAnswer:
    """The answer's text holds neither the URL nor a header, which may be secret."""
    try:
        context = await asyncio.to_thread(trusted, ca_file)
        async with (
            asyncio.timeout(TIMEOUT.total_seconds()),
            # `trust_env=False`: no environment variable sends a message through a proxy.
            httpx.AsyncClient(verify=context, trust_env=False, timeout=TIMEOUT.total_seconds()) as client,
            client.stream("POST", url, content=body, headers={"user-agent": "tenant-inventory", **headers}) as response,
        ):
            return _answer(response, await _beginning(response))
    except TimeoutError:
        return DeliveryAnswer(False, f"no answer within {TIMEOUT.total_seconds():.0f} seconds", retryable=True)
    except httpx.HTTPError as error:
        return DeliveryAnswer(False, unreachable(error), retryable=True)
    except OSError as error:
        return DeliveryAnswer(False, f"ca_file: {error.strerror or type(error).__name__}")


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Trusts the system's CAs, certifi's, and those of `ca_file`. Raises `OSError`."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


async def _beginning(response: httpx.Response) -> str:
    read = b""
    async for chunk in response.aiter_bytes(ANSWER_BYTES):
        read += chunk
        if len(read) >= ANSWER_BYTES:
            break
    return one_line(read[:ANSWER_BYTES].decode("utf-8", "replace"))


def _answer(response: httpx.Response, text: str) -> DeliveryAnswer:
    summary = f"answered {response.status_code}"
    if response.is_success:
        return DeliveryAnswer(True, summary, body=text)
    # With any other status the target would refuse the next attempt, too.
    retryable = response.status_code in (408, 425, 429) or response.status_code >= 500
    return DeliveryAnswer(False, summary, retryable, _retry_after(response), text)


def _retry_after(response: httpx.Response) -> timedelta | None:
    value = response.headers.get("retry-after", "").strip()
    return min(timedelta(seconds=int(value)), LONGEST_RETRY_AFTER) if value.isdecimal() and len(value) < 8 else None
