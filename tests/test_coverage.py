"""The coverage page: the catalog reads each kind that other tools read, or the page gives a reason."""

import csv
import re

import pytest

from docs.coverage import covered_path, monitored, page, table
from graph.catalog import load_catalog
from tests.conftest import GRAPH_DATA

CANDIDATES = GRAPH_DATA.parent / "reference" / "missing-collections.csv"


def test_each_kind_that_microsoft_monitors_is_read_or_has_a_reason() -> None:
    catalog = load_catalog().collections
    for workload, kinds in monitored():
        for kind in kinds:
            assert set(kind.type_keys) <= catalog.keys(), kind.name
            assert kind.type_keys or kind.reason, f"{workload}.{kind.name}"


@pytest.mark.parametrize(("workload", "left_out"), [("intune", set()), ("entra", {"user"})])
def test_all_monitored_kinds_but_users_are_read(workload: str, left_out: set[str]) -> None:
    kinds = dict(monitored())[workload]
    assert {kind.name for kind in kinds if not kind.type_keys} == left_out


def test_each_path_of_an_export_tool_is_read_or_has_a_reason() -> None:
    for paths in table()["paths"].values():
        unexplained = [path.name for path in map(covered_path, paths) if not path.type_keys and not path.reason]
        assert unexplained == []


def test_left_out_paths_are_not_read_and_other_addresses_are() -> None:
    assert [path for path in table()["left_out"] if covered_path(path).type_keys] == []
    assert [path for path in table()["other_address"] if not covered_path(path).type_keys] == []


@pytest.mark.skipif(not CANDIDATES.is_file(), reason="the table of missing collections is not here")
def test_each_wanted_candidate_is_read_or_has_a_reason() -> None:
    with CANDIDATES.open(newline="") as lines:
        paths = [
            re.sub(r"\{[^}]*\}", "{id}", row["path_or_object"])
            for row in csv.DictReader(lines)
            if row["want"] in {"must", "should"} and row["kind"] != "outside Graph"
        ]
    assert paths
    assert [path for path in paths if not covered_path(path).type_keys and not covered_path(path).reason] == []


def test_the_page_counts_collections_and_kinds() -> None:
    assert f"The catalog has {len(load_catalog().collections)} collections" in page()
    assert "| Microsoft's configuration monitoring: intune | 70 | 70 |" in page()
    assert "| Microsoft's configuration monitoring, all workloads | 263 | 111 |" in page()
