"""Comparisons by setting as JSON; field names never change."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from answers.compare.records import CellStatus, SideCoverage, Status, TenantRecord
from answers.titled_record import TitledRecord
from answers.unanswered_tenant import UnansweredTenant
from inventory.records import DamagedRecord
from inventory.settings import SettingKind
from inventory.stale import Staleness


class SettingUncertainty(StrEnum):
    """Why two tenants' values of a setting cannot be compared."""

    HIDDEN = "hidden"
    """Graph or the inventory does not show a secret value."""
    UNRESOLVED_REFERENCE = "unresolved_reference"
    """A value is an id of unknown meaning."""
    STALE = "stale"
    """A policy's details could not be read lately."""
    DETAILS_INCOMPLETE = "details_incomplete"
    """Not all settings of a policy were read."""
    NO_DOCUMENT = "no_document"
    """A policy's document was never read, or is damaged."""
    COLLECTION_NOT_READ = "collection_not_read"
    """A collection that may hold the setting was left out."""


class SettingPolicy(TitledRecord):
    """A policy that holds a setting; `assigned_to` is null if its assignments are unknown."""

    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    assigned_to: list[str] | None


class HeldValue(BaseModel, frozen=True):
    """A value of a setting, and the policies of one tenant that set it so.

    `value` is null if `hidden`. `is_unset`: the policies name the setting and leave the device as it is (`false` or
    `notConfigured` of a typed policy).
    """

    value: Any
    text: str
    hidden: bool = False
    is_unset: bool = False
    policies: list[SettingPolicy]


class SettingComparison(BaseModel, frozen=True):
    """One setting of two tenants: `different` is a conflict.

    `key` names it in every policy and tenant, `label` for people. `differs_within_here` and `differs_within_there`:
    policies within the tenant conflict. `uncertain` says why a status is `undecided`, or why the other side may have
    the setting, too.
    """

    record: Literal["setting"] = "setting"
    key: str
    label: str
    kinds: list[SettingKind]
    status: Status
    here: list[HeldValue]
    there: list[HeldValue]
    differs_within_here: bool = False
    differs_within_there: bool = False
    uncertain: list[SettingUncertainty] = []

    @property
    def differs_within(self) -> bool:
        return self.differs_within_here or self.differs_within_there


class SettingCounts(BaseModel, frozen=True):
    """Settings by status; `differs_within` counts those of any status with a conflict within a tenant.

    `shared` ones are set in both tenants. `hidden` ones are undecided and hold a hidden value.
    """

    different: int = 0
    undecided: int = 0
    only_here: int = 0
    only_there: int = 0
    same: int = 0
    shared: int = 0
    differs_within: int = 0
    hidden: int = 0

    @property
    def why_undecided(self) -> str | None:
        """None unless hidden values are a reason."""
        if not self.hidden:
            return None
        return (
            f"{self.hidden:,} cannot be told because a value is hidden: a comparison by item compares hidden values,"
            " too, if the tenants share a data key (SENSITIVE_FIELDS_COMPARABLE)"
        )


class SettingCollection(BaseModel, frozen=True):
    """One collection of policies: coverage and number of policies on both sides."""

    type_key: str
    title: str
    here: SideCoverage
    there: SideCoverage
    is_compared: bool
    policies_here: int = 0
    policies_there: int = 0


class UncertainPolicy(TitledRecord):
    """A policy whose settings are not all known, and why."""

    tenant: TenantRecord
    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    reasons: list[SettingUncertainty]
    stale: Staleness | None = None


class SettingsComparisonRecord(BaseModel, frozen=True):
    """Two tenants by setting, in numbers.

    `collections` names those that were left out, too. A policy in `uncertain_policies` may hold settings that it does
    not show.
    """

    record: Literal["settings_comparison"] = "settings_comparison"
    here: TenantRecord
    there: TenantRecord
    asked_at: datetime
    counts: SettingCounts
    collections: list[SettingCollection]
    uncertain_policies: list[UncertainPolicy] = []
    damaged: list[DamagedRecord] = []

    @property
    def is_complete(self) -> bool:
        """Whether all requested was compared; False before a completed run."""
        return (
            bool(self.collections)
            and all(collection.is_compared for collection in self.collections)
            and not self.damaged
        )


class SettingCell(BaseModel, frozen=True):
    """A setting of the golden tenant in another: `missing` if that does not set it."""

    tenant_id: UUID
    status: CellStatus
    there: list[HeldValue] = []
    uncertain: list[SettingUncertainty] = []


class SettingRow(BaseModel, frozen=True):
    """A setting of the golden tenant, with a cell for each other tenant in the order of the request."""

    record: Literal["setting_row"] = "setting_row"
    key: str
    label: str
    kinds: list[SettingKind]
    golden: list[HeldValue]
    cells: list[SettingCell]


class SettingsMatrixRecord(BaseModel, frozen=True):
    """A golden tenant (`here` in each comparison) compared with many by setting.

    Tenants `without_inventory` have no completed run, so no cells; tenants in `not_answered` could not be compared.
    """

    record: Literal["settings_matrix"] = "settings_matrix"
    golden: TenantRecord
    asked_at: datetime
    tenants: list[SettingsComparisonRecord]
    without_inventory: list[TenantRecord] = []
    not_answered: list[UnansweredTenant] = []

    @property
    def has_comparison(self) -> bool:
        return bool(self.tenants)

    @property
    def damaged(self) -> list[DamagedRecord]:
        return list(dict.fromkeys(version for tenant in self.tenants for version in tenant.damaged))

    @property
    def is_complete(self) -> bool:
        """Whether all requested was compared; False if no tenant could be."""
        left_out = self.without_inventory or self.not_answered
        return bool(self.tenants) and not left_out and all(tenant.is_complete for tenant in self.tenants)
