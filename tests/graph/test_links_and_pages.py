from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.client import GraphAnswer
from graph.links import MAX_LINK_LENGTH, UntrustedLinkError, relative_link
from graph.pages import MalformedPageError, read_page

BASE = "https://graph.microsoft.com"


@given(st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="$=&%()',-_.~/?"), max_size=200))
def test_a_link_keeps_every_character(tail: str) -> None:
    link = f"{BASE}/beta/groups?$skiptoken={tail}"
    if ".." in tail or "%2e" in tail.lower():
        return
    assert relative_link(link, BASE, "beta") == f"/groups?$skiptoken={tail}"


def test_a_doubly_encoded_token_is_not_touched() -> None:
    token = "%255Bcosmosdb%255D%255B%257B%2522compositeToken"
    assert relative_link(f"{BASE}/beta/x?$skiptoken={token}", BASE, "beta") == f"/x?$skiptoken={token}"


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/beta/groups",
        "http://graph.microsoft.com/beta/groups",
        "https://graph.microsoft.com:8443/beta/groups",
        "https://graph.microsoft.com.evil.example/beta/groups",
        "https://graph.microsoft.com@evil.example/beta/groups",
        "https://user:password@graph.microsoft.com/beta/groups",
        "https://graph.microsoft.com/v1.0/groups",
        "https://graph.microsoft.com/groups",
        "https://graph.microsoft.com/beta/../v1.0/groups",
        "https://graph.microsoft.com/beta/%2E%2E/v1.0/groups",
        "https://graph.microsoft.com/beta/groups#fragment",
        "https://graph.microsoft.com\\@evil.example/beta/groups",
        "//evil.example/beta/groups",
        "/beta/groups",
        "javascript:alert(1)",
        "https://graph.microsoft.com/beta/groups\nHost: evil.example",
        "https://graph.microsoft.com/beta/" + "x" * MAX_LINK_LENGTH,
        "https://[",
        "",
    ],
)
def test_foreign_or_malformed_link_is_refused(link: str) -> None:
    with pytest.raises(UntrustedLinkError) as refused:
        relative_link(link, BASE, "beta")
    assert "evil" not in str(refused.value)


@given(st.text(max_size=100))
def test_no_text_breaks_the_link_check(link: str) -> None:
    with suppress(UntrustedLinkError):
        assert relative_link(link, BASE, "beta").startswith("/")


def page(body: Any) -> GraphAnswer:
    return GraphAnswer(200, {}, body)


def test_a_page_has_items_and_a_link() -> None:
    assert read_page(page({"value": [{"id": "1"}, "odd"], "@odata.nextLink": "x"})) == ([{"id": "1"}, "odd"], "x")
    assert read_page(page({"value": []})) == ([], None)


@pytest.mark.parametrize(
    "body", [None, [], "text", {}, {"value": {}}, {"value": None}, {"value": [], "@odata.nextLink": 1}]
)
def test_invalid_page_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedPageError):
        read_page(page(body))


def test_a_singleton_is_its_own_item() -> None:
    assert read_page(page({"id": "1", "value": []}), singleton=True) == ([{"id": "1", "value": []}], None)


def test_types_of_another_entry_are_left_out() -> None:
    body = {"value": [{"@odata.type": "#a"}, {"@odata.type": "#b"}, {"@odata.type": ["odd"]}, {}]}
    assert read_page(page(body), left_out={"#a"}).items == body["value"][1:]


def test_objects_with_a_left_out_value_are_left_out() -> None:
    body = {"value": [{"own": False}, {"own": True}, {"own": 1}, {"own": "true"}, {"own": None}, {}, "odd", None]}
    kept = read_page(page(body), left_out_where={"own": True}).items
    assert kept == [member for number, member in enumerate(body["value"]) if number != 1]
    assert read_page(
        page({"value": [{"own": "Graph"}, {"own": "x"}]}), left_out_where={"own": "Graph", "b": "y"}
    ).items == [{"own": "x"}]
