"""Document values in words, after names have replaced ids.

An assignment: `include group "Pilot" · required · filter "Corporate Windows" (include) · direct`. A setting: `Allow
Telemetry: Full`, without names `system_allowtelemetry: 1`. Encoded content has lines of its own.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from answers.encoded_content import content_of
from answers.ids import GUID
from inventory.canonical import READABLE, TYPE, is_mark
from inventory.exact_json import JsonObject, JsonValue, encode, objects_in
from inventory.references import FILTER_ID, FILTER_TYPE, audience_words

HIDDEN = "hidden"

HIDDEN_IN_PART = "hidden in part"

NOTHING = "nothing"
"""An absent value."""

LONGEST_LINE = 100
"""Longer objects and lists take several lines."""

_DEFINITION_ID = re.compile(r"[a-z0-9~.{}()-]+(_[a-z0-9~.{}()-]*){2,}|deviceConfiguration--\w+", re.IGNORECASE)
"""`device_vendor_msft_policy_config_system_allowtelemetry`; an intent's `deviceConfiguration--windows10…_x`."""

_OF_SETTING_VALUES = (
    "choiceSettingValue", "simpleSettingValue", "groupSettingValue", "choiceSettingCollectionValue",
    "simpleSettingCollectionValue", "groupSettingCollectionValue",
)  # fmt: skip

CHOICES = frozenset({"choiceSettingValue", "choiceSettingCollectionValue"})

_OF_ASSIGNMENTS = frozenset({"id", "source", "sourceId", "target", "intent", TYPE})

_OF_TARGETS = frozenset({TYPE, "groupId", "collectionId", FILTER_ID, FILTER_TYPE})


class Place(NamedTuple):
    """A value's property, and its setting's definition, if any.

    `is_switch`: whether a policy is enabled; `is_brief`: without whole ids of settings.
    """

    name: str
    definition_id: str = ""
    is_choice: bool = False
    is_switch: bool = False
    is_brief: bool = False


def is_empty(value: JsonValue) -> bool:
    """Whether the value says no more than an absent one."""
    if isinstance(value, dict):
        return all(is_empty(child) for child in value.values())
    return value is None or value in ("", [])


def is_annotation(name: str) -> bool:
    """Whether the property is an OData annotation (`@odata.`) or action (`#`), not content."""
    return "@odata." in name or name.startswith("#")


def value_lines(value: JsonValue, place: Place) -> list[str]:
    if isinstance(value, dict) and is_mark(value):
        lines = readable_lines(value)
        return [HIDDEN] if lines is None else [HIDDEN_IN_PART, *(f"| {line}" for line in lines)]
    content = content_of(value, place.name)
    if content is not None:
        encoding = [content.encoding] if content.encoding else []
        return encoding if content.text is None else [*encoding, *(f"| {line}" for line in content.text.splitlines())]
    if isinstance(value, dict):
        return _object_lines(value, place)
    if isinstance(value, list):
        return _list_lines(value, place)
    return [_scalar(value, place)]


def readable_lines(value: JsonValue) -> list[str] | None:
    """The lines of a partly hidden text, `LEFT_OUT` for hidden ones; None for other values."""
    text = value.get(READABLE) if isinstance(value, dict) and is_mark(value) else None
    return text.splitlines() if isinstance(text, str) else None


def short_id(definition_id: str) -> str:
    """The end of a definition's id, such as `system_allowtelemetry`; other texts stay."""
    if not _DEFINITION_ID.fullmatch(definition_id):
        return definition_id
    if definition_id.startswith("deviceConfiguration--"):
        return definition_id.rpartition("_")[2]
    parts = definition_id.split("~")[-1].split("_") if "~" in definition_id else definition_id.split("_")
    start = max(0, len(parts) - 2)
    while start > 0 and len("".join(parts[start:])) < 8:
        start -= 1
    return "_".join(parts[start:])


def is_definition_id(text: str) -> bool:
    """Whether the text is the id of a setting's definition or choice."""
    return _DEFINITION_ID.fullmatch(text) is not None


def said_choice(value: JsonValue, definition_id: str) -> str:
    """Cuts the definition's id off a choice's id."""
    if not isinstance(value, str):
        return encode(value).decode()
    if definition_id and value.lower().startswith(f"{definition_id.lower()}_"):
        return value[len(definition_id) + 1 :]
    return value


def named(text: JsonValue) -> str:
    """Quotes names, not ids."""
    return str(text) if not isinstance(text, str) or GUID.fullmatch(text) else f'"{text}"'


def is_assignment(value: JsonValue) -> bool:
    if not isinstance(value, dict):
        return False
    target = value.get("target")
    return isinstance(target, dict) and str(target.get(TYPE)).endswith("AssignmentTarget")


def is_setting(value: JsonValue) -> bool:
    """Whether the value is a setting of the settings catalog or of an intent."""
    if not isinstance(value, dict):
        return False
    is_of_an_intent = "definitionId" in value and "valueJson" in value
    return "settingInstance" in value or "settingDefinitionId" in value or is_of_an_intent


def _scalar(value: JsonValue, place: Place) -> str:
    if place.is_choice:
        return said_choice(value, place.definition_id)
    if place.name == TYPE and isinstance(value, str):
        return value.rpartition(".")[2]
    if isinstance(value, str) and value.endswith("(people are not read)"):
        return value
    return NOTHING if value is None else encode(value).decode()


def _object_lines(value: JsonObject, place: Place) -> list[str]:
    if is_assignment(value):
        return [_assignment(value)]
    if "settingInstance" in value and isinstance(value["settingInstance"], dict):
        return _setting_lines(value["settingInstance"], place)
    if isinstance(value.get("settingDefinitionId"), str):
        return _setting_lines(value, place)
    if isinstance(value.get("definitionId"), str) and "valueJson" in value:
        return _intent_setting(value, place)
    if place.definition_id and ("value" in value or "children" in value):
        return _of_setting_value(value, place)
    if isinstance(value.get("definition"), dict) and "enabled" in value:
        return _definition_value(value)
    members = {name: child for name, child in value.items() if not (is_empty(child) or is_annotation(name))}
    if not members:
        return [str(value[TYPE]).rpartition(".")[2]] if TYPE in value else ["empty"]
    lines: list[str] = []
    for name, child in members.items():
        lines += labelled(name, value_lines(child, Place(name)))
    is_flat = not any(line.startswith(" ") for line in lines)
    whole = ", ".join(lines)
    return [whole] if is_flat and len(whole) <= LONGEST_LINE else lines


def _list_lines(value: list[JsonValue], place: Place) -> list[str]:
    members = [value_lines(member, place) for member in value]
    if not members:
        return ["empty"]
    if all(len(member) == 1 for member in members):
        whole = ", ".join(member[0] for member in members)
        if len(whole) <= LONGEST_LINE or len(members) == 1:
            return [whole]
    if all(is_setting(member) for member in value):
        return [line for member in members for line in member]
    return [f"{'- ' if number == 0 else '  '}{line}" for member in members for number, line in enumerate(member)]


def _assignment(value: JsonObject) -> str:
    target = value["target"]
    if not isinstance(target, dict):
        return encode(value).decode()
    words = audience_words(target).replace("licensed ", "")
    verb = "exclude" if words.startswith("exclusion") else "include"
    whom = [verb, words.removeprefix("exclusion ")]
    whom += [named(target[name]) for name in ("groupId", "collectionId") if target.get(name)]
    parts = [" ".join(whom)]
    if value.get("intent"):
        parts.append(str(value["intent"]))
    mode = target.get(FILTER_TYPE)
    if target.get(FILTER_ID) and mode not in (None, "none"):
        parts.append(f"filter {named(target[FILTER_ID])} ({mode})")
    source = value.get("source")
    if source == "policySets":
        parts.append(f"through policy set {named(value.get('sourceId') or 'unknown')}")
    elif source:
        parts.append(str(source))
    rest = {name: child for name, child in value.items() if name not in _OF_ASSIGNMENTS}
    rest |= {name: child for name, child in target.items() if name not in _OF_TARGETS}
    for name, child in rest.items():
        if not (is_empty(child) or is_annotation(name)):
            parts.append(f"{name}: {', '.join(value_lines(child, Place(name)))}")
    return " · ".join(parts)


class _Setting(NamedTuple):
    """`whole_id` is empty if names replace all ids."""

    names: tuple[str, ...]
    value: list[str]
    whole_id: str

    def lines(self, *, is_brief: bool) -> list[str]:
        words = " → ".join(short_id(name) for name in self.names)
        return labelled(words, self.value, "" if is_brief else self.whole_id)


def labelled(label: str, lines: Sequence[str], whole_id: str = "") -> list[str]:
    note = f" ({whole_id})" if whole_id else ""
    return [f"{label}: {lines[0]}{note}"] if len(lines) == 1 else [f"{label}:{note}", *(f"  {line}" for line in lines)]


def _setting_lines(instance: JsonObject, place: Place) -> list[str]:
    return [line for setting in _settings(instance, ()) for line in setting.lines(is_brief=place.is_brief)]


def _intent_setting(value: JsonObject, place: Place) -> list[str]:
    definition = str(value["definitionId"])
    held = value["value"] if "value" in value else value["valueJson"]
    whole_id = "" if place.is_brief or not is_definition_id(definition) else definition
    return labelled(short_id(definition), value_lines(held, Place("value")), whole_id)


def _settings(instance: JsonObject, above: tuple[str, ...]) -> Iterator[_Setting]:
    definition = str(instance.get("settingDefinitionId") or "setting")
    names = (*above, definition)
    values: list[tuple[str, JsonObject]] = []
    for kind in _OF_SETTING_VALUES:
        held = instance.get(kind)
        values += [(kind, part) for part in (held if isinstance(held, list) else [held]) if isinstance(part, dict)]
    settings = [
        (kind, part["value"], value_lines(part["value"], Place("value", definition, kind in CHOICES)))
        for kind, part in values
        if "value" in part
    ]
    below = [child for _, part in values for child in _children(part)]
    if settings or not below:
        ids = [str(value) for kind, value, _ in settings if kind in CHOICES and is_definition_id(str(value))]
        whole = ", ".join(ids) or (definition if is_definition_id(definition) else "")
        lines = [line for _, _, value in settings for line in value]
        is_short = all(len(value) == 1 for _, _, value in settings) and len(", ".join(lines)) <= LONGEST_LINE
        yield _Setting(names, [", ".join(lines) or "empty"] if is_short else lines, whole)
    for child in below:
        yield from _settings(child, names)


def _children(value: JsonObject) -> list[JsonObject]:
    return [child for child in objects_in(value.get("children")) if "settingDefinitionId" in child]


def _of_setting_value(value: JsonObject, place: Place) -> list[str]:
    lines = value_lines(value["value"], place) if "value" in value else []
    for child in _children(value):
        lines += _setting_lines(child, place)
    return lines or ["empty"]


def _definition_value(value: JsonObject) -> list[str]:
    lines = [switch_text(bool(value["enabled"]))]
    for member in objects_in(value.get("presentationValues")):
        lines += labelled(_presentation_name(member), presentation_lines(member))
    return lines


def switch_text(is_enabled: bool) -> str:
    return "enabled" if is_enabled else "disabled"


def _presentation_name(value: JsonObject) -> str:
    presentation = value.get("presentation")
    label = presentation.get("label") if isinstance(presentation, dict) else None
    return str(label).rstrip(": ") if label else "value"


def presentation_lines(value: JsonObject) -> list[str]:
    if "values" in value:
        pairs = [
            f"{member.get('name')} = {member.get('value')}" if member.get("value") else str(member.get("name"))
            for member in objects_in(value["values"])
        ]
        whole = ", ".join(pairs) or "empty"
        return [whole] if len(whole) <= LONGEST_LINE else pairs
    return value_lines(value.get("value"), Place("value"))
