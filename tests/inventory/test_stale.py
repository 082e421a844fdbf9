"""The earlier content that a document keeps for unreadable details, and its explanation."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inventory.document_parts import DetailPlace, with_last_read, without_places
from inventory.error_codes import ErrorCode
from inventory.stale import Staleness, StalePart

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("settings", "assignments", "values")
leaves = st.integers(0, 3) | st.text(max_size=3)
members = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("abc"), "enabled": st.booleans()}, optional={"presented": leaves}),
    max_size=3,
    unique_by=lambda member: member["id"],
)
documents = st.fixed_dictionaries({"id": st.just("1"), "displayName": leaves}, optional=dict.fromkeys(NAMES, members))
places = st.builds(DetailPlace, st.sampled_from(NAMES)) | st.builds(
    DetailPlace, st.sampled_from(NAMES), st.just("presented"), st.sampled_from("abc")
)


def carried(
    document: dict[str, Any], last: dict[str, Any], unread: list[DetailPlace]
) -> tuple[dict[str, Any], list[DetailPlace]]:
    return with_last_read(document, last, unread, listed_names=frozenset(NAMES), lacked=set())


@given(documents, st.lists(places, max_size=3))
def test_unread_details_do_not_change_an_unchanged_item(document: dict[str, Any], unread: list[DetailPlace]) -> None:
    found, lacking = carried(without_places(document, unread), document, unread)
    assert found == document
    assert all(without_places(document, [place]) == document for place in lacking)


@given(documents, documents, st.lists(places, max_size=3))
def test_readable_details_have_their_current_content(
    now: dict[str, Any], last: dict[str, Any], unread: list[DetailPlace]
) -> None:
    found, _ = carried(without_places(now, unread), last, unread)
    assert without_places(found, unread) == without_places(now, unread)


@given(documents, documents)
def test_an_unreadable_item_takes_plain_values_from_its_listing(now: dict[str, Any], last: dict[str, Any]) -> None:
    listed = {"id": now["id"], "displayName": now["displayName"], "settings": None}
    found, lacking = with_last_read(listed, last, [DetailPlace(None)], listed_names=frozenset(), lacked=set())
    assert found == {**last, "displayName": now["displayName"]}
    assert lacking == []


def test_a_detail_that_the_last_version_lacked_stays_absent() -> None:
    place = DetailPlace("settings")
    last: dict[str, Any] = {"id": "1", "settings": "of its list"}
    assert with_last_read({"id": "1"}, last, [place], listed_names=frozenset(), lacked={place}) == (
        {"id": "1"},
        [place],
    )


def test_stale_parts_are_explained_in_words() -> None:
    lost = StalePart(detail="settings", error_code=ErrorCode.GRAPH_UNAVAILABLE, http_status=500, read_at=NOON)
    of_member = StalePart(
        detail="values",
        member_detail="presented",
        member_id="a",
        member_name="A rule",
        error_code=ErrorCode.GRAPH_NOT_FOUND,
    )
    stale = Staleness(since=NOON, parts=[lost, of_member, StalePart()])
    assert stale.why == (
        "settings could not be read (graph_unavailable, HTTP 500);"
        ' presented of "A rule" could not be read (graph_not_found); details were not read'
    )
    assert Staleness(since=NOON, parts=[lost] * 5).why.endswith("; 2 more parts")
    assert Staleness(since=NOON, parts=[lost]).is_about("settings[a].value")
    assert not Staleness(since=NOON, parts=[lost]).is_about("settingsOther")
    assert Staleness(since=NOON, parts=[of_member]).is_about("values[A rule].presented[0]")
    assert not Staleness(since=NOON, parts=[of_member]).is_about("values[A rule].enabled")
