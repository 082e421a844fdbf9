"""One tenant's policies, baselines and evaluated drift."""

from datetime import datetime
from typing import Any
from uuid import UUID

from answers.drift.against_tenant import evaluate_against_tenant
from answers.drift.answer import Drift, drift
from answers.drift.baseline_queries import baselines
from answers.drift.baselines import set_moment
from answers.drift.evaluation import evaluate
from answers.drift.records import BaselineRecord, DriftFindingRecord
from inventory.observation import Observation
from storage.database import Database
from tests.storage.support import observation

TENANT, OTHER = UUID(int=1), UUID(int=2)
A = "deviceCompliancePolicies"


def policy(external_id: str = "1", **properties: Any) -> Observation:
    return observation(A, external_id, **{"displayName": f"Policy {external_id}", "level": 1, **properties})


def assigned(group_id: str) -> dict[str, Any]:
    return {"target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id}}


async def golden(database: Database, at: datetime | None = None) -> BaselineRecord:
    async with database.tenant(TENANT) as session:
        return await set_moment(session, "golden", at, "ada", "as approved")


async def evaluated(database: Database, name: str = "golden") -> Drift:
    async with database.tenant(TENANT) as session:
        await evaluate(session, TENANT, name)
        return await drift(session, TENANT, name)


async def against_other(database: Database) -> Drift:
    async with database.tenant(TENANT) as session, database.tenant(OTHER, read_only=True) as other:
        (baseline,) = await baselines(session, "other")
        await evaluate_against_tenant(session, other, TENANT, baseline)
        return await drift(session, TENANT, "other")


def open_findings(answer: Drift) -> list[DriftFindingRecord]:
    return [finding for finding in answer.findings if finding.resolved_at is None]
