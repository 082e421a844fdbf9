"""Enumerations: properties that are enumerations in every published type of Graph."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from graph.catalog import load_catalog
from graph.catalog.facts.enumerations import always_enumerations, enumerations, published

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "reference" / "schema"

needs_schema = pytest.mark.skipif(not SCHEMA.is_dir(), reason="Microsoft's published types are not here")

METADATA = """<?xml version="1.0"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="microsoft.graph" Alias="graph" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EnumType Name="runAsAccountType"><Member Name="system"/></EnumType>
<EntityType Name="script">
<Property Name="account" Type="graph.runAsAccountType"/>
<Property Name="accounts" Type="Collection(microsoft.graph.runAsAccountType)"/>
<Property Name="state" Type="graph.runAsAccountType"/>
<Property Name="name" Type="Edm.String"/>
</EntityType>
<ComplexType Name="part"><Property Name="state" Type="Edm.String"/></ComplexType>
</Schema></edmx:DataServices></edmx:Edmx>
"""


def test_name_that_is_text_elsewhere_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "metadata.csdl"
    file.write_text(METADATA)
    assert always_enumerations([file]) == {"account", "accounts"}


def test_collections_use_the_enumerations_but_not_for_ids() -> None:
    for collection in load_catalog().collections.values():
        assert enumerations() < collection.observation_rules().enumerations
        assert collection.id_field not in enumerations()
    assert {"runAsAccount", "passwordRequiredType"} < enumerations()


@needs_schema
def test_enumerations_match_microsofts_published_types() -> None:
    kinds: dict[str, set[bool]] = {}
    stable = _read("v1.0")
    for described in stable["types"].values():
        for name, (kind, _) in described["props"].items():
            kinds.setdefault(name, set()).add(kind in stable["enums"])
    beta = _read("beta-models")
    modules = {(module.rpartition(".")[0], model["cls"]): module for module, model in beta.items()}
    for module, model in beta.items():
        for name, (kind, *_) in model.get("fields", {}).items():
            target = kind if kind in beta else modules.get((module.rpartition(".")[0], kind))
            kinds.setdefault(name, set()).add(target is not None and "enum" in beta[target])
    assert enumerations() == {name for name, found in kinds.items() if found == {True}} & published()


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress((SCHEMA / f"{name}.json.gz").read_bytes()))
    return content
