"""What crosses Temporal between the workflow and its activities: one model in, one model out.

Counts, cursors and codes only: no document, no name, no token. Fields are only ever added, with a default, since a
running workflow may still send yesterday's.
"""

from activities.messages.base import MOST_CHARACTERS, Message, ShortText, WorkflowId
from activities.messages.confirmation import ConfirmedShare, ConfirmMissing, ConfirmMissingResult
from activities.messages.details import DetailProgress, DetailShare, FetchDetails, FetchDetailsResult
from activities.messages.merges import DetailRefresh, PromisedWave, UpsertItems, UpsertItemsResult
from activities.messages.pages import (
    CursorFailure,
    CursorRequest,
    FetchPages,
    FetchPagesResult,
    InvalidItem,
    PageResult,
)
from activities.messages.portfolio import (
    FollowRuns,
    FollowRunsResult,
    OpenPortfolioResult,
    PortfolioRun,
    PortfolioRunEnd,
    RecordPortfolio,
    RecordPortfolioResult,
    RunToFollow,
    TenantOutcome,
)
from activities.messages.retention import (
    ForgetRuns,
    ForgetRunsResult,
    ForgetVersions,
    ForgetVersionsResult,
    ForgottenOfTenant,
    InventoriedTenants,
)
from activities.messages.runs import (
    BeginRunResult,
    FinishRun,
    FinishRunResult,
    PlannedCollection,
    RenewLease,
    RenewLeaseResult,
    Run,
    RunPolicy,
)
from activities.messages.sweep import SweepResult

__all__ = [
    "MOST_CHARACTERS",
    "BeginRunResult",
    "ConfirmMissing",
    "ConfirmMissingResult",
    "ConfirmedShare",
    "CursorFailure",
    "CursorRequest",
    "DetailProgress",
    "DetailRefresh",
    "DetailShare",
    "FetchDetails",
    "FetchDetailsResult",
    "FetchPages",
    "FetchPagesResult",
    "FinishRun",
    "FinishRunResult",
    "FollowRuns",
    "FollowRunsResult",
    "ForgetRuns",
    "ForgetRunsResult",
    "ForgetVersions",
    "ForgetVersionsResult",
    "ForgottenOfTenant",
    "InvalidItem",
    "InventoriedTenants",
    "Message",
    "OpenPortfolioResult",
    "PageResult",
    "PlannedCollection",
    "PortfolioRun",
    "PortfolioRunEnd",
    "PromisedWave",
    "RecordPortfolio",
    "RecordPortfolioResult",
    "RenewLease",
    "RenewLeaseResult",
    "Run",
    "RunPolicy",
    "RunToFollow",
    "ShortText",
    "SweepResult",
    "TenantOutcome",
    "UpsertItems",
    "UpsertItemsResult",
    "WorkflowId",
]
