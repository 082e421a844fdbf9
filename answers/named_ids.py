"""Names in place of ids of objects, settings and choices, and of parts of administrative templates, which documents
name themselves.
"""

from collections.abc import Iterator, Mapping
from typing import cast

from answers.ids import GUID
from inventory.exact_json import JsonObject, JsonValue
from inventory.references import NOT_READ, NameOf, ReferenceRules, collection_of, translated

DEFINITIONS = "configurationSettings"
"""The collection of the settings catalog's definitions."""

TEMPLATES = "administrative template"
"""Replaces the type key for policies and presentations of administrative templates."""

ObjectNames = Mapping[tuple[str, str], str]
"""Names by type key and id; choices are under `DEFINITIONS` too."""

_DEFINITION = "settingDefinitionId"


def name_of(names: ObjectNames) -> NameOf:
    """The function calls an unknown person `user 1234abcd… (people are not read)`."""

    def name(target_types: tuple[str, ...], external_id: str) -> str | None:
        keys = [(collection_of(target_type), external_id) for target_type in target_types]
        known = next((names[key] for key in keys if key in names), None)
        if known is None and NOT_READ.issuperset(target_types) and "users" in target_types:
            return f"user {external_id[:8]}… (people are not read)" if GUID.fullmatch(external_id) else None
        return known

    return name


def named_document(document: JsonObject, rules: ReferenceRules, names: ObjectNames) -> JsonObject:
    return cast("JsonObject", with_setting_names(translated(document, rules, name_of(names)), names))


def template_names(values: JsonValue) -> dict[tuple[str, str], str]:
    """Names of policies and presentations within an administrative template's values."""
    names: dict[tuple[str, str], str] = {}
    stack = [values]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack += part
        elif isinstance(part, dict):
            for name, called in (("definition", "displayName"), ("presentation", "label")):
                held = part.get(name)
                if isinstance(held, dict) and isinstance(held.get("id"), str) and held.get(called):
                    names[TEMPLATES, str(held["id"])] = str(held[called]).rstrip(": ")
            stack.append(part.get("presentationValues"))
    return names


def definition_ids(value: JsonValue) -> Iterator[str]:
    """Setting definitions' ids at any depth."""
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            found = part.get(_DEFINITION)
            if isinstance(found, str):
                yield found
            stack += [child for child in part.values() if isinstance(child, (dict, list))]
        elif isinstance(part, list):
            stack += [child for child in part if isinstance(child, (dict, list))]


def with_setting_names(value: JsonValue, names: ObjectNames) -> JsonValue:
    """Replaces ids of settings and choices by names.

    A nameless choice of a named setting keeps the end of its id, which follows the setting's.
    """
    if isinstance(value, list):
        return [with_setting_names(member, names) for member in value]
    if not isinstance(value, dict):
        return value
    renamed = {name: with_setting_names(child, names) for name, child in value.items()}
    definition = value.get(_DEFINITION)
    if isinstance(definition, str) and (DEFINITIONS, definition) in names:
        renamed[_DEFINITION] = names[DEFINITIONS, definition]
        for kind in ("choiceSettingValue", "choiceSettingCollectionValue"):
            if kind in renamed:
                renamed[kind] = _with_choice_name(renamed[kind], definition, names)
    return renamed


def choice_name(value: JsonValue, names: ObjectNames) -> JsonValue:
    return names.get((DEFINITIONS, value), value) if isinstance(value, str) else value


def _with_choice_name(value: JsonValue, definition: str, names: ObjectNames) -> JsonValue:
    if isinstance(value, list):
        return [_with_choice_name(member, definition, names) for member in value]
    if not isinstance(value, dict) or not isinstance(value.get("value"), str):
        return value
    chosen = str(value["value"])
    return {**value, "value": names.get((DEFINITIONS, chosen), chosen.removeprefix(f"{definition}_"))}
