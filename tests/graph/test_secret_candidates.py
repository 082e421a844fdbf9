"""Each property in the catalog's documents whose name suggests a secret is hidden, or kept for a reason."""

import csv
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from graph.catalog import load_catalog
from inventory.observation import Observer

CANDIDATES = Path(__file__).resolve().parents[3] / "shared" / "reference" / "secret-candidates.csv"
JUDGED: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("not_secret.toml").read_text())["judged"]
PLANTED = "planted"


class Candidate(NamedTuple):
    """A property of a type, at a path in the documents of a collection."""

    type_key: str
    path: str
    type: str

    @property
    def name(self) -> str:
        """The last name of its path."""
        return self.path.rpartition(".")[2]


def candidates() -> Iterator[Candidate]:
    with CANDIDATES.open(newline="") as rows:
        for row in csv.DictReader(rows):
            yield Candidate(row["type_key"], row["property"], row["type"].removeprefix("microsoft.graph."))


def is_kept(candidate: Candidate) -> bool:
    """Whether the stored document keeps a value in this place."""
    collection = load_catalog().collections[candidate.type_key]
    *way, name = candidate.path.split(".")
    value: Any = {"@odata.type": f"#microsoft.graph.{candidate.type}", name: PLANTED}
    for step in reversed(way):
        value = {step: value}
    rules = collection.observation_rules(hide_script_bodies=True)
    return PLANTED.encode() in Observer(rules).observe({**value, collection.id_field: "an id"}).document


def fits(candidate: Candidate, judged: dict[str, Any]) -> bool:
    """Whether a judgement covers this property."""
    by_name = candidate.name in judged.get("names", ()) or candidate.name.lower().endswith(
        tuple(judged.get("name_endings", ()))
    )
    return (
        (by_name or not {"names", "name_endings"} & judged.keys())
        and candidate.type in judged.get("types", [candidate.type])
        and candidate.type_key in judged.get("collections", [candidate.type_key])
        and candidate.type not in judged.get("other_types_than", ())
    )


@pytest.mark.skipif(not CANDIDATES.is_file(), reason="the list of candidates is not here")
def test_each_candidate_is_hidden_or_judged() -> None:
    kept = [candidate for candidate in candidates() if is_kept(candidate)]
    assert len(kept) > 100
    assert [entry for entry in kept if not any(fits(entry, judged) for judged in JUDGED)] == []
    assert [judgement["reason"] for judgement in JUDGED if not any(fits(entry, judgement) for entry in kept)] == [], (
        "judgements that are no longer needed"
    )


def test_unjudged_property_is_found() -> None:
    unknown = Candidate("deviceConfigurations", "newThing.content", "newThing")
    assert is_kept(unknown)
    assert not any(fits(unknown, judged) for judged in JUDGED)
