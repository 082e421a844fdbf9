"""Differences as people read them: names in the place of ids, and paths without what every path of their kind has."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from inventory.canonical import MIN_TELLING_ID_LENGTH, JsonValue
from inventory.differences import Difference, DifferenceKind
from inventory.references import ReferenceRules, translated_at

_MEMBER = re.compile(r"\[[^\[\]]*\]")

_SETTINGS = frozenset({
    "settings", "settingInstance", "children", "groupSettingCollectionValue", "choiceSettingCollectionValue",
    "simpleSettingCollectionValue", "choiceSettingValue", "simpleSettingValue", "groupSettingValue", "value",
})  # fmt: skip
"""What the path of a settings-catalog value consists of, beside the definitions' ids."""


class FieldChange(BaseModel):
    """One field that is different.

    `path` is what `diff` says, and stable. `label` says the same with names. `before` and `after` are values as the
    document has them, null where there is none; a number beyond 64 bits is a text. `before_named` and `after_named`
    have names in the place of ids, and are null where that is the same. Of a `hidden` value nothing is shown but that
    it changed.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    label: str
    kind: DifferenceKind
    before: Any
    after: Any
    before_named: Any = None
    after_named: Any = None
    hidden: bool = False


def field_change(difference: Difference, rules: ReferenceRules, names: Mapping[tuple[str, str], str]) -> FieldChange:
    """A difference with the names of what it refers to. `names` are by type key and id."""

    def name_of(target_types: tuple[str, ...], external_id: str) -> str | None:
        return next((names[key, external_id] for key in target_types if (key, external_id) in names), None)

    before, after = _printable(difference.before), _printable(difference.after)
    place = properties_of(difference.path)
    before_named = translated_at(before, place, rules, name_of)
    after_named = translated_at(after, place, rules, name_of)
    return FieldChange(
        path=difference.path,
        label=_label(difference.path, names),
        kind=difference.kind,
        before=before,
        after=after,
        before_named=None if before_named == before else before_named,
        after_named=None if after_named == after else after_named,
        hidden=difference.hidden,
    )


def _printable(value: JsonValue) -> JsonValue:
    """The value with texts in the place of numbers that not every reader of JSON holds."""
    if isinstance(value, dict):
        return {name: _printable(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_printable(member) for member in value]
    is_large = isinstance(value, int) and not -(2**63) <= value < 2**63
    return str(value) if is_large or isinstance(value, Decimal) else value


def properties_of(path: str) -> str:
    """The names of the properties on the way, without the members of lists."""
    while (shorter := _MEMBER.sub("", path)) != path:
        path = shorter
    return path


def _label(path: str, names: Mapping[tuple[str, str], str]) -> str:
    """`settings[device_x].settingInstance.choiceSettingValue.value` is `device_x`; ids in brackets are names."""
    for (_, external_id), name in names.items():
        if len(external_id) >= MIN_TELLING_ID_LENGTH and external_id in path:
            path = path.replace(external_id, f'"{name}"')
    if not path.startswith("settings["):
        return path
    return " → ".join(_setting_words(path)) or path


def _setting_words(path: str) -> list[str]:
    words = []
    for segment in _segments(path):
        name, bracket, rest = segment.partition("[")
        if name not in _SETTINGS:
            words.append(segment)
        elif bracket and rest != "]":
            words.append(rest.removesuffix("]"))
    return words


def _segments(path: str) -> list[str]:
    """A path's parts; a dot inside of brackets parts nothing."""
    parts, depth = [""], 0
    for character in path:
        depth += (character == "[") - (character == "]" and depth > 0)
        if character == "." and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
