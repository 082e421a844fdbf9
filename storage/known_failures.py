"""Known failures of the tenant's collections, for a run that begins (`inventory.backoff`)."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.backoff import MEMORY
from inventory.error_codes import ErrorCode
from storage.completed_runs import completed


class LatestFailure(NamedTuple):
    """`runs` in a row had the failure."""

    code: ErrorCode
    runs: int
    in_details: bool


TELLING_CODES = sorted(
    code
    for code in ErrorCode
    if code.startswith("graph_") or code in (ErrorCode.AUTH_FAILED, ErrorCode.DETAIL_INCOMPLETE)
)
"""Other codes are about the run, not its collections."""

# The latest run that covered the collection decides, with any selection. Coverage rules out most collections; for
# the others, the first run in the index of recent runs is mostly the right one.
_LATEST = text(f"""
SELECT coverage.type_key, latest.error_code, latest.cause, latest.runs
FROM collection_coverage AS coverage CROSS JOIN LATERAL (
    SELECT c.outcome, c.error_code, c.context ->> 'detail_error_code' AS cause,
        coalesce(CAST(c.context ->> 'failing_runs' AS bigint), 1) AS runs
    FROM sync_run AS run JOIN sync_run_collection AS c USING (tenant_id, run_id)
    WHERE c.type_key = coverage.type_key AND run.queued_at > now() - CAST(:memory AS interval)
        AND {completed("run")}
        AND (c.error_code IS NULL OR c.error_code = ANY (CAST(:telling AS text[])))
    ORDER BY run.queued_at DESC LIMIT 1
) AS latest
WHERE coverage.type_key = ANY (CAST(:type_keys AS text[]))
    AND coverage.error_code IS NOT NULL AND coverage.outcome <> 'skipped'
    AND latest.error_code IS NOT NULL AND latest.outcome <> 'skipped'
""")


async def latest_failures(session: AsyncSession, type_keys: Collection[str]) -> dict[str, LatestFailure]:
    """Failures by type key, each in the collection's latest run that counts.

    Cancelled, abandoned and broken runs do not count, nor runs queued longer than `MEMORY` ago.
    """
    parameters = {"type_keys": list(type_keys), "memory": MEMORY, "telling": TELLING_CODES}
    failures = {}
    for row in await session.execute(_LATEST, parameters):
        in_details = row.error_code == ErrorCode.DETAIL_INCOMPLETE and row.cause in TELLING_CODES
        failures[row.type_key] = LatestFailure(
            ErrorCode(row.cause if in_details else row.error_code), row.runs, in_details
        )
    return failures
