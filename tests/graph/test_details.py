"""Reading one item's details, call by call, from handmade answers."""

from collections.abc import Callable
from typing import Any

import pytest

from graph.catalog import ChildCall, Collection, DetailCall
from graph.catalog.fields import ApiVersion, ThrottleFamily
from graph.client import GraphAnswer
from graph.details import DetailReading, OpenCall
from graph.errors import ReadFailure
from inventory.canonical import Canonicalizer
from inventory.data_keys import DataKey
from inventory.document_parts import DetailPlace
from inventory.error_codes import ErrorCode

ROOT = "https://graph.example/beta"
PATH = "/deviceManagement/things"

SETTINGS = DetailCall(property="settings", path=f"{PATH}/{{id}}/settings")
ITSELF = DetailCall(path=f"{PATH}/{{id}}", single=True, believe_list=frozenset({"assignments"}))
LOGO = DetailCall(property="logo", path=f"{PATH}/{{id}}/logo", single=True, optional=True)
VALUES = DetailCall(
    property="values",
    path=f"{PATH}/{{id}}/values",
    children=(ChildCall(property="presented", path=f"{PATH}/{{id}}/values/{{child_id}}/presented"),),
)


def collection(*details: DetailCall, **changes: Any) -> Collection:
    return Collection(
        type_key="things",
        title="Things",
        category="things",
        path=PATH,
        api_version=ApiVersion.BETA,
        throttle_family=ThrottleFamily.DIRECTORY,
        permission="Thing.Read.All",
        details=details,
        **changes,
    )


def reading(
    entry: Collection, progress: bytes | None = None, *, kind: str | None = None, **listed: Any
) -> DetailReading:
    canonicalizer = Canonicalizer(sensitive=frozenset({"settings/secret"}), data_key=DataKey(b"key"))
    typed = {} if kind is None else {"@odata.type": kind}
    document = {"id": "one", "displayName": "One", **typed, **listed}
    return DetailReading(entry, canonicalizer, "one", document, progress)


def ok(body: Any) -> GraphAnswer:
    return GraphAnswer(200, {}, body)


def page(*members: Any, after: str | None = None) -> GraphAnswer:
    link = {} if after is None else {"@odata.nextLink": f"{ROOT}{PATH}/one/settings?$skiptoken={after}"}
    return ok({"value": list(members), **link})


GONE = GraphAnswer(404, {}, {"error": {"code": "ResourceNotFound", "message": "no such thing"}})
EXPIRED = GraphAnswer(400, {}, {"error": {"code": "Directory_ExpiredPageToken", "message": "expired"}})


def read(item: DetailReading, answer: Callable[[OpenCall], GraphAnswer], entry: Collection) -> DetailReading:
    """Answers every call until none is open, each as if in another process."""
    for _ in range(50):
        if not item.open:
            return item
        call = item.open[0]
        assert item.take(call, answer(call)) is None, call
        item = reading(entry, item.progress())
    raise AssertionError("it never comes to an end")


def test_pages_are_followed_to_the_end_and_joined_in_order() -> None:
    entry = collection(SETTINGS)
    pages = {
        f"{PATH}/one/settings": page({"id": "0"}, {"id": "1"}, after="a"),
        f"{ROOT}{PATH}/one/settings?$skiptoken=a": page(after="b"),
        f"{ROOT}{PATH}/one/settings?$skiptoken=b": page({"id": "2"}),
    }
    document = read(reading(entry), lambda call: pages[call.url], entry).whole()
    assert document == {"id": "one", "displayName": "One", "settings": [{"id": "0"}, {"id": "1"}, {"id": "2"}]}


def test_progress_between_calls_hides_secrets() -> None:
    item = reading(collection(SETTINGS))
    assert item.take(item.open[0], page({"id": "0", "secret": "s3cret"}, after="a")) is None
    assert b"s3cret" not in item.progress()
    assert b"sensitive" in item.progress()


def test_get_by_id_overrides_the_list_except_believed_properties() -> None:
    entry = collection(ITSELF)
    item = reading(entry, assignments=[{"id": "a"}], script=None)
    assert item.take(item.open[0], ok({"id": "one", "script": "echo", "assignments": []})) is None
    assert item.is_whole
    assert item.whole() == {"id": "one", "displayName": "One", "script": "echo", "assignments": [{"id": "a"}]}


def test_members_of_a_detail_have_their_own_calls() -> None:
    entry = collection(VALUES)
    answers = {
        f"{PATH}/one/values": ok({"value": [{"id": "v/1"}, {"id": "v2"}]}),
        f"{PATH}/one/values/v%2F1/presented": ok({"value": [{"id": "p"}]}),
        f"{PATH}/one/values/v2/presented": ok({"value": []}),
    }
    document = read(reading(entry), lambda call: answers[call.url], entry).whole()
    assert document["values"] == [{"id": "v/1", "presented": [{"id": "p"}]}, {"id": "v2", "presented": []}]


def test_calls_of_a_type_are_made_only_for_it() -> None:
    entry = collection(SETTINGS.model_copy(update={"types": frozenset({"#a"})}))
    assert [call.url for call in reading(entry, kind="#a").open] == [f"{PATH}/one/settings"]
    other = reading(entry, kind="#b")
    assert other.open == []
    assert other.is_whole


@pytest.mark.parametrize(
    ("only_where", "listed", "is_read"),
    [
        ("tags=Integrated", {"tags": ["Hidden", "Integrated"]}, True),
        ("tags=Integrated", {"tags": ["Hidden"]}, False),
        ("tags=Integrated", {"tags": None}, False),
        ("scopes", {"scopes": [{"id": "one"}]}, True),
        ("scopes", {"scopes": []}, False),
        ("scopes", {}, False),
    ],
)
def test_detail_is_read_only_if_the_list_says_it_exists(only_where: str, listed: dict[str, Any], is_read: bool) -> None:
    detail = SETTINGS.model_copy(update={"only_where": only_where})
    assert bool(reading(collection(detail), **listed).open) is is_read


UNLICENSED = GraphAnswer(403, {}, {"error": {"code": "Forbidden", "message": "not licensed for this feature"}})
REFUSED = GraphAnswer(403, {}, {"error": {"code": "Authorization_RequestDenied", "message": "no"}})
LICENSED = SETTINGS.model_copy(update={"licence_hint": "Entra ID P1"})


@pytest.mark.parametrize("is_had", [False, True])
@pytest.mark.parametrize(
    ("entry", "refused", "code", "is_believed"),
    [
        (collection(LICENSED, LOGO), UNLICENSED, ErrorCode.GRAPH_NOT_LICENSED, True),
        (collection(SETTINGS, LOGO), UNLICENSED, ErrorCode.GRAPH_NOT_LICENSED, False),
        (collection(SETTINGS, LOGO, delegated_only=True), REFUSED, ErrorCode.GRAPH_DELEGATED_ONLY, True),
    ],
)
def test_unavailable_detail_without_earlier_content_is_left_out(
    entry: Collection, refused: GraphAnswer, code: ErrorCode, is_believed: bool, is_had: bool
) -> None:
    """Any other refused detail keeps its earlier content and makes the document stale."""
    item = reading(entry)
    settings, logo = item.open
    assert item.take(settings, refused) is None
    assert item.take(logo, ok({"value": "x"})) is None
    item = reading(entry, item.progress())
    assert (item.is_at_end, item.is_whole) == (True, False)
    last: Any = {"id": "one", "settings": [{"id": "0"}]} if is_had else {"id": "one"}
    document, lacking = item.partial(last, [])
    assert document == {**last, "displayName": "One", "logo": {"value": "x"}}
    stale = [(place.property, unread.code, item.is_answer(unread)) for place, unread in item.stale(lacking)]
    assert stale == ([] if is_believed and not is_had else [("settings", code, True)])


@pytest.mark.parametrize(("refused", "is_delegated"), [(UNLICENSED, False), (REFUSED, True)])
def test_a_refusal_after_the_first_page_is_an_error(refused: GraphAnswer, is_delegated: bool) -> None:
    item = reading(collection(LICENSED, delegated_only=is_delegated))
    assert item.take(item.open[0], page({"id": "0"}, after="a")) is None
    [further] = item.open
    failure = item.take(further, refused)
    assert failure is not None, "a started list is read to its end"
    item.give_up(further, failure)
    [unread] = item.unread
    assert not item.is_answer(unread)


def test_missing_optional_detail_is_null() -> None:
    entry = collection(LOGO)
    item = reading(entry)
    assert item.take(item.open[0], GONE) is None
    assert (item.is_whole, item.absent, item.whole()["logo"]) == (True, [DetailPlace("logo")], None)
    item.doubt(DetailPlace("logo"))
    item = reading(entry, item.progress())
    assert (item.is_at_end, item.is_whole, item.absent) == (True, False, [])
    [unread] = item.unread
    assert (unread.code, unread.http_status, item.is_answer(unread)) == (ErrorCode.GRAPH_NOT_FOUND, 404, True)


def test_item_with_a_404_detail_is_requested_before_it_is_gone() -> None:
    item = reading(collection(SETTINGS))
    assert item.take(item.open[0], GONE) is None
    [asks] = item.open
    assert asks.url == f"{PATH}/one?$select=id"
    assert item.may_be_gone
    assert item.take(asks, GONE) is None
    assert (item.gone, item.may_be_gone, item.is_whole, item.open) == (True, False, False, [])


def test_existing_item_with_a_404_detail_is_incomplete() -> None:
    item = reading(collection(SETTINGS))
    assert item.take(item.open[0], GONE) is None
    assert item.take(item.open[0], ok({"id": "ONE"})) is None
    assert (item.is_at_end, item.is_whole) == (True, False)
    [given_up] = item.unread
    assert (given_up.code, given_up.http_status) == (ErrorCode.GRAPH_NOT_FOUND, 404)


def test_expired_page_token_restarts_the_listing_once() -> None:
    entry = collection(SETTINGS)
    item = reading(entry)
    assert item.take(item.open[0], page({"id": "old"}, after="a")) is None
    assert item.take(item.open[0], EXPIRED) is None
    assert [(call.url, call.page) for call in item.open] == [(f"{PATH}/one/settings", 1)]
    assert item.take(item.open[0], page({"id": "new"}, after="a")) is None
    failure = item.take(item.open[0], EXPIRED)
    assert failure is not None
    assert failure.code is ErrorCode.GRAPH_PAGE_EXPIRED
    assert item.take(item.open[0], page({"id": "last"})) is None
    assert item.whole()["settings"] == [{"id": "new"}, {"id": "last"}]


def test_restarted_listing_keeps_no_earlier_pages() -> None:
    item = reading(collection(SETTINGS))
    for name, after in (("first", "a"), ("second", "b")):
        assert item.take(item.open[0], page({"id": name}, after=after)) is None
    assert item.take(item.open[0], EXPIRED) is None
    assert item.take(item.open[0], page({"id": "only"})) is None
    assert item.whole()["settings"] == [{"id": "only"}]


def test_restarted_listing_drops_the_details_of_its_members() -> None:
    entry = collection(VALUES)
    item = reading(entry)
    link = f"{ROOT}{PATH}/one/values?$skiptoken=a"
    assert item.take(item.open[0], ok({"value": [{"id": "v"}], "@odata.nextLink": link})) is None
    following, member = item.open
    assert item.take(member, ok({"value": [{"id": "stale"}]})) is None
    assert item.take(following, EXPIRED) is None
    assert len(item.open) == 1
    document = read(
        item, lambda call: ok({"value": [{"id": "v"}] if call.child is None else [{"id": "p"}]}), entry
    ).whole()
    assert document["values"] == [{"id": "v", "presented": [{"id": "p"}]}]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_paging_loop_is_an_error(length: int) -> None:
    item = reading(collection(SETTINGS))
    failure: ReadFailure | None = None
    for number in range(100):
        failure = item.take(item.open[0], page({"id": str(number)}, after=str(number % length)))
        if failure is not None:
            break
    assert failure is not None
    assert (failure.code, failure.retryable) == (ErrorCode.GRAPH_PAGING_LOOP, False)


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        (ok([1]), ErrorCode.GRAPH_MALFORMED_RESPONSE, True),
        (ok({"no": "value"}), ErrorCode.GRAPH_MALFORMED_RESPONSE, True),
        (GraphAnswer(503, {}, None), ErrorCode.GRAPH_UNAVAILABLE, True),
        (GraphAnswer(403, {}, None), ErrorCode.GRAPH_PERMISSION_MISSING, False),
        (GraphAnswer(404, {}, "<html>"), ErrorCode.GRAPH_NOT_FOUND, False),
        (page({"id": "0", "name": "\ud800"}), ErrorCode.GRAPH_MALFORMED_RESPONSE, False),
    ],
)
def test_failed_answer_leaves_its_call_open(answer: GraphAnswer, code: ErrorCode, retryable: bool) -> None:
    item = reading(collection(SETTINGS))
    before = list(item.open)
    failure = item.take(item.open[0], answer)
    assert failure is not None
    assert (failure.code, failure.retryable) == (code, retryable)
    assert item.open == before


COUNTED = SETTINGS.model_copy(update={"counted_by": "settingCount"})


def test_detail_with_an_unexpected_count_is_read_once_more() -> None:
    item = reading(collection(COUNTED), settingCount=2)
    assert item.take(item.open[0], page({"id": "0"})) is None
    assert [(call.url, call.restarted) for call in item.open] == [(f"{PATH}/one/settings", True)]
    assert item.take(item.open[0], page({"id": "0"}, {"id": "slipped"})) is None
    assert item.whole()["settings"] == [{"id": "0"}, {"id": "slipped"}]
    shrunk = reading(collection(COUNTED), settingCount=2)
    for _ in range(2):
        assert shrunk.take(shrunk.open[0], page({"id": "0"})) is None
    assert shrunk.is_whole, "the list was read before the item was edited"


def test_member_repeated_on_another_page_is_kept_once() -> None:
    item = reading(collection(COUNTED), settingCount=2)
    assert item.take(item.open[0], page({"id": "0"}, after="a")) is None
    assert item.take(item.open[0], page({"id": "0"}, {"id": "1"})) is None
    assert item.whole()["settings"] == [{"id": "0"}, {"id": "1"}]


LISTED: dict[str, Any] = {
    "assignments": [{"id": "0"}],
    "assignments@odata.nextLink": f"{ROOT}{PATH}/one/assignments?$skiptoken=a",
}


def test_next_link_of_an_expanded_list_is_followed_to_the_end() -> None:
    entry = collection(SETTINGS, expand="assignments")
    item = reading(entry, **LISTED)
    assert {call.url for call in item.open} == {f"{PATH}/one/settings", LISTED["assignments@odata.nextLink"]}
    answers = {
        f"{PATH}/one/settings": page({"id": "s"}),
        f"{ROOT}{PATH}/one/assignments?$skiptoken=a": page({"id": "0"}, {"id": "1"}, after="b"),
        f"{ROOT}{PATH}/one/settings?$skiptoken=b": page({"id": "2"}),
    }
    for _ in range(3):
        call = item.open[-1]
        assert item.take(call, answers[call.url]) is None
        # Another process starts from the listed document.
        item = reading(entry, item.progress(), **LISTED)
    assert item.whole() == {
        "id": "one",
        "displayName": "One",
        "settings": [{"id": "s"}],
        "assignments": [{"id": "0"}, {"id": "1"}, {"id": "2"}],
    }


def test_next_link_in_an_answer_is_followed_and_hides_secrets() -> None:
    call_ = DetailCall(path=f"{PATH}/{{id}}?$expand=groups($expand=settings)", single=True)
    entry = collection(call_)
    item = reading(entry)
    link = f"{ROOT}{PATH}/one/groups/g/settings?$skiptoken=a"
    cut = {"id": "g", "settings": [{"id": "0", "secret": "first"}], "settings@odata.nextLink": link}
    assert item.take(item.open[0], ok({"id": "one", "groups": [cut]})) is None
    (rest,) = item.open
    assert (rest.url, rest.path, rest.page) == (link, ("groups", 0, "settings"), 2)
    item = reading(entry, item.progress())
    assert item.take(item.open[0], page({"id": "1", "secret": "second"})) is None
    assert b"second" not in item.progress()
    document: Any = reading(entry, item.progress()).whole()
    (group,) = document["groups"]
    assert [setting["id"] for setting in group["settings"]] == ["0", "1"]
    assert "settings@odata.nextLink" not in group


def test_loop_or_failure_leaves_an_expanded_list_open() -> None:
    for answer, code in (
        (page(after="a"), None),
        (ok({"no": "value"}), ErrorCode.GRAPH_MALFORMED_RESPONSE),
        (GraphAnswer(500, {}, {}), ErrorCode.GRAPH_UNAVAILABLE),
        (EXPIRED, ErrorCode.GRAPH_PAGE_EXPIRED),
    ):
        item = reading(collection(expand="assignments"), **LISTED)
        failure = item.take(item.open[0], answer)
        assert (None if failure is None else failure.code) == code
        assert not item.is_whole


def test_expanded_list_with_its_own_call_is_not_followed() -> None:
    entry = collection(DetailCall(property="assignments", path=f"{PATH}/{{id}}/assignments"), expand="assignments")
    assert [call.url for call in reading(entry, **LISTED).open] == [f"{PATH}/one/assignments"]


def test_next_link_within_a_followed_list_is_followed_too() -> None:
    entry = collection(expand="groups($expand=members)")
    groups = f"{ROOT}{PATH}/one/groups?$skiptoken=a"
    members = f"{ROOT}{PATH}/one/groups/b/members?$skiptoken=a"
    listed: dict[str, Any] = {"groups": [{"id": "a", "members": []}], "groups@odata.nextLink": groups}
    item = reading(entry, **listed)
    # The listing already showed the first group.
    rest = [{"id": "a", "members": []}, {"id": "b", "members": [{"id": "0"}], "members@odata.nextLink": members}]
    assert item.take(item.open[0], page(*rest)) is None
    assert [(call.url, call.path) for call in item.open] == [(members, ("groups", 1, "members"))]
    item = reading(entry, item.progress(), groups=[])
    assert item.take(item.open[0], page({"id": "1"})) is None
    assert item.whole()["groups"] == [{"id": "a", "members": []}, {"id": "b", "members": [{"id": "0"}, {"id": "1"}]}]
