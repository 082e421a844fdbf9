"""The activities' names, arguments and results, as workflows call them.

Workflows name functions of this module, so the type checker knows their types. The method of the same name in a class
of this package does the work; a test compares both signatures.
"""

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
    """Opens the run's record once it has a slot, and plans its collections."""
    raise NotImplementedError


@activity.defn
async def read_wave(wave: ReadWave) -> ReadWaveResult:
    """Reads one wave: batches of any API versions and throttle families."""
    raise NotImplementedError


@activity.defn
async def fetch_pages(request: FetchPages) -> FetchPagesResult:
    """Reads the pages of a wave and stages their items."""
    raise NotImplementedError


@activity.defn
async def upsert_items(request: UpsertItems) -> UpsertItemsResult:
    """Merges fetched waves into the inventory."""
    raise NotImplementedError


@activity.defn
async def confirm_missing(request: ConfirmMissing) -> ConfirmMissingResult:
    """Asks by id for items that the listings did not show."""
    raise NotImplementedError


@activity.defn
async def fetch_details(request: FetchDetails) -> FetchDetailsResult:
    """Reads details of items and merges the items that are whole."""
    raise NotImplementedError


@activity.defn
async def renew_lease(request: RenewLease) -> RenewLeaseResult:
    """Keeps the slot of a run, or its place in the queue."""
    raise NotImplementedError


@activity.defn
async def finish_run(request: FinishRun) -> FinishRunResult:
    """Closes the run's record."""
    raise NotImplementedError


@activity.defn
async def sweep() -> SweepResult:
    """Closes the records of abandoned runs."""
    raise NotImplementedError


@activity.defn
async def inventoried_tenants() -> InventoriedTenants:
    raise NotImplementedError


@activity.defn
async def forget_versions(request: ForgetVersions) -> ForgetVersionsResult:
    """Forgets a batch of a tenant's versions."""
    raise NotImplementedError


@activity.defn
async def forget_runs(request: ForgetRuns) -> ForgetRunsResult:
    """Forgets a batch of a tenant's runs."""
    raise NotImplementedError


@activity.defn
async def open_portfolio(request: PortfolioRun) -> OpenPortfolioResult:
    """Opens the portfolio run's record and chooses its tenants."""
    raise NotImplementedError


@activity.defn
async def follow_runs(request: FollowRuns) -> FollowRunsResult:
    """Reports the outcomes of the runs that have ended."""
    raise NotImplementedError


@activity.defn
async def record_portfolio(request: RecordPortfolio) -> RecordPortfolioResult:
    """Records outcomes of tenants, and closes the record at the end."""
    raise NotImplementedError


@activity.defn
async def watched_tenants(request: WatchChoice) -> WatchedTenants:
    raise NotImplementedError


@activity.defn
async def watch_tenants(request: WatchTenants) -> WatchTenantsResult:
    """Reads the items that the audit logs of some tenants name as changed."""
    raise NotImplementedError


@activity.defn
async def diagnose_worker(request: DiagnoseWorker) -> DiagnosisResult:
    raise NotImplementedError


@activity.defn
async def note_events(request: NoteEvents) -> NoteResult:
    """Notes the events of ended runs, and expiries."""
    raise NotImplementedError


@activity.defn
async def deliver_events(request: DeliverEvents) -> DeliveryResult:
    """Sends the waiting messages for one target of one tenant."""
    raise NotImplementedError


@activity.defn
async def look_for_events(request: LookForEvents) -> TenantsToTell:
    """Finds the tenants with events that no run has noted."""
    raise NotImplementedError
