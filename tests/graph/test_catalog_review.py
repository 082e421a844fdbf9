"""Each remark of the catalog's review is mended in the entry or refuted with a reason."""

import csv
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from graph.catalog import Collection, load_catalog
from graph.catalog.deviations import deviations
from inventory.references import path_of
from tests.conftest import GRAPH_DATA

TABLE = GRAPH_DATA.parent / "reference" / "catalog-review.csv"

COLLECTIONS = load_catalog().collections

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="the review of the catalog is not here")


class Remark(NamedTuple):
    """The answer to remarks."""

    remark: str
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    refuted: str = ""


class Gap(NamedTuple):
    """Why places of ids hold no reference."""

    gap: str
    reason: str


@cache
def data() -> tuple[list[Remark], list[Gap]]:
    read = tomllib.loads(Path(__file__).with_name("catalog_review.toml").read_text(encoding="utf-8"))
    remarks = [
        Remark(
            remark["remark"], tuple(remark.get("has", ())), tuple(remark.get("lacks", ())), remark.get("refuted", "")
        )
        for remark in read["remark"]
    ]
    return remarks, [Gap(**gap) for gap in read["gap"]]


def rows() -> list[dict[str, str]]:
    with TABLE.open(newline="") as lines:
        return list(csv.DictReader(lines))


def remarks_of(row: dict[str, str]) -> Iterator[str]:
    """Each remark as `type key: [kind] field`."""
    for remark in filter(None, row["issues(have => right (source))"].split(" ;; ")):
        head = re.match(r"\[[^\]]+\] [^\s:]+", remark)
        assert head is not None, remark
        yield f"{row['type_key']}: {head[0]}"


def aspects(entry: Collection) -> Iterator[str]:
    """The properties of an entry, as catalog_review.toml names them."""
    yield from (f"path {entry.path}", f"api version {entry.api_version}", f"permission {entry.permission}")
    yield from (f"name {entry.name_field}", f"expands {entry.expand}")
    if entry.singleton:
        yield "singleton"
    if entry.delegated_only:
        yield "delegated only"
    for call in entry.details:
        yield from (f"detail {call.property}", f"calls {call.path}", f"detail permission {call.permission}")
        yield from (f"detail {child.property}" for child in call.children)
    for kind, names in (
        ("ordered", entry.ordered),
        ("volatile", (*entry.volatile, *(name.removeprefix("/") for name in entry.volatile if name != "/version"))),
        ("sensitive", entry.sensitive),
        ("selects", entry.select),
        ("reference", map(path_of, entry.references)),
        ("meta", (path for paths in entry.meta.values() for path in paths)),
    ):
        yield from (f"{kind} {name}" for name in names)
    for deviation in deviations():
        if entry.type_key in deviation.type_keys:
            yield from (f"deviates {what}" for what in deviation.what)


def answer_to(remark: str) -> Remark | None:
    return next((reviewed for reviewed in data()[0] if re.fullmatch(reviewed.remark, remark)), None)


def test_every_remark_is_mended_or_refuted() -> None:
    remarks = [(row["type_key"], remark) for row in rows() for remark in remarks_of(row)]
    assert len(remarks) >= 90
    assert [remark for _, remark in remarks if answer_to(remark) is None] == []
    unmet = {}
    for type_key, remark in remarks:
        answer, present = answer_to(remark), set(aspects(COLLECTIONS[type_key]))
        if answer is not None and (set(answer.has) - present or set(answer.lacks) & present):
            unmet[remark] = (set(answer.has) - present, set(answer.lacks) & present)
    assert unmet == {}


def test_each_answer_has_a_remark() -> None:
    used = {answer_to(remark) for row in rows() for remark in remarks_of(row)}
    assert [reviewed.remark for reviewed in data()[0] if reviewed not in used] == []
    assert all(reviewed.has or reviewed.lacks or reviewed.refuted for reviewed in data()[0])


def gaps() -> Iterator[tuple[str, str]]:
    """Type key and place of each id without a reference, by the review; `*` stands for any names."""
    for row in rows():
        for gap in filter(None, row["reference_gaps"].split(" ;; ")):
            places = re.sub(r" ?\([^)]*\)|\?\S+", "", gap.partition(" -> ")[0])
            yield from ((row["type_key"], place.strip(" …")) for place in places.split(","))


def test_each_reference_gap_of_the_review_is_followed_or_judged() -> None:
    unjudged = []
    for type_key, place in gaps():
        pattern = re.escape(place).replace(r"\*", ".*")
        found = any(
            re.fullmatch(rf"(.*\.)?{pattern}(\..*)?", rule) for rule in map(path_of, COLLECTIONS[type_key].references)
        )
        if not found and not any(re.fullmatch(expected.gap, f"{type_key}: {place}") for expected in data()[1]):
            unjudged.append((type_key, place))
    assert unjudged == []
