"""Cursors as requests to activities."""

from collections.abc import Sequence

from temporalio import workflow

from activities.messages.confirmation import ConfirmMissing
from activities.messages.details import FetchDetails
from activities.messages.pages import CursorRequest, DetailsDue, FetchPages
from activities.messages.runs import Run
from activities.messages.waves import ReadWave
from workflows.cursor import Cursor
from workflows.frontier import Frontier


def wave_request(run: Run, frontier: Frontier, batches: Sequence[Sequence[Cursor]], *, deep: bool) -> ReadWave:
    """`batches` are of one kind: pages, confirmations or details."""
    lead = batches[0][0]
    are_pages = not (lead.confirming or lead.detailing)
    return ReadWave(
        tenant_id=run.tenant_id,
        pages=[page_request(run, frontier, batch, deep=deep) for batch in batches] if are_pages else [],
        confirmations=[confirmation_request(run, frontier, batch) for batch in batches] if lead.confirming else [],
        details=[detail_request(run, frontier, batch) for batch in batches] if lead.detailing else [],
        at_once=frontier.policy.waves_in_flight,
        in_turn=frontier.plan[lead.type_key].interval is not None,
        graph_patience=frontier.policy.graph_patience,
    )


def page_request(run: Run, frontier: Frontier, batch: Sequence[Cursor], *, deep: bool) -> FetchPages:
    planned = frontier.plan[batch[0].type_key]
    return FetchPages(
        tenant_id=run.tenant_id,
        run_id=run.run_id,
        api_version=planned.api_version,
        cursors=[
            CursorRequest(
                type_key=cursor.type_key,
                url=cursor.url,
                is_first_listing=frontier.plan[cursor.type_key].is_first_listing,
                is_read_again=cursor.losses > 0,
            )
            for cursor in batch
        ],
        graph_patience=frontier.policy.graph_patience,
        told_after=frontier.told_after(batch),
        limit=planned.wave_limit,
        due=DetailsDue(detail_refresh=frontier.policy.detail_refresh, refreshes=frontier.refreshes(batch), deep=deep),
    )


def confirmation_request(run: Run, frontier: Frontier, batch: Sequence[Cursor]) -> ConfirmMissing:
    planned = frontier.plan[batch[0].type_key]
    return ConfirmMissing(
        tenant_id=run.tenant_id,
        run_id=run.run_id,
        api_version=planned.api_version,
        type_keys=[cursor.type_key for cursor in batch],
        limit=planned.wave_limit,
        graph_patience=frontier.policy.graph_patience,
        told_after=frontier.told_after(batch),
    )


def detail_request(run: Run, frontier: Frontier, batch: Sequence[Cursor]) -> FetchDetails:
    return FetchDetails(
        tenant_id=run.tenant_id,
        run_id=run.run_id,
        api_version=frontier.plan[batch[0].type_key].api_version,
        wave_token=workflow.uuid4(),
        shares=[frontier.share(cursor) for cursor in batch],
        limit=frontier.detail_limit(batch),
        attempts=frontier.policy.cursor_attempts,
        graph_patience=frontier.policy.graph_patience,
        batches=frontier.policy.detail_batches,
        malformed_attempts=frontier.policy.malformed_attempts,
        told_after=frontier.told_after(batch),
    )


def in_words(batches: Sequence[Sequence[Cursor]]) -> str:
    lead = batches[0][0]
    kind = "confirm " if lead.confirming else "details of " if lead.detailing else ""
    return kind + ", ".join(
        dict.fromkeys(
            cursor.type_key if kind or cursor.page == 1 else f"{cursor.type_key} p{cursor.page}"
            for batch in batches
            for cursor in batch
        )
    )
