from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Interval, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.status.records import TenantStatus
from inventory.error_codes import ErrorCode
from storage.completed_runs import completed
from storage.rows import fetch

# `covered`: each tenant's collections, by the latest completed run that covers each.
# `unread`: numbers of collections that were not read to their end, by reason.
# `selected`: numbers of expected collections that a completed run has selected.
# `absent`: items that a complete listing does not show, from their partial index.
# `stale`: present items with details that cannot be read, from their partial index.
# `scoped`: decisions in force about items and fields.
# `drift`: open findings of high severity without a decision in force.
# `unwatched`: audit logs that `watch` may not read, or could not read for an hour, except logs that the tenant cannot
# have. `watch` tries a refused log again after an hour: a log not tried for three hours is no longer watched.
# `latest`: the latest completed run, looked up for each tenant in the index of runs by tenant.
_STATUS = text(f"""
WITH covered AS (
    SELECT tenant_id, count(*) AS collections,
        count(*) FILTER (WHERE outcome = 'complete') AS read,
        coalesce(min(listed_from) FILTER (WHERE outcome = 'complete'), min(listed_from)) AS oldest
    FROM collection_coverage
    WHERE tenant_id = ANY (CAST(:tenant_ids AS uuid[])) AND outcome <> 'skipped' AND type_key <> ALL (:logs)
    GROUP BY tenant_id
),
unread AS (
    SELECT tenant_id, json_agg(json_build_object('reason', reason, 'collections', collections)
        ORDER BY collections DESC, reason) AS not_read
    FROM (
        SELECT tenant_id, concat_ws(':', outcome, error_code) AS reason, count(*) AS collections
        FROM collection_coverage
        WHERE tenant_id = ANY (CAST(:tenant_ids AS uuid[])) AND outcome NOT IN ('complete', 'skipped')
            AND type_key <> ALL (:logs)
        GROUP BY tenant_id, reason
    ) AS by_reason
    GROUP BY tenant_id
),
selected AS (
    SELECT tenant_id, count(*) AS selected
    FROM collection_coverage
    WHERE tenant_id = ANY (CAST(:tenant_ids AS uuid[])) AND type_key = ANY (CAST(:expected AS text[]))
    GROUP BY tenant_id
),
absent AS (
    SELECT tenant_id, count(*) AS missing
    FROM inventory_item
    WHERE absent_from IS NOT NULL AND type_key <> ALL (:logs)
    GROUP BY tenant_id
),
stale AS (
    SELECT tenant_id, count(*) AS stale
    FROM inventory_item
    WHERE stale_since IS NOT NULL AND absent_from IS NULL AND type_key <> ALL (:logs)
    GROUP BY tenant_id
),
unwatched AS (
    SELECT tenant_id, json_agg(json_build_object('log', type_key, 'error_code', error_code, 'read_at', read_at)
        ORDER BY type_key) AS not_watched
    FROM audit_log_position
    WHERE error_code <> '{ErrorCode.GRAPH_NOT_LICENSED}' AND tried_at > clock_timestamp() - interval '3 hours'
        AND (error_code = '{ErrorCode.GRAPH_PERMISSION_MISSING}'
            OR coalesce(read_at < tried_at - interval '1 hour', true))
    GROUP BY tenant_id
),
scoped AS MATERIALIZED (
    SELECT * FROM (
        SELECT DISTINCT ON (tenant_id, fingerprint) * FROM drift_decision
        WHERE value_hash IS NULL
        ORDER BY tenant_id, fingerprint, number DESC
    ) AS latest
    WHERE decision <> 'open' AND coalesce(until > clock_timestamp(), true)
),
drift AS (
    SELECT finding.tenant_id, count(*) AS high_drift
    FROM drift_finding AS finding
    WHERE finding.resolved_at IS NULL AND finding.severity = 'high'
        AND NOT coalesce((
            SELECT decision <> 'open' AND value_hash = finding.value_hash AND coalesce(until > clock_timestamp(), true)
            FROM drift_decision AS decided
            WHERE (decided.tenant_id, decided.fingerprint) = (finding.tenant_id, finding.fingerprint)
            ORDER BY number DESC LIMIT 1
        ), false)
        AND NOT EXISTS (
            SELECT FROM scoped WHERE scoped.tenant_id = finding.tenant_id
                AND coalesce(scoped.scope_baseline = finding.baseline, true)
                AND coalesce(scoped.scope_type_key = finding.type_key, true)
                AND coalesce(scoped.scope_external_id = finding.external_id, true)
                AND coalesce(finding.path ~ ('^(?:' || scoped.scope_expression || ')$'), true)
        )
    GROUP BY finding.tenant_id
)
SELECT tenant.tenant_id, latest.run_id, latest.status AS run_status, latest.started_at AS run_started_at,
    covered.oldest, coalesce(covered.collections, 0) AS collections, coalesce(covered.read, 0) AS read,
    coalesce(unread.not_read, '[]') AS not_read, coalesce(absent.missing, 0) AS missing,
    coalesce(stale.stale, 0) AS stale,
    coalesce(drift.high_drift, 0) AS high_drift, coalesce(unwatched.not_watched, '[]') AS not_watched,
    cardinality(CAST(:expected AS text[])) - coalesce(selected.selected, 0) AS never_selected
FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
    LEFT JOIN LATERAL (
        SELECT run_id, status, started_at FROM sync_run
        WHERE sync_run.tenant_id = tenant.tenant_id AND {completed()}
        ORDER BY queued_at DESC LIMIT 1
    ) AS latest ON true
    LEFT JOIN covered USING (tenant_id)
    LEFT JOIN unread USING (tenant_id)
    LEFT JOIN selected USING (tenant_id)
    LEFT JOIN absent USING (tenant_id)
    LEFT JOIN stale USING (tenant_id)
    LEFT JOIN drift USING (tenant_id)
    LEFT JOIN unwatched USING (tenant_id)
""")


_RECENT_RUNS = text("""
SELECT count(*) AS runs, coalesce(sum(created), 0) AS created, coalesce(sum(changed), 0) AS changed
FROM sync_run WHERE queued_at >= clock_timestamp() - :span AND finished_at IS NOT NULL
""").bindparams(bindparam("span", type_=Interval))


class RecentRuns(NamedTuple):
    """Ended runs, and the items that they found new or changed."""

    runs: int
    created: int
    changed: int


async def recent_runs(session: AsyncSession, span: timedelta) -> RecentRuns:
    """Counts the tenant's ended runs that were queued in the last `span`."""
    (found,) = await fetch(session, _RECENT_RUNS, RecentRuns, {"span": span})
    return found


async def tenant_states(
    session: AsyncSession, tenant_ids: Collection[UUID], logs: Collection[str], expected: Collection[str]
) -> list[TenantStatus]:
    """Tenants' states without `attention` and `disabled`, in a portfolio session.

    `logs`: type keys to leave out. `expected`: those of which `never_selected` counts.
    """
    parameters = {"tenant_ids": list(tenant_ids), "logs": list(logs), "expected": list(expected)}
    unknown = {"attention": [], "disabled": False}
    return await fetch(session, _STATUS, TenantStatus, parameters, shape=lambda values: {**values, **unknown})
