"""Rules for writing items, checked against Microsoft's published paths and types."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.catalog import load_catalog, unpublished_requests, write_rules
from inventory.write_rules import WriteRules
from tests.graph.catalog_judge import shape_of

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "schema"
PATHS, MODELS = PUBLISHED / "beta-paths.json.gz", PUBLISHED / "beta-models.json.gz"
COLLECTIONS = load_catalog().collections
RULES = write_rules()
BLOCKING_PARTS = {"deviceConfigurations": {"privacyAccessControls"}}
"""Details that no request writes: a promotion of an item that has them is blocked."""


def names_of(rules: WriteRules) -> Iterator[str]:
    """The paths of properties that rules name."""
    yield from (
        *rules.fixed,
        *rules.bound,
        *rules.ids_alone,
        *rules.inert,
        *rules.off,
        *rules.built_in,
        *rules.not_in_document,
    )
    for part in rules.parts:
        yield part.name
        yield from part.beside
        yield from (f"{part.name}.{name}" for name in part.only)


def missing_names(type_key: str, rules: WriteRules) -> set[str]:
    """The names that no type of the collection has."""
    missing = set()
    for path in names_of(rules):
        reached = shape_of(COLLECTIONS[type_key])
        for name in () if path in ("@odata.type", "id") else path.split("."):
            reached = None if reached is None else reached.step(name)
        if reached is None:
            missing.add(path)
    return missing


def requests_of(type_key: str, rules: WriteRules) -> Iterator[str]:
    path = COLLECTIONS[type_key].path
    yield f"POST {path}"
    yield f"{'PUT' if rules.replaced else 'PATCH'} {path}/{{id}}"
    yield from (f"POST {part.path}" for part in rules.parts)


def test_every_collection_of_promotions_has_rules() -> None:
    assert RULES.keys() >= {
        "assignmentFilters", "roleScopeTags", "configurationPolicies", "deviceConfigurations",
        "deviceCompliancePolicies", "groupPolicyConfigurations", "deviceManagementScripts", "deviceShellScripts",
        "deviceHealthScripts", "iosManagedAppProtections", "androidManagedAppProtections", "mobileAppConfigurations",
        "targetedManagedAppConfigurations", "namedLocations", "authenticationStrengthPolicies",
        "conditionalAccessPolicies",
    }  # fmt: skip
    assert RULES.keys() <= COLLECTIONS.keys()


@pytest.mark.parametrize("type_key", sorted(RULES))
def test_rules_name_properties_that_microsoft_publishes(type_key: str) -> None:
    rules = RULES[type_key]
    assert missing_names(type_key, rules) == set()
    assert missing_names(type_key, rules.model_copy(update={"fixed": frozenset({"platfrom"})})) == {"platfrom"}


@pytest.mark.parametrize("type_key", sorted(RULES))
def test_details_and_assignments_have_write_requests(type_key: str) -> None:
    """Graph accepts a detail in its own request, or with the object if that is replaced as a whole."""
    rules, collection = RULES[type_key], COLLECTIONS[type_key]
    written = {part.name for part in rules.parts} | rules.bound.keys()
    with_the_object = {"settings"} if rules.replaced else set()
    assert collection.detail_properties - written - with_the_object == BLOCKING_PARTS.get(type_key, set())
    assert not collection.assignable or "assignments" in written


@pytest.mark.parametrize("type_key", sorted(RULES))
def test_tenant_specific_and_computed_properties_are_not_sent(type_key: str) -> None:
    rules = RULES[type_key]
    assert rules.not_sent >= {"createdDateTime", "lastModifiedDateTime", "modifiedDateTime", "version", "isAssigned"}
    assert not rules.not_sent & {COLLECTIONS[type_key].name_field, "assignments", "settings", "state", "conditions"}


@pytest.mark.skipif(not PATHS.is_file(), reason="Microsoft's published paths are not here")
def test_every_request_is_published_or_a_deviation_with_a_reason() -> None:
    paths: dict[str, Any] = json.loads(gzip.decompress(PATHS.read_bytes()))
    published = {
        f"{method.upper()} {re.sub(r'{[^}]+}', '{id}', path)}"
        for path, facts in paths.items()
        for method in facts["methods"]
    }
    needed = {request for type_key, rules in RULES.items() for request in requests_of(type_key, rules)}
    assert needed - published == unpublished_requests().keys()


def test_referenced_content_is_written_first() -> None:
    """Assignments are written after all content."""
    for type_key, rules in RULES.items():
        content = {path: to for path, to in COLLECTIONS[type_key].references.items() if "assignments." not in path}
        for targets in content.values():
            for target in set(targets) & RULES.keys() - {type_key}:
                assert RULES[target].order < rules.order, f"{type_key} refers to {target}"


@pytest.mark.skipif(not MODELS.is_file(), reason="Microsoft's published types are not here")
def test_every_value_that_rules_name_is_published() -> None:
    """Graph refuses unknown states."""
    models: dict[str, Any] = json.loads(gzip.decompress(MODELS.read_bytes()))
    published = {value for facts in models.values() for value in facts.get("enum", ())}
    named = {
        value
        for rules in RULES.values()
        for values in (rules.inert, rules.off, rules.built_in, rules.not_in_document)
        for path, value in values.items()
        if isinstance(value, str) and path != "id"
    }
    assert named - published == set()
    assert "enabledForReportingButNotEnforced" in named
