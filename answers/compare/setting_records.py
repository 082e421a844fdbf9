"""The records of a comparison by setting. Fixed contracts; field names never change."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from answers.compare.records import CellStatus, SideCoverage, Status, TenantRecord
from answers.titled_record import TitledRecord
from inventory.records import DamagedRecord
from inventory.settings import SettingKind
from inventory.stale import Staleness


class SettingUncertainty(StrEnum):
    """Why it cannot be told whether two tenants set the same."""

    HIDDEN = "hidden"
    """A value is a secret that Graph or the inventory does not show."""
    UNRESOLVED_REFERENCE = "unresolved_reference"
    """A value is the id of an object whose meaning is not known."""
    STALE = "stale"
    """The details of a policy could not be read lately."""
    DETAILS_INCOMPLETE = "details_incomplete"
    """The settings of a policy were not all read."""
    NO_DOCUMENT = "no_document"
    """No document of a policy has been read, or it is damaged."""
    COLLECTION_NOT_READ = "collection_not_read"
    """A collection that may hold the setting was left out."""


class SettingPolicy(TitledRecord):
    """A policy that holds a setting, and whom it is assigned to; null where its assignments are not known."""

    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    assigned_to: list[str] | None


class HeldValue(BaseModel, frozen=True):
    """A value of a setting, and the policies of one tenant that set it so.

    `value` is null where it is `hidden`; `text` is what people read. `is_unset`: the policies name the setting and
    leave the device as it is (`false` or `notConfigured` of a typed policy).
    """

    value: Any
    text: str
    hidden: bool = False
    is_unset: bool = False
    policies: list[SettingPolicy]


class SettingComparison(BaseModel, frozen=True):
    """One setting of two tenants: `different` is a conflict, `same` an agreement.

    `key` names the setting in every policy and tenant, `label` for people. `differs_within_here` and
    `differs_within_there`: policies within the tenant conflict. `uncertain` says why a status is `undecided`, or why a
    setting of one side may be on the other as well.
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
        """Whether one tenant's policies set it to several values."""
        return self.differs_within_here or self.differs_within_there


class SettingCounts(BaseModel, frozen=True):
    """How many settings ended which way; `differs_within` counts those with a conflict within a tenant, of any status.

    `shared` settings are set in both tenants. `hidden` are those of the undecided that hold a hidden value.
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
        """Why settings with a hidden value are undecided, in words; None without any."""
        if not self.hidden:
            return None
        return (
            f"{self.hidden:,} cannot be told because a value is hidden: a comparison by item compares hidden values,"
            " too, if the tenants share a data key (SENSITIVE_FIELDS_COMPARABLE)"
        )


class SettingCollection(BaseModel, frozen=True):
    """One collection of policies: its coverage on both sides, and how many policies each side has."""

    type_key: str
    title: str
    here: SideCoverage
    there: SideCoverage
    is_compared: bool
    policies_here: int = 0
    policies_there: int = 0


class UncertainPolicy(TitledRecord):
    """A policy whose settings are not all known, and why. `stale` has since when, and the details not read."""

    tenant: TenantRecord
    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    reasons: list[SettingUncertainty]
    stale: Staleness | None = None


class SettingsComparisonRecord(BaseModel, frozen=True):
    """Two tenants by setting, in numbers, and the coverage.

    What was left out is named among the `collections`. A policy of which not all settings are known is named in
    `uncertain_policies`: a setting that it does not show may be in it.
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
        """Whether all requested was compared; False if no completed run has selected anything."""
        return (
            bool(self.collections)
            and all(collection.is_compared for collection in self.collections)
            and not self.damaged
        )


class SettingCell(BaseModel, frozen=True):
    """A setting of the golden tenant in another one: `missing` where that does not set it."""

    tenant_id: UUID
    status: CellStatus
    there: list[HeldValue] = []
    uncertain: list[SettingUncertainty] = []


class SettingRow(BaseModel, frozen=True):
    """A setting of the golden tenant, with a cell for each other tenant, in the order in which they were named."""

    record: Literal["setting_row"] = "setting_row"
    key: str
    label: str
    kinds: list[SettingKind]
    golden: list[HeldValue]
    cells: list[SettingCell]


class SettingsMatrixRecord(BaseModel, frozen=True):
    """A golden tenant compared with many by setting: the numbers and the coverage of each.

    In each comparison `here` is the golden tenant. `without_inventory` are tenants without a completed run, so without
    cells.
    """

    record: Literal["settings_matrix"] = "settings_matrix"
    golden: TenantRecord
    asked_at: datetime
    tenants: list[SettingsComparisonRecord]
    without_inventory: list[TenantRecord] = []

    @property
    def damaged(self) -> list[DamagedRecord]:
        """Versions that could not be compared, once each."""
        return list(dict.fromkeys(version for tenant in self.tenants for version in tenant.damaged))

    @property
    def is_complete(self) -> bool:
        """Whether all requested was compared; False if no tenant could be."""
        return bool(self.tenants) and not self.without_inventory and all(tenant.is_complete for tenant in self.tenants)
