"""The frontier's own rules, without a server."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from random import Random
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.messages.details import DetailProgress, FetchDetailsResult
from activities.messages.pages import CursorFailure, PageResult
from activities.messages.runs import PlannedCollection, RunPolicy
from inventory.backoff import KnownFailure
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome
from workflows.cursor import Cursor
from workflows.frontier import Frontier
from workflows.policies import WAVE_BYTES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
THROTTLED = CursorFailure(code=ErrorCode.GRAPH_THROTTLED, retryable=True, retry_after=timedelta(seconds=30))


UNAVAILABLE = CursorFailure(code=ErrorCode.GRAPH_UNAVAILABLE, retryable=True, context={"http_status": 500})
MALFORMED = CursorFailure(code=ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True, context={"http_status": 200})

SECOND = timedelta(seconds=1)


def new_frontier(
    *type_keys: str,
    families: Sequence[str] = (),
    wave_limit: int = 20,
    intervals: Mapping[str, timedelta] = MappingProxyType({}),
) -> Frontier:
    plan = [
        PlannedCollection(
            type_key=key,
            first_url=f"/{key}",
            api_version="beta",
            throttle_family=families[number] if families else "family",
            wave_limit=wave_limit,
            confirmable=True,
            interval=intervals.get(families[number]) if families else None,
        )
        for number, key in enumerate(type_keys)
    ]
    return Frontier.of(plan, RunPolicy())


def due_of(frontier: Frontier, now: datetime) -> datetime | None:
    wait = frontier.next_wait(now)
    return None if wait is None else wait.due


def test_a_batch_holds_several_pages_of_one_collection() -> None:
    frontier = new_frontier("a")
    parents = frontier.take_wave(NOW)
    page = PageResult(type_key="a", more_urls=["/a/1", "/a/2", "/a/3"])
    frontier.fold_page(parents[0], page, NOW, Random(1))
    (batch,) = frontier.take_batches(NOW)
    assert [cursor.url for cursor in batch] == ["/a/1", "/a/2", "/a/3"]


def test_a_batch_of_confirmations_holds_a_collection_once() -> None:
    frontier = new_frontier("a")
    frontier.cursors = [Cursor(type_key="a", url="", confirming=True, part=part) for part in (0, 1)]
    assert [len(batch) for batch in frontier.take_batches(NOW)] == [1, 1]


def test_a_wave_of_an_earlier_release_never_holds_two_pages_of_one_collection() -> None:
    frontier = new_frontier("a", "b")
    wave = frontier.take_wave(NOW)
    page = PageResult(type_key="a", items=3, next_url="/a?2")
    frontier.fold_page(wave[0], page, NOW, Random(1))
    frontier.begin_merging(wave)
    frontier.fold_lost(wave[:1], [page], limit=3)
    assert [cursor.losses for cursor in frontier.cursors] == [0, 1], "the following page, and the lost page"
    assert len(frontier.take_wave(NOW)) == 1
    assert len(frontier.take_wave(NOW)) == 1


def test_a_collection_is_not_complete_while_a_lost_page_is_read_again() -> None:
    frontier = new_frontier("a")
    (cursor,) = frontier.take_wave(NOW)
    last = PageResult(type_key="a", items=3)
    frontier.fold_page(cursor, last, NOW, Random(1))
    frontier.begin_merging([cursor])
    frontier.fold_lost([cursor], [last], limit=3)
    (again,) = frontier.take_wave(NOW)
    frontier.fold_page(again, last, NOW, Random(1))
    frontier.begin_merging([again])
    before = frontier.results["a"].outcome
    frontier.end_merging([again])
    assert (before, frontier.results["a"].outcome) == (None, Outcome.COMPLETE)
    assert (frontier.results["a"].items, frontier.results["a"].pages) == (3, 1)


@given(sizes=st.lists(st.integers(0, WAVE_BYTES * 2), min_size=1, max_size=30))
def test_waves_take_every_cursor_once_and_stay_within_the_size_limit(sizes: list[int]) -> None:
    keys = [f"c{number}" for number in range(len(sizes))]
    frontier = new_frontier(*keys)
    frontier.cursors = [Cursor(type_key=key, url="/", size_bytes=size) for key, size in zip(keys, sizes, strict=True)]
    type_keys = []
    while wave := frontier.take_wave(NOW):
        assert len(wave) == 1 or sum(cursor.size_bytes for cursor in wave) <= WAVE_BYTES
        assert len(wave) <= 20
        type_keys += [cursor.type_key for cursor in wave]
    assert sorted(type_keys) == sorted(keys)


FAMILIES = ("wide", "other", "slow", "slower")
INTERVALS = {"slow": SECOND, "slower": timedelta(minutes=1)}


@given(
    cursors=st.lists(
        st.tuples(
            st.sampled_from(FAMILIES),
            st.sampled_from(["listing", "confirming", "detailing"]),
            st.integers(0, WAVE_BYTES),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_batches_take_every_cursor_once_and_separate_families_with_turns(
    cursors: list[tuple[str, str, int]],
) -> None:
    keys = [f"c{number}" for number in range(len(cursors))]
    frontier = new_frontier(*keys, families=[family for family, _, _ in cursors], intervals=INTERVALS)
    frontier.cursors = [
        Cursor(type_key=key, url="/", size_bytes=size, confirming=kind == "confirming", detailing=kind == "detailing")
        for key, (_, kind, size) in zip(keys, cursors, strict=True)
    ]
    type_keys: list[str] = []
    now = NOW
    while frontier.cursors:
        batches = frontier.take_batches(now)
        if not batches:
            now = due_of(frontier, now) or now
            continue
        wave = [cursor for batch in batches for cursor in batch]
        families = {frontier.plan[cursor.type_key].throttle_family for cursor in wave}
        assert len({(cursor.confirming, cursor.detailing) for cursor in wave}) == 1
        assert families <= {"wide", "other"} or len(families) == 1
        assert len(batches) == 1 or families != {"slower"}, "a long wait for a turn is a timer's"
        assert len(batches) == 1 or sum(cursor.size_bytes for cursor in wave) <= WAVE_BYTES
        assert all(len({frontier.plan[cursor.type_key].throttle_family for cursor in batch}) == 1 for batch in batches)
        frontier.give_back(batches[0], now)
        type_keys += [cursor.type_key for cursor in wave]
    assert sorted(type_keys) == sorted(keys)
    assert frontier.taken == []


def test_followed_pages_leave_the_frontier_and_revive_no_failed_collection() -> None:
    frontier = new_frontier("a")
    (first,) = frontier.take_wave(NOW)
    frontier.fold_page(first, PageResult(type_key="a", items=1, next_url="/a?2"), NOW, Random(1))
    second = frontier.take_page("a", "/a?2")
    assert (second.page, frontier.cursors) == (2, [])
    frontier.fail("a", ErrorCode.GRAPH_PAGING_LOOP, {})
    frontier.fold_page(frontier.take_page("a", "/a?3"), PageResult(type_key="a", next_url="/a?4"), NOW, Random(1))
    assert (frontier.cursors, frontier.results["a"].error_code) == ([], ErrorCode.GRAPH_PAGING_LOOP)


@given(pages=st.integers(2, 20), fitting=st.integers(1, 20))
def test_pages_that_are_too_large_together_are_read_in_smaller_waves(pages: int, fitting: int) -> None:
    frontier = new_frontier(*(f"c{number}" for number in range(pages)))
    attempts, read = 0, 0
    while wave := frontier.take_wave(NOW):
        attempts += 1
        if len(wave) > fitting:
            frontier.fold_too_large(wave)
        else:
            read += len(wave)
    assert read == pages
    assert attempts < 2 * pages


def test_a_pause_holds_only_its_family_until_its_exact_end() -> None:
    frontier = new_frontier("a", "b", "c", families=["slow", "slow", "fast"], wave_limit=1)
    (cursor,) = frontier.take_wave(NOW)
    frontier.fold_failure(cursor, THROTTLED, NOW, Random(1))
    assert [entry.type_key for entry in frontier.take_wave(NOW)] == ["c"]
    assert frontier.take_wave(NOW + timedelta(seconds=29.9)) == []
    assert due_of(frontier, NOW) == NOW + timedelta(seconds=30)
    assert due_of(frontier, NOW + timedelta(seconds=30)) is None, "only a wave in flight is awaited"
    assert [entry.type_key for entry in frontier.take_wave(NOW + timedelta(seconds=30))] == ["b"]


@pytest.mark.parametrize("is_paused_by_another_run", [False, True])
def test_a_pause_past_the_retry_limit_is_recorded_with_its_end(is_paused_by_another_run: bool) -> None:
    frontier = new_frontier("a")
    frontier.policy = frontier.policy.model_copy(update={"graph_patience": timedelta(minutes=1)})
    (cursor,) = frontier.take_wave(NOW)
    wait = timedelta(minutes=50)
    if is_paused_by_another_run:
        frontier.fold_paced(cursor, wait, NOW)
    else:
        frontier.fold_failure(cursor, THROTTLED.model_copy(update={"retry_after": wait}), NOW, Random(1))
    assert frontier.results["a"].error_code is ErrorCode.GRAPH_THROTTLED
    ends = (NOW + wait).astimezone(UTC).isoformat(timespec="seconds")
    assert frontier.results["a"].context["throttled_until"] == ends


def test_a_family_with_turns_has_one_wave_in_flight_and_then_waits() -> None:
    frontier = new_frontier("a", "b", "c", families=["slow", "slow", "fast"], wave_limit=1, intervals={"slow": SECOND})
    (cursor,) = frontier.take_wave(NOW)
    assert [entry.type_key for entry in frontier.take_wave(NOW)] == ["c"]
    assert frontier.take_wave(NOW) == []
    assert due_of(frontier, NOW) is None, "the wave in flight is awaited"
    frontier.fold_page(cursor, PageResult(type_key="a"), NOW, Random(1))
    ended_at = NOW + timedelta(seconds=5)
    frontier.give_back([cursor], ended_at)
    assert frontier.take_wave(ended_at) == []
    assert due_of(frontier, ended_at) == ended_at + SECOND
    assert [entry.type_key for entry in frontier.take_wave(ended_at + SECOND)] == ["b"]


def test_giving_back_a_turn_does_not_shorten_a_pause() -> None:
    frontier = new_frontier("a", "b", families=["slow", "slow"], wave_limit=1, intervals={"slow": SECOND})
    (cursor,) = frontier.take_wave(NOW)
    frontier.fold_failure(cursor, THROTTLED, NOW, Random(1))
    frontier.give_back([cursor], NOW)
    assert due_of(frontier, NOW) == NOW + timedelta(seconds=30)


@given(
    remaining=st.lists(st.integers(0, 400), min_size=1, max_size=30),
    most=st.one_of(st.none(), st.integers(1, 400)),
)
def test_a_wave_of_details_stays_within_its_item_limit(remaining: list[int], most: int | None) -> None:
    keys = [f"c{number}" for number in range(len(remaining))]
    frontier = new_frontier(*keys)
    frontier.policy = RunPolicy(detail_items=most)
    frontier.cursors = [
        Cursor(type_key=key, url="", detailing=True, left=items) for key, items in zip(keys, remaining, strict=True)
    ]
    waves = []
    while wave := frontier.take_wave(NOW):
        items = sum(cursor.left for cursor in wave)
        assert len(wave) == 1 or most is None or items <= most
        waves.append(wave)
    assert sorted(cursor.type_key for wave in waves for cursor in wave) == sorted(keys)
    if most is None:
        assert len(waves) == -(-len(keys) // 20)


def test_the_last_wave_sets_the_remaining_items_of_a_part() -> None:
    frontier = new_frontier("a")
    frontier.policy = RunPolicy(waves_in_flight=2)
    frontier.pending, frontier.listed = {"a": 101}, ["a"]
    frontier.merging = {"a": 1}
    frontier.end_merging(frontier.take_wave(NOW))
    assert [cursor.left for cursor in frontier.cursors] == [51, 51]
    (cursor,) = frontier.take_wave(NOW)
    result = FetchDetailsResult(collections={"a": DetailProgress(read=20, left=31, moved=True)})
    frontier.fold_details(cursor, result, NOW, Random(1))
    assert [cursor.left for cursor in frontier.cursors] == [51, 31]


def test_a_frontier_survives_a_json_round_trip() -> None:
    frontier = new_frontier("a", "b")
    (cursor, _) = frontier.take_wave(NOW)
    frontier.fold_failure(cursor, THROTTLED, NOW, Random(1))
    frontier.begin_merging([cursor])
    assert Frontier.model_validate_json(frontier.model_dump_json()) == frontier


def test_a_restarted_listing_keeps_nothing_of_the_old_listing() -> None:
    frontier = new_frontier("a")
    (first,) = frontier.take_wave(NOW)
    page = PageResult(type_key="a", items=3, next_url="/a?2")
    frontier.fold_page(first, page, NOW, Random(1))
    frontier.begin_merging([first])
    frontier.fold_lost([first], [page], limit=3)
    (second,) = frontier.take_wave(NOW)
    (lost,) = frontier.take_wave(NOW)
    expired = CursorFailure(code=ErrorCode.GRAPH_PAGE_EXPIRED, retryable=False, restart=True)
    frontier.fold_failure(lost, expired, NOW, Random(1))
    frontier.fold_page(second, PageResult(type_key="a", items=1, next_url="/a?3"), NOW, Random(1))
    (anew,) = frontier.take_wave(NOW)
    assert (anew.url, anew.restarts, anew.losses) == ("/a", 1, 0)
    assert frontier.take_wave(NOW) == []
    frontier.begin_merging([second, anew])
    frontier.fold_page(anew, PageResult(type_key="a", items=4), NOW, Random(1))
    frontier.end_merging([second])
    before = frontier.results["a"].outcome
    frontier.end_merging([anew])
    assert (before, frontier.results["a"].outcome) == (None, Outcome.COMPLETE)


def known_failure(
    code: ErrorCode, *, in_details: bool = False, within: timedelta = timedelta(minutes=1)
) -> KnownFailure:
    return KnownFailure(code=code, runs=2, in_details=in_details, attempts=3, within=within)


def remembering(failure: KnownFailure | None, **policy: Any) -> Frontier:
    frontier = new_frontier("a")
    frontier.plan["a"] = frontier.plan["a"].model_copy(update={"known_failure": failure})
    frontier.policy = RunPolicy(malformed_attempts=3, **policy)
    return frontier


def attempts_until_the_end(frontier: Frontier, failures: Iterable[CursorFailure]) -> int:
    """The page's number of attempts, each as soon as it is due, until its collection ends."""
    now = NOW
    for attempts, failure in enumerate(failures, start=1):
        (cursor,) = frontier.take_wave(now)
        frontier.fold_failure(cursor, failure, now, Random(1))
        if not frontier.cursors:
            return attempts
        now = due_of(frontier, now) or now
    raise AssertionError("the collection has not ended")


def test_a_known_failure_is_tried_three_times_and_counted() -> None:
    frontier = remembering(known_failure(ErrorCode.GRAPH_UNAVAILABLE))
    assert attempts_until_the_end(frontier, repeat(UNAVAILABLE)) == 3
    assert frontier.results["a"].context == {"http_status": 500, "attempts": 3, "failing_runs": 3}


def test_a_failure_with_another_code_has_the_full_retry_limits() -> None:
    frontier = remembering(known_failure(ErrorCode.GRAPH_THROTTLED))
    assert attempts_until_the_end(frontier, repeat(UNAVAILABLE)) == 20
    assert "failing_runs" not in frontier.results["a"].context


def test_a_known_failure_of_details_leaves_listings_their_full_retry_limits() -> None:
    frontier = remembering(known_failure(ErrorCode.GRAPH_UNAVAILABLE, in_details=True))
    assert attempts_until_the_end(frontier, repeat(UNAVAILABLE)) == 20


def test_a_failure_known_from_one_run_is_counted_with_full_retry_limits() -> None:
    frontier = remembering(KnownFailure(code=ErrorCode.GRAPH_UNAVAILABLE, runs=1))
    assert attempts_until_the_end(frontier, repeat(UNAVAILABLE)) == 20
    assert frontier.results["a"].context["failing_runs"] == 2


def test_only_failures_with_the_known_code_use_up_the_brief_retry_limits() -> None:
    frontier = remembering(known_failure(ErrorCode.GRAPH_UNAVAILABLE))
    unhinted = THROTTLED.model_copy(update={"retry_after": None})
    failures = [unhinted, unhinted, UNAVAILABLE, unhinted, UNAVAILABLE, UNAVAILABLE]
    assert attempts_until_the_end(frontier, failures) == len(failures)


def test_a_successful_page_restores_full_retry_limits_after_a_known_failure() -> None:
    frontier = remembering(known_failure(ErrorCode.GRAPH_UNAVAILABLE))
    (cursor,) = frontier.take_wave(NOW)
    frontier.fold_failure(cursor, UNAVAILABLE, NOW, Random(1))
    later = due_of(frontier, NOW) or NOW
    (cursor,) = frontier.take_wave(later)
    frontier.fold_page(cursor, PageResult(type_key="a", items=3, next_url="/a?2"), later, Random(1))
    assert attempts_until_the_end(frontier, repeat(UNAVAILABLE)) == 20
    assert "failing_runs" not in frontier.results["a"].context


def test_pages_before_the_failing_page_do_not_restore_full_retry_limits() -> None:
    frontier = remembering(known_failure(ErrorCode.GRAPH_UNAVAILABLE))
    (cursor,) = frontier.take_wave(NOW)
    frontier.fold_page(cursor, PageResult(type_key="a", items=3, next_url="/a?2"), NOW, Random(1))
    assert attempts_until_the_end(frontier, repeat(UNAVAILABLE)) == 3
    assert frontier.results["a"].outcome is Outcome.INCOMPLETE


def test_a_known_throttle_waits_as_long_as_graph_asks() -> None:
    minutes = THROTTLED.model_copy(update={"retry_after": timedelta(minutes=10)})
    frontier = remembering(known_failure(ErrorCode.GRAPH_THROTTLED, within=timedelta(hours=1)))
    assert attempts_until_the_end(frontier, repeat(minutes)) == 3
    assert frontier.paused["family"] == NOW + timedelta(minutes=30), "the family stays paused, whatever the attempts"


def test_malformed_answers_have_three_attempts_beside_other_failures() -> None:
    assert attempts_until_the_end(remembering(None), repeat(MALFORMED)) == 3
    mixed = [UNAVAILABLE, UNAVAILABLE, MALFORMED, UNAVAILABLE, MALFORMED, MALFORMED]
    assert attempts_until_the_end(remembering(None), mixed) == len(mixed)


def test_malformed_answers_in_runs_of_an_earlier_release_have_all_attempts() -> None:
    frontier = new_frontier("a")
    assert attempts_until_the_end(frontier, repeat(MALFORMED)) == 20


def test_a_server_error_does_not_pause_its_family() -> None:
    frontier = new_frontier("a", "b", wave_limit=1)
    (cursor,) = frontier.take_wave(NOW)
    slow = UNAVAILABLE.model_copy(update={"retry_after": timedelta(minutes=5)})
    frontier.fold_failure(cursor, slow, NOW, Random(1))
    assert [entry.type_key for entry in frontier.take_wave(NOW)] == ["b"]
    assert frontier.paused == {}


def test_only_waves_of_known_failures_report_failures_at_once() -> None:
    minutes = timedelta(minutes=2)
    frontier = new_frontier("a", "b")
    frontier.policy = RunPolicy(told_after=minutes)
    frontier.plan["a"] = frontier.plan["a"].model_copy(
        update={"known_failure": known_failure(ErrorCode.GRAPH_UNAVAILABLE)}
    )
    a, b = frontier.take_wave(NOW)
    assert [frontier.told_after(wave) for wave in ([a], [b], [a, b])] == [timedelta(0), minutes, minutes]
    frontier.policy = RunPolicy()
    assert frontier.told_after([a]) is None, "in a run of an earlier release"


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (ErrorCode.GRAPH_PERMISSION_MISSING, ErrorCode.GRAPH_UNAVAILABLE),
        (ErrorCode.GRAPH_THROTTLED, ErrorCode.GRAPH_THROTTLED),
    ],
)
def test_a_cause_with_exhausted_retries_is_named_before_a_final_cause(code: ErrorCode, named: ErrorCode) -> None:
    frontier = remembering(None)
    frontier.results["a"].context["found_by_id"] = 1
    first = CursorFailure(code=code, retryable=False, context={"permission": "X.Read.All"})
    cursor = Cursor(type_key="a", url="", detailing=True)
    for cause in (first, UNAVAILABLE):
        result = FetchDetailsResult(collections={"a": DetailProgress(left=1, moved=True, cause=cause)})
        frontier.fold_details(cursor, result, NOW, Random(1))
    context = frontier.results["a"].context
    assert (context["detail_error_code"], context["found_by_id"]) == (named, 1)
    assert ("permission" in context) == (named is code)


def test_an_unknown_collection_fails_alone() -> None:
    known = new_frontier("a").plan["a"]
    frontier = Frontier.of([known], RunPolicy(), ["b"])
    assert [cursor.type_key for cursor in frontier.cursors] == ["a"]
    assert (frontier.results["b"].outcome, frontier.results["b"].error_code) == (
        Outcome.FAILED,
        ErrorCode.UNKNOWN_COLLECTION,
    )
    assert frontier.results["a"].outcome is None
    assert frontier.counts.errors == 1


@pytest.mark.parametrize(
    ("code", "items", "outcome"),
    [
        (ErrorCode.GRAPH_NOT_LICENSED, 0, Outcome.SKIPPED),
        (ErrorCode.GRAPH_NOT_FOUND, 0, Outcome.INCOMPLETE),
        (ErrorCode.GRAPH_NOT_LICENSED, 1, Outcome.INCOMPLETE),
    ],
)
def test_an_unlicensed_collection_under_parents_is_skipped_if_empty(
    code: ErrorCode, items: int, outcome: Outcome
) -> None:
    frontier = new_frontier("a")
    (parents,) = frontier.take_wave(NOW)
    frontier.fold_page(parents, PageResult(type_key="a", more_urls=["/a/1", "/a/2"]), NOW, Random(1))
    frontier.begin_merging([parents])
    (first,) = frontier.take_wave(NOW)
    frontier.fold_page(first, PageResult(type_key="a", items=items), NOW, Random(1))
    frontier.begin_merging([first])
    (second,) = frontier.take_wave(NOW)
    refused = PageResult(type_key="a", was_read=False, failure=CursorFailure(code=code, retryable=False))
    frontier.fold_page(second, refused, NOW, Random(1))
    assert frontier.results["a"].outcome is outcome
