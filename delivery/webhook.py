"""Webhooks with signed JSON, as https://www.standardwebhooks.com defines them."""

import base64
import binascii
import hashlib
import hmac
import time

import orjson

from delivery.credentials import read_secret, read_url
from delivery.http_requests import post
from delivery.message import DeliveryAnswer, Message
from delivery.targets import WebhookTarget
from inventory.visible_text import escaped_json

PREFIX = "whsec_"


async def send(target: WebhookTarget, message: Message) -> DeliveryAnswer:
    """Raises `TargetSecretError`."""
    body = body_of(message)
    secret = read_secret(target.secret_env, target.secret_file)
    sent_at = int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": str(message.delivery_id),
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{signature(secret, str(message.delivery_id), sent_at, body)}",
        "idempotency-key": str(message.delivery_id),
    }
    return await post(read_url(target), body, headers, target.ca_file)


def body_of(message: Message) -> bytes:
    """The same bytes in every attempt."""
    body = orjson.dumps(
        {
            "delivery_id": str(message.delivery_id),
            "tenant_id": None if message.tenant_id is None else str(message.tenant_id),
            "tenant": message.tenant_name,
            "run_id": None if message.run_id is None else str(message.run_id),
            "severity": message.severity,
            "subject": message.subject,
            "lines": list(message.lines),
            "events": [event.model_dump(mode="json") for event in message.events],
        }
    )
    return escaped_json(body.decode()).encode()


def signature(secret: str, delivery_id: str, sent_at: int, body: bytes) -> str:
    """HMAC-SHA-256 over id, time and body, in Base64. The time lets a receiver refuse a replay."""
    signed = f"{delivery_id}.{sent_at}.".encode() + body
    return base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
