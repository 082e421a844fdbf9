"""The summaries of waits in Temporal Web and the progress query."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.testing import WorkflowEnvironment

from activities.messages.pages import CursorFailure, FetchPages
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome
from tests.workflows.scripted_activities import Script
from tests.workflows.test_sync_workflow import THROTTLED, started
from workflows.cursor import Cursor
from workflows.messages import SyncProgress
from workflows.sync import SyncWorkflow
from workflows.wait_summaries import wait_summary

DUE = datetime(2026, 1, 1, 12, 3, 4, tzinfo=UTC)
SERVER_ERROR = CursorFailure(code=ErrorCode.GRAPH_UNAVAILABLE, retryable=True, context={"http_status": 500})
UNREACHABLE = CursorFailure(code=ErrorCode.GRAPH_UNAVAILABLE, retryable=True)
NO_PAGE = CursorFailure(code=ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True, context={"http_status": 200})
NO_TOKEN = CursorFailure(code=ErrorCode.AUTH_FAILED, retryable=True)
RETRY_AFTER = timedelta(minutes=2)


@pytest.mark.parametrize(
    ("failure", "summary"),
    [
        (SERVER_ERROR, "Graph answered 500 for groups; asked again at 12:03:04 UTC"),
        (UNREACHABLE, "Graph could not be reached for groups; asked again at 12:03:04 UTC"),
        (NO_PAGE, "Graph's answer for groups was no page; asked again at 12:03:04 UTC"),
        (THROTTLED, "Graph throttles groups; asked again at 12:03:04 UTC"),
        (NO_TOKEN, "no token could be had for groups; asked again at 12:03:04 UTC"),
    ],
)
def test_a_wait_summary_names_the_collection_and_the_failure(failure: CursorFailure, summary: str) -> None:
    cursor = Cursor(type_key="groups", url="/").failed(failure)
    assert wait_summary(cursor, DUE, is_paused=False, has_turns=False) == summary


def test_a_familys_wait_is_not_blamed_on_the_collection() -> None:
    cursor = Cursor(type_key="groups", url="/").failed(SERVER_ERROR)
    throttled = "groups: Graph throttles its family; asked again at 12:03:04 UTC"
    turn = "groups: its throttle family's next turn comes at 12:03:04 UTC"
    assert wait_summary(cursor, DUE, is_paused=True, has_turns=False) == throttled
    assert wait_summary(cursor, DUE, is_paused=True, has_turns=True) == turn
    assert wait_summary(cursor.delayed(DUE, DUE), DUE, is_paused=False, has_turns=True) == turn


def test_summaries_are_short_enough_for_every_collection() -> None:
    for key in load_catalog().collections:
        for code in ErrorCode:
            cursor = Cursor(type_key=key, url="", detailing=True).failed(CursorFailure(code=code, retryable=True))
            assert len(wait_summary(cursor, DUE, is_paused=False, has_turns=False)) <= 200


async def _summaries(environment: WorkflowEnvironment, script: Script) -> list[str]:
    """The summaries of the run's timers, without their times."""
    async with started(environment, script) as handle:
        await handle.result()
        events = (await handle.fetch_history()).events
    converter = environment.client.data_converter
    timers = [event for event in events if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
    decoded = [(await converter.decode([timer.user_metadata.summary]))[0] for timer in timers]
    return [summary.rpartition(" at ")[0] for summary in decoded]


@pytest.mark.asyncio(loop_scope="session")
async def test_each_timer_of_a_run_has_a_summary(time_skipping: WorkflowEnvironment) -> None:
    hint = {"retry_after": RETRY_AFTER}
    script = Script(
        {"a": [SERVER_ERROR.model_copy(update=hint), NO_PAGE.model_copy(update=hint), 1]},
        unlisted={"a": 1},
        confirm_failures=[SERVER_ERROR.model_copy(update=hint)],
        pending={"a": 1},
        detail_failures=[THROTTLED.model_copy(update=hint)],
    )
    assert await _summaries(time_skipping, script) == [
        "Graph answered 500 for a; asked again",
        "Graph's answer for a was no page; asked again",
        "Graph answered 500 for items of a; asked again",
        "Graph throttles details of a; asked again",
    ]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_timer_for_a_turn_has_its_own_summary(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [1]}, families={"a": "slow"}, intervals={"slow": timedelta(seconds=1)}, paced=[RETRY_AFTER])
    assert await _summaries(time_skipping, script) == ["a: its throttle family's next turn comes"]


@pytest.mark.asyncio(loop_scope="session")
async def test_other_collections_are_merged_before_a_wait_ends(time_skipping: WorkflowEnvironment) -> None:
    hint = {"retry_after": RETRY_AFTER}
    script = Script({"a": [SERVER_ERROR.model_copy(update=hint), 1], "b": [2]}, families={"b": "another"})
    answers: list[SyncProgress] = []
    async with started(time_skipping, script) as handle:

        async def ask(request: FetchPages) -> None:
            if sum(fetch.cursors[0].type_key == "a" for fetch in script.fetches) == 2:
                answers.append(await handle.query(SyncWorkflow.progress))

        script.before_fetch = ask
        await handle.result()
    (progress,) = answers
    assert (progress.collections["b"].outcome, progress.counts.created) == (Outcome.COMPLETE, 2)
    assert progress.collections["a"].outcome is None
