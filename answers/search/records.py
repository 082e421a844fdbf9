"""Tenants' settings as JSON; field names never change."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel

from inventory.records import ItemRecord


class SettingState(StrEnum):
    """Whether policies of a tenant set the sought value, in the order of the answer."""

    SET = "set"
    HIDDEN = "hidden"
    """Items set it to hidden or too long values, and none is known to set the wanted one."""
    OTHER_VALUE = "other_value"
    NOT_SET = "not_set"
    """No item sets it, and all possible collections were read to their end."""
    UNKNOWN = "unknown"
    """No item is known to set it, and not all possible collections were read."""


class SettingValue(BaseModel, frozen=True):
    """How many items of a tenant set a value; null stands for values that are hidden or too long to be searched for.

    `name` is the display name of a choice, where a catalog of definitions was read.
    """

    value: str | None
    items: int
    name: str | None = None


class UnreadSettings(BaseModel, frozen=True):
    """A collection that may set more than is known, and why: `never_read`, `failed:graph_permission_missing`.

    `settings_not_read`: what its items set is read by the next sync. `stale`: details of some items are not current.
    """

    type_key: str
    reason: str


class TenantSetting(BaseModel, frozen=True):
    """A tenant's values of one setting. Devices may differ, since a policy may reach none of them.

    `settings` are the whole names in question, `value` the wanted one (null for any). `read_from`: when the earliest
    reading of the collections that can set it began, null without any.
    """

    tenant_id: UUID
    settings: list[str]
    value: str | None
    state: SettingState
    values: list[SettingValue]
    not_read: list[UnreadSettings]
    read_from: datetime | None


class SearchBasis(BaseModel, frozen=True):
    """Gaps of a search: tenants that were never read, or whose collections were not read to the end.

    `read_from` is when the earliest reading began, null without any.
    """

    never_read: int
    incomplete: int
    read_from: datetime | None


class ItemGroup(NamedTuple):
    """Items alike in collection, kind, platform and state: one of them, and their number."""

    item: ItemRecord
    items: int
