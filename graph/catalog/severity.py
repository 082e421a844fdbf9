"""How much a drift finding matters: the table of this release."""

import tomllib
from functools import cache
from pathlib import Path

from graph.catalog.loading import load_catalog
from inventory.drift import FindingKind
from inventory.severity import Severity, SeverityRule, severity


def severity_of(type_key: str, kind: FindingKind, path: str) -> Severity:
    """The severity of a finding, by the first rule of the table that fits."""
    collection = load_catalog().collections.get(type_key)
    return severity(severity_rules(), type_key, None if collection is None else collection.category, kind, path)


@cache
def severity_rules() -> tuple[SeverityRule, ...]:
    """The table, in its order. Raises `ValueError` where a rule is wrong: a fault of the release."""
    table = tomllib.loads(Path(__file__).with_name("severity.toml").read_text(encoding="utf-8"))
    return tuple(SeverityRule.model_validate(rule) for rule in table["rule"])
