"""Differences with names in place of ids, and short paths."""

import re
from decimal import Decimal
from typing import Any

from answers.field_text import ShownField, segments
from answers.named_ids import (
    DEFINITIONS,
    TEMPLATES,
    ObjectNames,
    choice_name,
    name_of,
    with_setting_names,
)
from inventory.canonical import MIN_TELLING_ID_LENGTH, JsonValue
from inventory.differences import Difference, DifferenceKind
from inventory.references import ReferenceRules, translated_at

_MEMBER = re.compile(r"\[[^\[\]]*\]")

_SETTINGS = frozenset({
    "settings", "settingInstance", "children", "groupSettingCollectionValue", "choiceSettingCollectionValue",
    "simpleSettingCollectionValue", "choiceSettingValue", "simpleSettingValue", "groupSettingValue", "value",
    "valueJson", "definitionValues", "presentationValues", "values",
})  # fmt: skip

_LISTS_OF_SETTINGS = ("settings[", "definitionValues[")

_BY_WORD = frozenset({DEFINITIONS, TEMPLATES})
"""Type keys whose ids become names as whole path members only: one id may begin another."""


class FieldChange(ShownField):
    """One field that differs.

    `path` is stable, as `diff` prints it; `label` has names. `before` and `after` are the document's values, null if
    there is none; a number beyond 64 bits is a text. `before_named` and `after_named` have names in place of ids, null
    if equal to the value. A `hidden` value is null, a partly hidden text its marks and other lines.
    """

    path: str
    label: str
    kind: DifferenceKind
    before: Any
    after: Any
    before_named: Any = None
    after_named: Any = None
    hidden: bool = False


def field_change(difference: Difference, rules: ReferenceRules, names: ObjectNames) -> FieldChange:
    def named(value: JsonValue) -> JsonValue:
        translated = translated_at(value, place, rules, name_of(names))
        return choice_name(translated, names) if is_choice else with_setting_names(translated, names)

    before, after = _printable(difference.before), _printable(difference.after)
    place = properties_of(difference.path)
    is_choice = difference.path.endswith(".value") and isinstance(before, str | None) and isinstance(after, str | None)
    before_named, after_named = named(before), named(after)
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
    """Writes numbers that some JSON readers cannot hold as texts."""
    if isinstance(value, dict):
        return {name: _printable(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_printable(member) for member in value]
    is_large = isinstance(value, int) and not -(2**63) <= value < 2**63
    return str(value) if is_large or isinstance(value, Decimal) else value


def properties_of(path: str) -> str:
    """The path without list members."""
    while (shorter := _MEMBER.sub("", path)) != path:
        path = shorter
    return path


def _label(path: str, names: ObjectNames) -> str:
    """`settings[device_x].settingInstance.choiceSettingValue.value` is `device_x`; ids in brackets become names."""
    # Brackets hold an id, or a text that begins with it.
    for (type_key, external_id), name in names.items() if "[" in path else ():
        if type_key not in _BY_WORD and len(external_id) >= MIN_TELLING_ID_LENGTH and external_id in path:
            path = path.replace(external_id, f'"{name}"')
    if not path.startswith(_LISTS_OF_SETTINGS):
        return path
    return " → ".join(_setting_words(path, names)) or path


def _setting_words(path: str, names: ObjectNames) -> list[str]:
    words: list[str] = []
    for segment in segments(path):
        name, bracket, behind = segment.partition("[")
        if segment == "enabled" and path.startswith("definitionValues[") and len(words) == 1:
            continue
        if name not in _SETTINGS:
            words.append(segment)
        elif bracket and behind != "]":
            member = behind.removesuffix("]")
            words.append(next((names[key, member] for key in sorted(_BY_WORD) if (key, member) in names), member))
    return words
