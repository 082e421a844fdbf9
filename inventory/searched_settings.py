"""Settings: what a policy's document sets, each as a name and a value that people can search for.

A name is the id of a definition (settings catalog, intents), the display name or the id of a policy of an
administrative template, an OMA-URI, or the path of a property without the places in lists:
`conditions.users.includeUsers`. A value is what the setting is set to, as a short text. What is hidden, and what is
longer than a value that people type, has no text: it is set, and nobody can say to what.
"""

from collections.abc import Iterator
from typing import NamedTuple

from inventory.canonical import Canonicalizer, JsonObject, JsonValue, NotANumberError, TooDeepError, is_mark
from inventory.exact_json import TooManyNumbersError, decode, encode

EDITION = 1
"""Counted up when documents are read differently, so that all are read again."""

LONGEST_NAME = 500
"""Characters of a name that are kept; the longest OMA-URI of the real documents has 150."""

LONGEST_VALUE = 100
"""Characters of a value that has a text."""

_ANY_DEPTH = frozenset({"id", "settingInstanceTemplateReference", "settingValueTemplateReference"})
"""What names a part of a document and sets nothing."""

_OF_THE_ITEM = frozenset({
    "displayName", "name", "description", "createdDateTime", "lastModifiedDateTime", "modifiedDateTime", "version",
    "assignments", "roleScopeTagIds", "roleScopeTags", "settingCount", "isAssigned", "creationSource",
    "priorityMetaData", "templateId", "templateReference", "supportsScopeTags",
})  # fmt: skip
"""Properties of an item that say what it is called, whom it is for and where it came from."""

_SETTING_VALUES = (
    "choiceSettingValue", "simpleSettingValue", "groupSettingValue", "choiceSettingCollectionValue",
    "simpleSettingCollectionValue", "groupSettingCollectionValue",
)  # fmt: skip


_IN_TEXT = Canonicalizer(by_nature=True)
"""Hides secrets in JSON that a document holds as a text: there the names of its properties had no say."""


class Setting(NamedTuple):
    """A setting of a document. `value` is None where it is hidden or too long to be searched for."""

    name: str
    value: str | None


def settings(document: JsonObject) -> list[Setting]:
    """What the document sets: each name and value once, in the order of the document. Null and empty set nothing."""
    named = {name: child for name, child in document.items() if name not in _OF_THE_ITEM}
    return list(dict.fromkeys(_of_object(named, "")))


def choice(value: str, definition_id: str) -> str:
    """A choice without the id of its definition, which the id of a choice begins with."""
    begins = f"{definition_id}_".lower()
    return value[len(begins) :] if value.lower().startswith(begins) and len(value) > len(begins) else value


def _of_value(value: JsonValue, name: str) -> Iterator[Setting]:
    if is_mark(value):
        yield _setting(name, None)
    elif isinstance(value, dict):
        yield from _of_object(value, name)
    elif isinstance(value, list):
        for member in value:
            yield from _of_value(member, name)
    elif value is not None and value != "":
        yield _setting(name, _text(value))


def _of_object(value: JsonObject, path: str) -> Iterator[Setting]:
    instance = value.get("settingInstance")
    if isinstance(instance, dict) and not is_mark(instance):
        yield from _of_instance(instance, path)
    elif isinstance(value.get("settingDefinitionId"), str):
        yield from _of_instance(value, path)
    elif isinstance(value.get("definitionId"), str) and ("valueJson" in value or "value" in value):
        yield from _of_intent(value)
    elif isinstance(value.get("omaUri"), str):
        yield from _of_value(value.get("value"), str(value["omaUri"]))
    elif _is_of_template(value):
        yield from _of_template(value)
    else:
        for name, child in value.items():
            if name not in _ANY_DEPTH and not _is_annotation(name):
                yield from _of_value(child, f"{path}.{name}" if path else name)


def _of_instance(instance: JsonObject, path: str) -> Iterator[Setting]:
    """A setting of the settings catalog, and those below it by their own definitions."""
    definition = instance.get("settingDefinitionId")
    if not isinstance(definition, str):
        yield from _of_value({name: child for name, child in instance.items() if name != "settingInstance"}, path)
        return
    for kind in _SETTING_VALUES:
        held = instance.get(kind)
        for one in held if isinstance(held, list) else [held]:
            if not isinstance(one, dict) or is_mark(one):
                yield from _of_value(one, definition)
                continue
            chosen = one.get("value")
            if kind.startswith("choice") and isinstance(chosen, str):
                chosen = choice(chosen, definition)
            yield from _of_value(chosen, definition)
            yield from _of_value(one.get("children"), definition)


def _of_intent(value: JsonObject) -> Iterator[Setting]:
    """A setting of an intent, whose value may stand in it as JSON in a text only."""
    held = value.get("value")
    if held is None:
        held = _decoded(value.get("valueJson"))
    yield from _of_value(held, str(value["definitionId"]))


def _decoded(written: JsonValue) -> JsonValue:
    if not isinstance(written, str):
        return written
    try:
        return _IN_TEXT.canonical_value({"value": decode(written.encode())})["value"]
    except (ValueError, RecursionError, TooManyNumbersError, TooDeepError, NotANumberError):
        return written


def _is_of_template(value: JsonObject) -> bool:
    definition = value.get("definition")
    return isinstance(definition, dict) and not is_mark(definition) and isinstance(value.get("enabled"), bool)


def _of_template(value: JsonObject) -> Iterator[Setting]:
    """A policy of an administrative template: by its display name and by its id, and what its presentations say."""
    definition = value["definition"]
    known = (definition.get(name) for name in ("displayName", "id")) if isinstance(definition, dict) else ()
    presented = value.get("presentationValues")
    for name in known:
        if not isinstance(name, str) or not name:
            continue
        yield _setting(name, "enabled" if value["enabled"] else "disabled")
        for one in presented if isinstance(presented, list) else ():
            if isinstance(one, dict):
                presentation = one.get("presentation")
                label = presentation.get("label") if isinstance(presentation, dict) else None
                path = f"{name}.{str(label).rstrip(': ')}" if label else name
                yield from _of_value(one.get("value"), path)
                yield from _of_value(one.get("values"), path)


def _setting(name: str, value: str | None) -> Setting:
    """The setting as it is kept: PostgreSQL holds no NUL and no lone surrogate, and an index no long text."""
    kept = "".join(character for character in name if _is_storable(character))[:LONGEST_NAME]
    is_text = value is not None and len(value) <= LONGEST_VALUE and all(map(_is_storable, value))
    return Setting(kept, value if is_text else None)


def _is_storable(character: str) -> bool:
    return character != "\0" and not "\ud800" <= character <= "\udfff"


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _is_annotation(name: str) -> bool:
    return "@" in name or name.startswith("#")
