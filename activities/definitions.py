"""The activities as workflows call them. Methods of the same names in this package do the work."""

from temporalio import activity

from activities.messages.confirmation import ConfirmMissing, ConfirmMissingResult
from activities.messages.details import FetchDetails, FetchDetailsResult
from activities.messages.diagnosis import DiagnoseWorker, DiagnosisResult
from activities.messages.merges import UpsertItems, UpsertItemsResult
from activities.messages.notifications import (
    DeliverEvents,
    DeliveryResult,
    LookForEvents,
    NoteEvents,
    NoteResult,
    TenantsToTell,
)
from activities.messages.pages import FetchPages, FetchPagesResult
from activities.messages.portfolio import (
    FollowRuns,
    FollowRunsResult,
    OpenPortfolioResult,
    PortfolioRun,
    RecordPortfolio,
    RecordPortfolioResult,
)
from activities.messages.retention import (
    ForgetRuns,
    ForgetRunsResult,
    ForgetVersions,
    ForgetVersionsResult,
    InventoriedTenants,
)
from activities.messages.runs import BeginRunResult, FinishRun, FinishRunResult, RenewLease, RenewLeaseResult, Run
from activities.messages.sweep import SweepResult
from activities.messages.watch import WatchChoice, WatchedTenants, WatchTenants, WatchTenantsResult
from activities.messages.waves import ReadWave, ReadWaveResult


@activity.defn
async def begin_run(run: Run) -> BeginRunResult:
    raise NotImplementedError


@activity.defn
async def read_wave(wave: ReadWave) -> ReadWaveResult:
    raise NotImplementedError


@activity.defn
async def fetch_pages(request: FetchPages) -> FetchPagesResult:
    raise NotImplementedError


@activity.defn
async def upsert_items(request: UpsertItems) -> UpsertItemsResult:
    raise NotImplementedError


@activity.defn
async def confirm_missing(request: ConfirmMissing) -> ConfirmMissingResult:
    raise NotImplementedError


@activity.defn
async def fetch_details(request: FetchDetails) -> FetchDetailsResult:
    raise NotImplementedError


@activity.defn
async def renew_lease(request: RenewLease) -> RenewLeaseResult:
    raise NotImplementedError


@activity.defn
async def finish_run(request: FinishRun) -> FinishRunResult:
    raise NotImplementedError


@activity.defn
async def sweep() -> SweepResult:
    raise NotImplementedError


@activity.defn
async def inventoried_tenants() -> InventoriedTenants:
    raise NotImplementedError


@activity.defn
async def forget_versions(request: ForgetVersions) -> ForgetVersionsResult:
    raise NotImplementedError


@activity.defn
async def forget_runs(request: ForgetRuns) -> ForgetRunsResult:
    raise NotImplementedError


@activity.defn
async def open_portfolio(request: PortfolioRun) -> OpenPortfolioResult:
    raise NotImplementedError


@activity.defn
async def follow_runs(request: FollowRuns) -> FollowRunsResult:
    raise NotImplementedError


@activity.defn
async def record_portfolio(request: RecordPortfolio) -> RecordPortfolioResult:
    raise NotImplementedError


@activity.defn
async def watched_tenants(request: WatchChoice) -> WatchedTenants:
    raise NotImplementedError


@activity.defn
async def watch_tenants(request: WatchTenants) -> WatchTenantsResult:
    raise NotImplementedError


@activity.defn
async def diagnose_worker(request: DiagnoseWorker) -> DiagnosisResult:
    raise NotImplementedError


@activity.defn
async def note_events(request: NoteEvents) -> NoteResult:
    raise NotImplementedError


@activity.defn
async def deliver_events(request: DeliverEvents) -> DeliveryResult:
    raise NotImplementedError


@activity.defn
async def look_for_events(request: LookForEvents) -> TenantsToTell:
    raise NotImplementedError
