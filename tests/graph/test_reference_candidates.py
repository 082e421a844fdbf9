"""Every property that looks like an id of another object is followed as a reference or judged to be none."""

import csv
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from graph.catalog import load_catalog
from inventory.references import path_of
from tests.conftest import GRAPH_DATA

TABLE = GRAPH_DATA.parent / "reference" / "reference-candidates.csv"

COLLECTIONS = load_catalog().collections

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="the table of candidates is not here")


class Judgement(NamedTuple):
    """Why properties are no references."""

    where: str
    reason: str
    unless: str = r"(?!)"

    def covers(self, candidate: str) -> bool:
        return bool(re.fullmatch(self.where, candidate)) and not re.fullmatch(self.unless, candidate)


@cache
def judgements() -> list[Judgement]:
    data = tomllib.loads(Path(__file__).with_name("reference_candidates.toml").read_text(encoding="utf-8"))
    return [Judgement(**judged) for judged in data["judged"]]


def rows() -> list[tuple[str, str]]:
    with TABLE.open(newline="") as lines:
        return [(row["type_key"], row["property"]) for row in csv.DictReader(lines)]


def is_followed(type_key: str, name: str) -> bool:
    return any(
        rule.rpartition("/")[2] == name.rpartition(".")[2] if rule.startswith("#") else path_of(rule) == name
        for rule in COLLECTIONS[type_key].references
    )


def judgement_of(type_key: str, name: str) -> Judgement | None:
    return next((judgement for judgement in judgements() if judgement.covers(f"{type_key}: {name}")), None)


def test_every_candidate_is_a_reference_or_judged_to_be_none() -> None:
    unjudged = [row for row in rows() if not is_followed(*row) and judgement_of(*row) is None]
    assert unjudged == []
    assert sum(is_followed(*row) for row in rows()) >= 75


def test_each_judgement_is_needed() -> None:
    used = {judgement_of(*row) for row in rows() if not is_followed(*row)}
    assert [judgement.where for judgement in judgements() if judgement not in used] == []
    assert all(judgement.reason.endswith(".") for judgement in judgements())
