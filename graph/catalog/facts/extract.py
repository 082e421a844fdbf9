"""Makes `facts.json.gz` from what Microsoft publishes: `python -m graph.catalog.facts.extract --help` (docs/facts.md).

Reads metadata as CSDL or as an extract of the beta SDK's model and request classes, and Microsoft's permission map.
Only names, types, navigation and permissions are kept; the families of `_ROOTS` and the types that they reach.
"""

import argparse
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from graph.catalog.facts import enumerations

Types = dict[str, list[Any]]
"""Type name to [base or null, property to type, navigation to type]; `*` marks a collection."""

_DATA = Path(__file__).with_name("facts.json.gz")

_ROOTS = frozenset({
    "accessReviews", "admin", "agentRegistry", "agents", "agreements", "appCatalogs", "applications", "auditLogs",
    "certificateAuthorities", "certificateBasedAuthConfiguration", "contracts", "copilot", "deviceAppManagement",
    "deviceManagement", "devices", "directory", "directoryRoles", "directoryRoleTemplates",
    "directorySettingTemplates", "domains", "external", "groupLifecyclePolicies", "groups", "groupSettings",
    "groupSettingTemplates", "identity", "identityGovernance", "identityProtection", "identityProviders",
    "informationProtection", "networkAccess", "oauth2PermissionGrants", "onPremisesPublishingProfiles",
    "organization", "permissionGrants", "policies", "privilegedAccess", "reports", "roleManagement", "security",
    "servicePrincipals", "settings", "solutions", "subscribedSkus", "subscriptions", "teamwork",
    "tenantRelationships", "trustFramework",
})  # fmt: skip
"""Roots with configuration: the catalog's, and neighbours that a wrong path might name."""

_ENDS = frozenset({
    "approvalSolution", "bookingBusiness", "bookingCurrency", "businessScenario", "calendar", "channel", "chat",
    "drive", "driveItem", "event", "list", "mailFolder", "message", "migrationsRoot", "onenote", "planner",
    "sharePointRoot", "site", "team", "user", "userSettings", "virtualEventsRoot", "workbook",
})  # fmt: skip
"""Types of people's data: kept without navigation."""

_DATA_OF_GROUPS = re.compile(
    r"^/groups/\{\}/(?:calendar|conversations|drive|events|onenote|photo|planner|sites|team|threads)"
)


def main() -> None:
    """Keeps the data's parts for which no argument is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--v1", type=Path, help="v1.0-Prod.csdl")
    beta = parser.add_mutually_exclusive_group()
    beta.add_argument("--beta", type=Path, help="beta-Prod.csdl")
    beta.add_argument(
        "--beta-sdk",
        type=Path,
        nargs=3,
        metavar=("MODELS", "PATHS", "ENTITIES"),
        help="extract of the beta SDK's classes and paths, and beta-entity-types.json",
    )
    parser.add_argument("--permissions", type=Path, help="permissions.json")
    parser.add_argument(
        "--source",
        action="append",
        nargs=3,
        metavar=("WHAT", "URL", "DATE"),
        required=True,
        help="kept in the data, in the place of the source so called",
    )
    arguments = parser.parse_args()
    data: dict[str, Any] = json.loads(gzip.decompress(_DATA.read_bytes()))
    new_sources = [{"what": what, "url": url, "date": date} for what, url, date in arguments.source]
    data["sources"] = sources(data["sources"], new_sources, new_beta=bool(arguments.beta or arguments.beta_sdk))
    if arguments.v1:
        data["v1.0"] = subset(*csdl(arguments.v1))
    if arguments.beta or arguments.beta_sdk:
        data["beta"] = subset(*(csdl(arguments.beta) if arguments.beta else beta_sdk(*arguments.beta_sdk)))
    if arguments.permissions:
        data["permissions"] = permissions(json.loads(arguments.permissions.read_text(encoding="utf-8")))
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    _DATA.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{_DATA.name}: {_DATA.stat().st_size} bytes")
    if arguments.v1 and arguments.beta:
        enumerations.write([arguments.v1, arguments.beta])
        print(f"{enumerations.FILE.name}: {len(enumerations.FILE.read_text(encoding='utf-8').split())} names")
    else:
        print(f"{enumerations.FILE.name} stays as it is: it is written if --v1 and --beta are given together")


def sources(before: list[dict[str, str]], new: list[dict[str, str]], *, new_beta: bool = False) -> list[dict[str, str]]:
    """New beta types replace all earlier beta sources."""
    named = {source["what"]: source for source in new}
    kept = [source for source in before if not (new_beta and source["what"].startswith("beta"))]
    return [named.pop(source["what"], source) for source in kept] + list(named.values())


def subset(roots: dict[str, str], types: Types) -> dict[str, Any]:
    """Keeps `_ROOTS`, and the types that they reach, with bases and derived types."""
    derived: dict[str, list[str]] = {}
    for name, (base, _, _) in types.items():
        derived.setdefault(base, []).append(name)
    kept_roots = {name: kind for name, kind in roots.items() if name in _ROOTS}
    selected: Types = {}
    open_types = [kind.lstrip("*") for kind in kept_roots.values()]
    while open_types:
        name = open_types.pop()
        if name in selected or name not in types:
            continue
        base, properties, navigations = types[name]
        if name in _ENDS:
            navigations = {}
        selected[name] = [base, properties, navigations]
        if base is not None:
            open_types.append(base)
        # The descendants of `entity` are everything there is.
        open_types += derived.get(name, []) if name not in {"entity", "directoryObject"} else []
        open_types += [kind.lstrip("*") for kind in (*properties.values(), *navigations.values())]
    return {"roots": kept_roots, "types": selected}


def csdl(file: Path) -> tuple[dict[str, str], Types]:
    edm = "{http://docs.oasis-open.org/odata/ns/edm}"
    roots: dict[str, str] = {}
    types: Types = {}
    schemas = list(ElementTree.parse(file).getroot().iter(f"{edm}Schema"))  # noqa: S314 (a file that its reader chose)
    names = {schema.get("Alias"): schema.get("Namespace") for schema in schemas if schema.get("Alias")}
    enums = {
        _short(f"{schema.get('Namespace')}.{enum.get('Name')}")
        for schema in schemas
        for enum in schema.iter(f"{edm}EnumType")
    }

    def named(text: str | None, schema: ElementTree.Element) -> str:
        collection, _, inner = (text or "").removesuffix(")").rpartition("Collection(")
        alias, _, name = inner.rpartition(".")
        # `self` is the alias that several schemas give to themselves.
        namespace = schema.get("Namespace") if alias == schema.get("Alias") else names.get(alias, alias)
        full = _short(f"{namespace}.{name}")
        scalar = full.startswith("Edm.") or full in enums
        return ("*" if text != inner or collection else "") + ("" if scalar else full)

    for schema in schemas:
        for element in (*schema.iter(f"{edm}EntityType"), *schema.iter(f"{edm}ComplexType")):
            base = named(element.get("BaseType"), schema) if element.get("BaseType") else None
            types[_short(f"{schema.get('Namespace')}.{element.get('Name')}")] = [
                base,
                {
                    str(property_element.get("Name")): named(property_element.get("Type"), schema)
                    for property_element in element.findall(f"{edm}Property")
                },
                {
                    str(navigation.get("Name")): named(navigation.get("Type"), schema)
                    for navigation in element.findall(f"{edm}NavigationProperty")
                },
            ]
        for element in schema.iter(f"{edm}EntitySet"):
            roots[str(element.get("Name"))] = "*" + named(element.get("EntityType"), schema)
        for element in schema.iter(f"{edm}Singleton"):
            roots[str(element.get("Name"))] = named(element.get("Type"), schema)
    return roots, types


def beta_sdk(models_file: Path, paths_file: Path, entities_file: Path) -> tuple[dict[str, str], Types]:
    """The roots and types of the beta SDK's classes.

    If Microsoft's list of entity types lacks a type, its properties that are entities or have own paths count as
    navigation.
    """
    models = _read(models_file)
    listed = {
        _short(f"{namespace}.{name}"): frozenset(entity.get("navigationProperties", ()))
        for namespace, entities in _read(entities_file).items()
        for name, entity in entities.items()
    }
    names = {module: _sdk_name(module, model) for module, model in models.items()}
    modules = {(module.rpartition(".")[0], model["cls"]): module for module, model in models.items()}
    listed_members = _below(_read(paths_file), models)

    def kind(field: list[Any], module: str) -> tuple[str, str | None]:
        target = field[0] if field[0] in models else modules.get((module.rpartition(".")[0], field[0]))
        scalar = target is None or "enum" in models[target]
        return ("*" if field[1] else "") + ("" if scalar else names[str(target)]), target

    types: Types = {}
    for module, model in models.items():
        if "enum" in model or model["cls"].endswith("CollectionResponse"):
            continue
        properties: dict[str, str] = {}
        navigations: dict[str, str] = {}
        for name, field in model["fields"].items():
            if name.startswith("@"):
                continue
            text, target = kind(field, module)
            navigated = (
                name in listed[names[module]]
                if names[module] in listed
                else text.lstrip("*") and (_is_entity(target, models) or name in listed_members.get(module, ()))
            )
            (navigations if navigated else properties)[name] = text
        types[names[module]] = [names.get(model["base"] or ""), properties, navigations]
    roots = {}
    for path, answer in _read(paths_file).items():
        if path.count("/") == 1 and answer["get"] in models:
            item = _item(answer["get"], models)
            roots[path[1:]] = ("*" if item != answer["get"] else "") + names[item]
    return roots, types


def permissions(published: dict[str, Any]) -> dict[str, dict[str, dict[str, int]]]:
    """Maps path (lower case, keys as `{}`) to `a`pplication or `d`elegated to permission to 1 for the least."""
    schemes = {"Application": "a", "DelegatedWork": "d"}
    by_path: dict[str, dict[str, dict[str, int]]] = {}
    for permission, described in published["permissions"].items():
        for path_set in described["pathSets"]:
            if "GET" not in path_set["methods"]:
                continue
            for written, attributes in path_set["paths"].items():
                path = re.sub(r"\{[^}]*\}", "{}", written.lower())
                if path.split("/")[1] not in {root.lower() for root in _ROOTS} or _DATA_OF_GROUPS.match(path):
                    continue
                if "(" in path or path.count("microsoft.graph.") > 1:
                    continue
                least = re.search(r"(?:^|;)\s*least=([^;]*)", attributes)
                for scheme in schemes.keys() & set(path_set["schemeKeys"]):
                    marked = least is not None and scheme in least[1].split(",")
                    by_scheme = by_path.setdefault(path, {}).setdefault(schemes[scheme], {})
                    by_scheme[permission] = max(int(marked), by_scheme.get(permission, 0))
    return by_path


def _below(paths: dict[str, Any], models: dict[str, Any]) -> dict[str, set[str]]:
    following: dict[str, set[str]] = {}
    for path in paths:
        parent, _, segment = path.rpartition("/")
        answer = paths.get(parent, {}).get("get")
        if segment.isalnum() and answer in models:
            following.setdefault(answer, set()).add(segment)
    return following


def _item(module: str, models: dict[str, Any]) -> str:
    model = models[module]
    return str(model["fields"]["value"][0]) if model.get("cls", "").endswith("CollectionResponse") else module


def _is_entity(module: str | None, models: dict[str, Any]) -> bool:
    return any(ancestor == "models.entity" for ancestor in _line(module, models))


def _line(module: str | None, models: dict[str, Any]) -> Iterator[str]:
    while module is not None:
        yield module
        module = models[module].get("base")


def _sdk_name(module: str, model: dict[str, Any]) -> str:
    camel = [re.sub(r"_(.)", lambda match: match[1].upper(), part) for part in module.split(".")[1:-1]]
    return ".".join((*camel, model["cls"][0].lower() + model["cls"][1:]))


def _short(name: str) -> str:
    return name.removeprefix("microsoft.graph.")


def _read(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    read: dict[str, Any] = json.loads(gzip.decompress(content) if file.suffix == ".gz" else content)
    return read


if __name__ == "__main__":
    main()
