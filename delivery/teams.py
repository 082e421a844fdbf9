"""A card in Microsoft Teams, posted by a workflow with an HTTP trigger
(https://learn.microsoft.com/connectors/teams#microsoft-teams-webhook).
"""

from typing import Any

import orjson

from delivery.credentials import read_url
from delivery.http_requests import post
from delivery.message import DeliveryAnswer, Message
from delivery.targets import TeamsTarget


async def send(target: TeamsTarget, message: Message) -> DeliveryAnswer:
    """Raises `TargetSecretError`."""
    body = orjson.dumps(
        {
            "type": "message",
            "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card(message)}],
        }
    )
    headers = {"content-type": "application/json", "idempotency-key": str(message.delivery_id)}
    return await post(read_url(target), body, headers, target.ca_file)


def card(message: Message) -> dict[str, Any]:
    """Text runs have no markup, so names are shown literally."""
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": message.subject,
        "body": [_line(message.subject, is_title=True), *(_line(line) for line in message.lines)],
    }


def _line(text: str, *, is_title: bool = False) -> dict[str, Any]:
    weight = {"weight": "Bolder"} if is_title else {}
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **weight}]}
