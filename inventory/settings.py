"""The settings of a document, each with a key that is the same in every policy and tenant.

| setting | key |
|---|---|
| settings catalog | the definition's id in lower case: `device_vendor_msft_policy_config_x_y` |
| member of a group of settings | group, member's name and definition: `rules[Web]/rules_port` |
| OMA-URI of a Windows CSP | the id of the settings catalog's definition for the same path |
| any other OMA-URI | `oma:./vendor/msft/…` |
| administrative template | `admx:` and the definition's id, then a presentation's id |
| imported administrative template | `admx:` and class, category and name: its ids differ between tenants |
| typed policy or an intent's setting | kind and property: `windows10CompliancePolicy/bitLockerEnabled` |
| profile for a network, certificate, mailbox | the same with its name: `iosWiFiConfiguration[Office]/ssid` |

The settings catalog names a definition by its CSP's path, in lower case and joined by `_`:
https://learn.microsoft.com/graph/api/resources/intune-deviceconfigv2-devicemanagementconfigurationsettingdefinition
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from inventory.canonical import TYPE, JsonObject, JsonValue, encode, is_mark
from inventory.exact_json import TooManyNumbersError, decode

SECRET_VALUE = "#microsoft.graph.deviceManagementConfigurationSecretSettingValue"  # noqa: S105 - a kind of setting
ENABLED, DISABLED = "enabled", "disabled"

POLICY_FACTS = frozenset({
    "id", "displayName", "name", "description", "version", "createdDateTime", "lastModifiedDateTime",
    "modifiedDateTime", "roleScopeTagIds", "roleScopeTags", "assignments", "groupAssignments", "isAssigned",
    "supportsScopeTags", "deviceManagementApplicabilityRuleOsEdition", "deviceManagementApplicabilityRuleOsVersion",
    "deviceManagementApplicabilityRuleDeviceMode", "settings", "omaSettings", "definitionValues", "settingInstance",
    "scheduledActionsForRule", "payload", "payloadName", "payloadFileName", "settingCount", "templateReference",
    "templateId", "templateDisplayName", "creationSource", "platforms", "technologies",
})  # fmt: skip
"""Properties about a policy that set nothing on a device."""


class SettingKind(StrEnum):
    SETTINGS_CATALOG = "settings_catalog"
    ADMINISTRATIVE_TEMPLATE = "administrative_template"
    OMA_URI = "oma_uri"
    INTENT = "intent"
    PROPERTY = "property"


class Setting(NamedTuple):
    """A value is a text, number, truth value or sorted list; None if hidden. A choice lacks its definition's id.

    `is_unset`: the setting leaves the device as it is, since typed policies name all properties. `definition`: the id
    as the document spells it.
    """

    key: str
    value: JsonValue
    kind: SettingKind
    is_hidden: bool = False
    is_unset: bool = False
    definition: str | None = None
    label: str | None = None
    """The document's own name for the setting."""

    @property
    def text(self) -> str | None:
        """The value to compare; None if hidden."""
        if self.is_hidden:
            return None
        if _USER_RIGHTS in self.key and isinstance(self.value, list):
            return value_text(_sorted([_WELL_KNOWN_SIDS.get(str(user).casefold(), user) for user in self.value]))
        return value_text(self.value)


_USER_RIGHTS = "_policy_config_userrights_"

_WELL_KNOWN_SIDS: Mapping[str, JsonValue] = {
    "everyone": "*S-1-1-0",
    "nt authority\\network": "*S-1-5-2",
    "nt authority\\service": "*S-1-5-6",
    "nt authority\\anonymous logon": "*S-1-5-7",
    "nt authority\\authenticated users": "*S-1-5-11",
    "nt authority\\system": "*S-1-5-18",
    "nt authority\\local service": "*S-1-5-19",
    "nt authority\\network service": "*S-1-5-20",
    "nt authority\\local account": "*S-1-5-113",
    "nt authority\\local account and member of administrators group": "*S-1-5-114",
    "builtin\\administrators": "*S-1-5-32-544",
    "builtin\\users": "*S-1-5-32-545",
    "builtin\\guests": "*S-1-5-32-546",
    "builtin\\remote desktop users": "*S-1-5-32-555",
}
"""User rights name accounts, or SIDs with an asterisk before them:
https://learn.microsoft.com/windows/client-management/mdm/policy-csp-userrights
https://learn.microsoft.com/windows-server/identity/ad-ds/manage/understand-security-identifiers
"""


def settings_of(document: JsonObject, type_key: str) -> list[Setting]:
    """Sorted by key; the document is canonical."""
    return sorted(settings_as_they_stand(document, type_key), key=_order)


def settings_as_they_stand(document: JsonObject, type_key: str) -> Iterator[Setting]:
    """As `settings_of`, unsorted."""
    yield from listed_settings(document)
    yield from _typed_settings(document, type_key)


def listed_settings(document: JsonObject) -> Iterator[Setting]:
    """Reads settings catalogs, administrative templates and OMA-URIs."""
    yield from _catalog_settings(document)
    yield from _template_settings(document)
    yield from _oma_settings(document)


def _order(setting: Setting) -> tuple[str, bytes, str]:
    return setting.key, encode(setting.value), setting.definition or ""


def setting_key(name: str) -> str:
    """The key for a definition's id or an OMA-URI."""
    return oma_key(name) if name.startswith("./") else _definition_key(name)


def oma_key(path: str, *, is_windows: bool = True) -> str:
    parts = [part for part in path.strip().casefold().split("/") if part not in ("", ".")]
    if is_windows and ("vendor" in parts[:2] and "msft" in parts[:3]):
        return _definition_key("_".join(_with_placeholders(parts)))
    return "oma:./" + "/".join(parts)


def value_text(value: JsonValue) -> str:
    """The same text for an OMA-URI's number and the settings catalog's choice."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if type(value) is int else encode(value).decode()


_GUID = re.compile(r"\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?")
_TENANT_WORDS = ("(tenant id)", "{tenantid}")


def _with_placeholders(parts: list[str]) -> list[str]:
    """Replaces the tenant's id by the settings catalog's placeholder."""
    return [
        "{tenantid}"
        if number and parts[number - 1] == "passportforwork" and (_GUID.fullmatch(part) or part in _TENANT_WORDS)
        else part
        for number, part in enumerate(parts)
    ]


def _definition_key(definition: str) -> str:
    """The key for a definition's id; `./Vendor/MSFT` means `./Device/Vendor/MSFT`."""
    key = definition.casefold()
    return f"device_{key}" if key.startswith("vendor_msft_") else key


# Settings catalog

_SINGLE_VALUES = frozenset({"choiceSettingValue", "simpleSettingValue", "groupSettingValue"})
_VALUE_LISTS = frozenset({
    "choiceSettingCollectionValue", "simpleSettingCollectionValue", "groupSettingCollectionValue",
})  # fmt: skip

_NAMES_A_MEMBER = re.compile(r"_(?:key|name|displayname|identifier|bundleidentifier|id|printersharedid|generickey)")
"""The last part of a definition whose value names a group's member."""


def _catalog_settings(document: JsonObject) -> Iterator[Setting]:
    settings = document.get("settings")
    for member in settings if isinstance(settings, list) else ():
        if isinstance(member, dict) and isinstance(member.get("definitionId"), str):
            yield from _intent_setting(member)
        elif isinstance(member, dict):
            yield from _instance(member.get("settingInstance"), "")
    yield from _instance(document.get("settingInstance"), "")


def _instance(instance: JsonValue, place: str) -> Iterator[Setting]:
    if not isinstance(instance, dict) or not isinstance(instance.get("settingDefinitionId"), str):
        return
    definition = str(instance["settingDefinitionId"])
    key = place + _definition_key(definition)
    for name, held in instance.items():
        if name in _SINGLE_VALUES and isinstance(held, dict):
            if name != "groupSettingValue":
                yield _catalog_setting(key, definition, [held], is_list=False)
            yield from _children(held, place)
        elif name in _VALUE_LISTS and isinstance(held, list):
            members = [member for member in held if isinstance(member, dict)]
            if name == "groupSettingCollectionValue":
                yield from _group(key, definition, members, place)
            elif members:
                yield _catalog_setting(key, definition, members, is_list=True)
                for member in members:
                    yield from _children(member, place)


def _children(value: JsonObject, place: str) -> Iterator[Setting]:
    children = value.get("children")
    for child in children if isinstance(children, list) else ():
        yield from _instance(child, place)


def _catalog_setting(key: str, definition: str, values: list[JsonObject], *, is_list: bool) -> Setting:
    is_hidden = any(value.get(TYPE) == SECRET_VALUE or _holds_mark(value.get("value")) for value in values)
    texts = [_without_definition(value.get("value"), definition) for value in values]
    value = None if is_hidden else _sorted(texts) if is_list else texts[0]
    return Setting(key, value, SettingKind.SETTINGS_CATALOG, is_hidden=is_hidden, definition=definition)


def _without_definition(value: JsonValue, definition: str) -> JsonValue:
    if isinstance(value, str) and value.casefold().startswith(f"{definition.casefold()}_"):
        return value[len(definition) + 1 :].casefold()
    return value


def _group(key: str, definition: str, members: list[JsonObject], place: str) -> Iterator[Setting]:
    """A lone member needs no name. Members that names do not distinguish become one setting with all their values."""
    names = [_member_name(member, definition) for member in members]
    if len(members) == 1 and names == [None]:
        yield from _children(members[0], place)
    elif None not in names and not any(number > 1 for number in Counter(names).values()):
        for member, name in zip(members, names, strict=True):
            yield from _children(member, f"{key}[{name}]/")
    elif members:
        below = [sorted(_children(member, ""), key=_order) for member in members]
        is_hidden = any(child.is_hidden for children in below for child in children)
        texts = [", ".join(f"{child.key}={child.text}" for child in children) for children in below]
        value: JsonValue = None if is_hidden else [*sorted(texts)]
        yield Setting(key, value, SettingKind.SETTINGS_CATALOG, is_hidden=is_hidden, definition=definition)


def _member_name(member: JsonObject, definition: str) -> str | None:
    children = member.get("children")
    names = {
        (below, str(value["value"]))
        for child in (children if isinstance(children, list) else ())
        if isinstance(child, dict)
        for value in [child.get("simpleSettingValue")]
        if isinstance(value, dict) and isinstance(value.get("value"), str) and value.get(TYPE) != SECRET_VALUE
        for below in [str(child.get("settingDefinitionId")).casefold().removeprefix(definition.casefold())]
        if _NAMES_A_MEMBER.fullmatch(below.removeprefix("_item"))
    }
    return min(names)[1] if names else None


def _intent_setting(member: JsonObject) -> Iterator[Setting]:
    """The definition's id has the kind and property of a typed policy."""
    definition = str(member["definitionId"])
    key = definition.removeprefix("deviceConfiguration--").replace("_", "/", 1)
    held = member.get("valueJson", member.get("value"))
    value = held
    if isinstance(held, str) and "valueJson" in member:
        try:
            value = decode(held.encode())
            encode(value)  # a lone surrogate is no text
        except (ValueError, RecursionError, TooManyNumbersError):
            value = held
    for setting in property_settings(key, value, SettingKind.INTENT):
        yield setting._replace(definition=definition)


# Administrative templates


def _template_settings(document: JsonObject) -> Iterator[Setting]:
    values = document.get("definitionValues")
    for value in values if isinstance(values, list) else ():
        definition = value.get("definition") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(definition, dict) or not definition.get("id"):
            continue
        key, label = _template_key(definition), _text_of(definition.get("displayName"))
        enabled = value.get("enabled")
        yield Setting(
            key,
            None if is_mark(enabled) else ENABLED if enabled else DISABLED,
            SettingKind.ADMINISTRATIVE_TEMPLATE,
            is_hidden=is_mark(enabled),
            definition=str(definition["id"]),
            label=label,
        )
        presented = value.get("presentationValues")
        for presentation in presented if isinstance(presented, list) else ():
            if isinstance(presentation, dict):
                yield _presentation_setting(presentation, key, label)


def _template_key(definition: JsonObject) -> str:
    if definition.get("policyType") == "admxIngested":
        where = (str(definition.get(name) or "") for name in ("classType", "categoryPath", "displayName"))
        return f"admx:{'/'.join(where)}"
    return f"admx:{str(definition['id']).casefold()}"


def _presentation_setting(value: JsonObject, key: str, label: str | None) -> Setting:
    presentation = value.get("presentation")
    named = presentation if isinstance(presentation, dict) else {}
    called = (_text_of(named.get("label")) or "").rstrip(": ")
    own = called if ":" in key.removeprefix("admx:") or "\\" in key else str(named.get("id") or called)
    held = value["values"] if "values" in value else value.get("value")
    is_hidden = _holds_mark(held)
    return Setting(
        f"{key}/{own.casefold()}",
        None if is_hidden else _plain(held),
        SettingKind.ADMINISTRATIVE_TEMPLATE,
        is_hidden=is_hidden,
        definition=str(named.get("id") or "") or None,
        label=" → ".join(word for word in (label, called) if word) or None,
    )


# OMA-URI

_ADMX_BACKED = re.compile(r"\s*<(enabled|disabled)\s*/>", re.IGNORECASE)
_ADMX_DATA = re.compile(r"<data\s+id=\"([^\"]*)\"\s+value=\"([^\"]*)\"\s*/>", re.IGNORECASE)


def _oma_settings(document: JsonObject) -> Iterator[Setting]:
    settings = document.get("omaSettings")
    is_windows = str(document.get(TYPE) or "#microsoft.graph.windows").startswith("#microsoft.graph.windows")
    for setting in settings if isinstance(settings, list) else ():
        if isinstance(setting, dict) and isinstance(setting.get("omaUri"), str):
            path = str(setting["omaUri"])
            yield from _oma_values(oma_key(path, is_windows=is_windows), setting)


def _oma_values(key: str, setting: JsonObject) -> Iterator[Setting]:
    """An ADMX-backed policy holds several settings of the settings catalog."""
    value, label = setting.get("value"), _text_of(setting.get("displayName"))
    if _holds_mark(value) or setting.get("isEncrypted"):
        yield Setting(key, None, SettingKind.OMA_URI, is_hidden=True, label=label)
        return
    backed = _ADMX_BACKED.match(value) if isinstance(value, str) else None
    if backed is None or not isinstance(value, str):
        yield Setting(key, _plain(value), SettingKind.OMA_URI, label=label)
        return
    yield Setting(key, "1" if backed[1].casefold() == ENABLED else "0", SettingKind.OMA_URI, label=label)
    for name, held in _ADMX_DATA.findall(value):
        yield Setting(f"{key}_{name.casefold()}", held, SettingKind.OMA_URI, label=label)


# Typed policies

_UNSET = frozenset({"notconfigured", "devicedefault", "userdefined", "notset", "unavailable"})
"""Values by which a typed policy leaves the device as it is."""

_OWN_PROFILE = re.compile(r"Wi-?Fi|Vpn|Wired|Certificate|Scep|Pkcs|Email|EasConfig|ImportedPFX", re.IGNORECASE)
"""Kinds of which a device takes several policies, each with a name."""

_LISTS_OF_SETTINGS = ("settings", "settingInstance", "definitionValues")
"""A typed policy has none of these properties."""

_PROFILE_NAMES = ("ssid", "networkName", "connectionName", "accountName", "displayName")


def _typed_settings(document: JsonObject, type_key: str) -> Iterator[Setting]:
    place = typed_place(document, type_key)
    if place is not None:
        for name, value in document.items():
            if is_setting(name):
                yield from property_settings(f"{place}/{name}", value, SettingKind.PROPERTY)


def typed_place(document: JsonObject, type_key: str) -> str | None:
    """The kind that begins a typed policy's keys; None for other policies."""
    if not document.keys().isdisjoint(_LISTS_OF_SETTINGS):
        return None
    kind = _text_of(document.get(TYPE))
    place = type_key if kind is None else kind.removeprefix("#microsoft.graph.")
    if not _has_own_profiles(place):
        return place
    name = next((document[name] for name in _PROFILE_NAMES if isinstance(document.get(name), str)), "")
    return f"{place}[{name}]"


@lru_cache(maxsize=1_000)
def _has_own_profiles(kind: str) -> bool:
    return _OWN_PROFILE.search(kind) is not None


def is_setting(name: str) -> bool:
    return name not in POLICY_FACTS and not _is_annotation(name)


def property_settings(key: str, value: JsonValue, kind: SettingKind) -> Iterable[Setting]:
    """An object gives a setting for each of its properties."""
    if isinstance(value, dict):
        return (Setting(key, None, kind, is_hidden=True),) if is_mark(value) else _member_settings(key, value, kind)
    if value is None or value == "" or value == []:
        return ()
    is_hidden = _holds_mark(value)
    return (Setting(key, None if is_hidden else _plain(value), kind, is_hidden, _is_unset(value)),)


def _member_settings(key: str, value: JsonObject, kind: SettingKind) -> Iterator[Setting]:
    for name, child in value.items():
        if not _is_annotation(name):
            yield from property_settings(f"{key}/{name}", child, kind)


def _is_unset(value: JsonValue) -> bool:
    return value is False or (isinstance(value, str) and value.casefold() in _UNSET)


def _is_annotation(name: str) -> bool:
    return "@" in name or name.startswith("#")


def _holds_mark(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return is_mark(value) or any(map(_holds_mark, value.values()))
    return isinstance(value, list) and any(map(_holds_mark, value))


def _plain(value: JsonValue) -> JsonValue:
    """Sorts a list, since order means nothing in policies."""
    return _sorted(value) if isinstance(value, list) else value


def _sorted(values: list[JsonValue]) -> JsonValue:
    return sorted(values, key=value_text)


def _text_of(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
