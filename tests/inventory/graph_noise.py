"""Differences between Graph's answers, such as new properties, for the same configuration."""

from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any
from uuid import UUID

from inventory.normal_form import NormalForm

NEW_PROPERTIES: dict[str, Any] = {
    "newSetting": None,
    "newList": [],
    "newBlock": {},
    "newBlockOfNothing": {"state": None, "values": [], "inner": {"value": None}},
}


class GraphNoise:
    """Serves documents of one collection with random differences, as Graph might."""

    def __init__(self, random: Random, form: NormalForm) -> None:
        self._random = random
        self._form = form

    def serve(self, document: dict[str, Any]) -> dict[str, Any]:
        """Adds or drops nulls and empty lists, shuffles sets, and respells times."""
        noisy = self._object(document)
        return {"@odata.context": f"https://graph.microsoft.com/beta/$metadata#{self._random.random()}", **noisy}

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        kept = [
            (name, self._value(child, name))
            for name, child in value.items()
            if child not in (None, [], {}) or self._often()
        ]
        kept += [(name, child) for name, child in NEW_PROPERTIES.items() if name not in value and self._often()]
        kept += [(f"{name}@odata.type", "#Collection(String)") for name, child in kept if child == []]
        self._random.shuffle(kept)
        return dict(kept)

    def _value(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            members = [self._value(member, name) for member in value]
            if members and not self._form.is_sequence(name, value):
                self._random.shuffle(members)
                members += [self._random.choice(members)] if self._often() else []
            return members
        if isinstance(value, str) and self._often():
            return self._random.choice(respellings(value) or [value])
        return value

    def _often(self) -> bool:
        return self._random.random() < 0.4


def respellings(text: str) -> list[str]:
    """Other spellings of a time or of ids; empty for any other text."""
    try:
        if all(str(UUID(part)) == part.lower() for part in text.split("_")):
            return [text.upper(), text.title()]
    except ValueError:
        pass
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return []
    zoned = [moment.astimezone(timezone(timedelta(hours=2))).isoformat()] if moment.year > 1 else []
    return [text.replace("Z", ".0000000Z"), text.replace("Z", "+00:00"), *zoned]
