import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from answers.item_states import StateChoice, state_of
from graph.catalog import kind_of
from inventory.records import ItemRecord
from inventory.searched_settings import without_definition


class Platform(StrEnum):
    ANDROID = "android"
    IOS = "ios"
    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"


_SIGNS = {
    Platform.ANDROID: re.compile(r"(?i:android|aosp)"),
    Platform.IOS: re.compile(r"(?<![A-Za-z])(?:i|I)(?:os|OS|pad|Pad|phone|Phone)"),
    Platform.LINUX: re.compile(r"(?i:linux)"),
    Platform.MACOS: re.compile(r"(?i:mac ?os)"),
    Platform.WINDOWS: re.compile(r"(?i:windows|win32|winget)"),
}


class ItemFilter(NamedTuple):
    """None filters nothing."""

    platform: Platform | None = None
    kind: str | None = None
    state: StateChoice | None = None

    def wants(self, item: ItemRecord) -> bool:
        return (
            (self.platform is None or self.platform in platforms(item.type_key, item.meta))
            and (self.kind is None or self.kind.casefold() in kind_of(item.type_key, item.meta).casefold())
            and (self.state is None or state_of(item) is self.state)
        )


class SettingCondition(NamedTuple):
    name: str
    value: str | None

    @classmethod
    def of(cls, text: str) -> "SettingCondition":
        """Reads `NAME` or `NAME=VALUE`; name or value may be empty."""
        name, equals, value = text.partition("=")
        return cls(name.strip(), value.strip() if equals else None)

    def values(self, names: Sequence[str]) -> list[str] | None:
        """The stored values to look for; None for any.

        A choice may be typed with its definition's id, `true` and `false` in any case.
        """
        if self.value is None:
            return None
        spelled = {self.value, *(without_definition(self.value, name) for name in names)}
        return sorted(spelled | {value.lower() for value in spelled if value.lower() in ("true", "false")})


def platforms(type_key: str, meta: Mapping[str, Any]) -> frozenset[Platform]:
    """Empty if unknown."""
    named_platforms = meta.get("platforms")
    texts = [
        *(named_platforms if isinstance(named_platforms, list) else [named_platforms]),
        meta.get("odata_type"),
        kind_of(type_key, meta),
        type_key,
    ]
    joined = " ".join(str(text).rpartition(".")[2] for text in texts if text)
    return frozenset(platform for platform, sign in _SIGNS.items() if sign.search(joined))
