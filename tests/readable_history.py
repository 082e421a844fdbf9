"""A workflow's history as Temporal Web shows it: payloads decoded."""

import base64
import json
from typing import Any

from temporalio.client import WorkflowHistory


def readable(history: WorkflowHistory) -> str:
    """All text in a history. Its JSON holds payloads in base64, which cannot be searched."""
    return json.dumps(_decoded(json.loads(history.to_json())), ensure_ascii=False)


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(member) for member in value]
    if not isinstance(value, dict):
        return value
    decoded = {name: _decoded(member) for name, member in value.items()}
    if isinstance(value.get("data"), str) and "metadata" in value:
        decoded["data"] = base64.b64decode(value["data"]).decode(errors="replace")
    return decoded
