"""What objects are called that documents refer to: names by type key and id.

Beside items of the inventory: applications by their app id, settings and choices of the settings catalogue by their
ids, and policies of administrative templates with their presentations, which documents name themselves.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from graph.catalog import load_catalog
from inventory.exact_json import JsonObject, JsonValue, decode
from inventory.references import references
from storage.object_names import app_names, display_names
from storage.setting_definitions import DEFINITIONS as DEFINITIONS
from storage.setting_definitions import setting_definitions

APPS_BY_APP_ID = "app id"
"""In the place of a type key: applications, by the id that is the same in every tenant."""

TEMPLATES = "administrative template"
"""In the place of a type key: policies of administrative templates and their presentations, by their ids."""

ObjectNames = Mapping[tuple[str, str], str]
"""Names by type key and id. A choice of a setting goes by its id under the type key of the definitions."""

_DEFINITION = "settingDefinitionId"


async def object_names(
    session: AsyncSession, documents: Iterable[tuple[str, JsonObject]]
) -> dict[tuple[str, str], str]:
    """The names of all that these documents, each with its type key, refer to."""
    wanted: set[tuple[str, str]] = set()
    settings: set[str] = set()
    apps: set[str] = set()
    names: dict[tuple[str, str], str] = {}
    for type_key, document in documents:
        collection = load_catalog().collections.get(type_key)
        for reference in references(document, {} if collection is None else collection.references):
            wanted.update((target_type, reference.target_id) for target_type in reference.target_types)
        if "settings" in document:
            settings.update(definition_ids(document["settings"]))
        if "definitionValues" in document:
            names.update(template_names(document["definitionValues"]))
        apps.update(_app_ids(document))
    names |= await display_names(session, wanted)
    names |= await setting_names(session, settings)
    return names | await names_of_apps(session, apps)


async def names_of_apps(session: AsyncSession, app_ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """The names of applications by their app ids, as far as the inventory has them."""
    found = await app_names(session, app_ids)
    return {(APPS_BY_APP_ID, app_id): name for app_id, name in found.items()}


def _app_ids(document: JsonObject) -> Iterator[str]:
    conditions = document.get("conditions")
    applications = conditions.get("applications") if isinstance(conditions, dict) else None
    for name in ("includeApplications", "excludeApplications"):
        ids = applications.get(name) if isinstance(applications, dict) else None
        yield from (one for one in (ids if isinstance(ids, list) else ()) if isinstance(one, str))


def template_names(values: JsonValue) -> dict[tuple[str, str], str]:
    """The names that values of an administrative template give to their policies and presentations."""
    names: dict[tuple[str, str], str] = {}
    rest = [values]
    while rest:
        one = rest.pop()
        if isinstance(one, list):
            rest += one
        elif isinstance(one, dict):
            for name, called in (("definition", "displayName"), ("presentation", "label")):
                held = one.get(name)
                if isinstance(held, dict) and isinstance(held.get("id"), str) and held.get(called):
                    names[TEMPLATES, str(held["id"])] = str(held[called]).rstrip(": ")
            rest.append(one.get("presentationValues"))
    return names


def definition_ids(value: JsonValue) -> Iterator[str]:
    """The ids of the definitions of all settings in a value."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            found = one.get(_DEFINITION)
            if isinstance(found, str):
                yield found
            rest += [child for child in one.values() if isinstance(child, (dict, list))]
        elif isinstance(one, list):
            rest += [child for child in one if isinstance(child, (dict, list))]


async def setting_names(session: AsyncSession, ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """The names of these settings and of their choices, as far as the inventory has the definitions."""
    names: dict[tuple[str, str], str] = {}
    for definition in await setting_definitions(session, ids):
        document = cast("JsonObject", decode(definition.document))
        if definition.display_name:
            names[DEFINITIONS, definition.external_id] = definition.display_name
        options = document.get("options")
        for option in options if isinstance(options, list) else ():
            if isinstance(option, dict) and isinstance(option.get("itemId"), str) and option.get("displayName"):
                names[DEFINITIONS, str(option["itemId"])] = str(option["displayName"])
    return names


def with_setting_names(value: JsonValue, names: ObjectNames) -> JsonValue:
    """A value with the names of settings and choices in the place of their ids, as far as they are known.

    Of a choice without a name, whose setting has one, what its id has beyond the setting's stays.
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
    """The name of a choice in the place of its id, where it is known."""
    return names.get((DEFINITIONS, value), value) if isinstance(value, str) else value


def _with_choice_name(value: JsonValue, definition: str, names: ObjectNames) -> JsonValue:
    if isinstance(value, list):
        return [_with_choice_name(member, definition, names) for member in value]
    if not isinstance(value, dict) or not isinstance(value.get("value"), str):
        return value
    chosen = str(value["value"])
    return {**value, "value": names.get((DEFINITIONS, chosen), chosen.removeprefix(f"{definition}_"))}
