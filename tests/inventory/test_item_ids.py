"""Ids made of GUIDs ignore case; others do not. The database agrees."""

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.item_ids import item_key

GUID = "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9"
LOWER = GUID.lower()
OF_GUIDS = [
    (GUID, LOWER),
    (f"{{{GUID}}}", f"{{{LOWER}}}"),
    (f"{GUID}_{LOWER}", f"{LOWER}_{LOWER}"),
    (f"{GUID}_2", f"{LOWER}_2"),
    (f"{GUID}:{GUID}", f"{LOWER}:{LOWER}"),
    (f"T_{GUID}", f"T_{LOWER}"),
]
TOLD_APART = [
    "lAPpYvVpN0KRkAEhdxReEJC2sEqbR_9Hr48lds9SGHI-1",  # a role assignment
    "ZD6Vv0IbbUahFdtAPV4VH8r0CWZqbqVErSGmqkF5PMk",  # a permission grant
    "Fido2",
    "AllUsers_" + GUID,
    GUID + "x",
    "AB_" + GUID,
    "GlobalAdmin",
    "",
    "É" + GUID,
]


@pytest.mark.parametrize(("graph_id", "key"), OF_GUIDS)
def test_an_id_of_guids_has_the_same_key_in_any_case(graph_id: str, key: str) -> None:
    assert item_key(graph_id) == item_key(key) == key


@pytest.mark.parametrize("graph_id", TOLD_APART)
def test_other_ids_are_case_sensitive(graph_id: str) -> None:
    assert item_key(graph_id) == graph_id


@given(
    st.from_regex(
        r"([A-Za-z]_)?\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?([_:;,|][0-9]+)?", fullmatch=True
    )
)
def test_an_item_key_is_idempotent_and_changes_only_case(graph_id: str) -> None:
    key = item_key(graph_id)
    assert item_key(key) == key == item_key(graph_id.swapcase() if graph_id[1] != "_" else graph_id)
    assert key.lower() == graph_id.lower()


def test_the_database_and_python_compute_the_same_item_keys(database_url: str) -> None:
    ids = [graph_id for pair in OF_GUIDS for graph_id in pair] + TOLD_APART
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT id, item_key(id) FROM unnest(%s::text[]) AS id", [ids]).fetchall()
    assert {graph_id: item_key(graph_id) for graph_id in ids} == dict(rows)
