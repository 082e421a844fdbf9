"""Tenants, status and records of a portfolio run."""

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import rfc8785
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, computed_field, model_validator

from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.selection import Selection

Tag = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""Lower case, so that `EMEA` and `emea` are one group of tenants."""

MOST_TENANTS = 10_000
"""The most tenants of a portfolio run or of the watch. The ids of so many tenants are a Temporal message of 400 KB."""


MOST_TAGS = 1000


def _sorted_unique(value: object) -> object:
    return tuple(sorted(set(value), key=str)) if isinstance(value, Collection) and not isinstance(value, str) else value


class TenantChoice(BaseModel, frozen=True, extra="forbid"):
    """A portfolio run's tenants: all, or those of these ids and those with any of these tags.

    `everyone` and tags are resolved when a run begins, so a schedule includes later tenants.
    """

    everyone: bool = False
    tenant_ids: Annotated[tuple[UUID, ...], BeforeValidator(_sorted_unique)] = ()
    tags: Annotated[tuple[Tag, ...], BeforeValidator(_sorted_unique)] = ()

    @model_validator(mode="after")
    def _either_all_or_some(self) -> Self:
        if self.everyone == bool(self.tenant_ids or self.tags):
            raise ValueError("choose all tenants, or some by id or tag")
        return self

    def resolve(self, tags_of_tenants: Mapping[UUID, Collection[str]]) -> list[UUID]:
        """In the mapping's order; ids that it lacks follow."""
        chosen = [
            tenant_id
            for tenant_id, tags in tags_of_tenants.items()
            if self.everyone or tenant_id in self.tenant_ids or not set(tags).isdisjoint(self.tags)
        ]
        return chosen + [tenant_id for tenant_id in self.tenant_ids if tenant_id not in tags_of_tenants]

    def without(self, tenant_id: UUID) -> "TenantChoice | None":
        """None if nothing is left."""
        rest = tuple(named for named in self.tenant_ids if named != tenant_id)
        if not (self.everyone or self.tags or rest):
            return None
        return self.model_copy(update={"tenant_ids": rest})

    def in_words(self) -> str:
        if self.everyone:
            return "all tenants"
        count = len(self.tenant_ids)
        named = [f"{count} tenant{'s' if count > 1 else ''}"] if count else []
        return ", ".join([*named, *(f"tag {tag}" for tag in self.tags)])


def _bounded(choice: TenantChoice) -> TenantChoice:
    if len(choice.tenant_ids) > MOST_TENANTS or len(choice.tags) > MOST_TAGS:
        raise ValueError(f"a portfolio run takes at most {MOST_TENANTS} tenants and {MOST_TAGS} tags by name")
    return choice


RequestedTenants = Annotated[TenantChoice, AfterValidator(_bounded)]
"""A choice in a request; recorded ones may exceed the bounds."""


def portfolio_hash(selection: Selection, tenants: TenantChoice) -> str:
    """SHA-256 of RFC 8785 JSON."""
    chosen = tenants.model_dump(mode="json")
    return hashlib.sha256(rfc8785.dumps({"selection": selection.hash(), "tenants": chosen})).hexdigest()


class PortfolioCounts(BaseModel, extra="forbid"):
    """The tenants of a portfolio run, and how many ended in which way.

    `joined` runs were under way already; they count under their outcome, too. Tenants without an outcome were not
    started, or not waited for when the portfolio was cancelled.
    """

    tenants: int = 0
    success: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0
    joined: int = 0

    @property
    def ended(self) -> int:
        return self.success + self.partial + self.failed + self.cancelled

    def in_words(self) -> str:
        """Such as `2 success, 1 failed`."""
        named = self.model_dump(exclude={"tenants"})
        return ", ".join(f"{number} {name}" for name, number in named.items() if number)

    def count(self, status: RunStatus) -> None:
        setattr(self, status, getattr(self, status) + 1)


PORTFOLIO_COUNT_NAMES: tuple[str, ...] = tuple(PortfolioCounts.model_fields)


def portfolio_status(counts: PortfolioCounts) -> RunStatus:
    """The status of a portfolio run that was not broken off.

    It is `success` if every tenant's run is, `failed` if none is `success` or `partial`, else `partial`.
    """
    if counts.tenants and counts.success == counts.tenants:
        return RunStatus.SUCCESS
    return RunStatus.PARTIAL if counts.success or counts.partial else RunStatus.FAILED


class TenantOutcomeRecord(BaseModel, frozen=True):
    """One tenant of a portfolio run. `status` is `running` where the run was not waited for."""

    tenant_id: UUID
    run_id: UUID | None
    status: RunStatus
    joined: bool
    error_codes: list[ErrorCode]
    started_at: datetime | None
    finished_at: datetime | None

    @computed_field
    def duration_seconds(self) -> float | None:
        """Counts from the run's slot to its end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds(), 3)


class PortfolioSummary(BaseModel, frozen=True):
    """One portfolio run, without its tenants. `selection_name` is its starter's (`--name`)."""

    portfolio_run_id: UUID
    workflow_id: str
    schedule: str | None
    selection_hash: str
    selection: Selection
    selection_name: str | None = None
    chosen: TenantChoice
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    counts: PortfolioCounts
    error_codes: list[ErrorCode]
    cancel_requested_by: str | None
    cancel_reason: str | None


class PortfolioRecord(PortfolioSummary):
    """One portfolio run, with the outcome of each tenant. `selection_name` is its starter's (`--name`)."""

    tenants: list[TenantOutcomeRecord] = []
